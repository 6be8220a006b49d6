"""What the benches compare hpmpi with: each hands out no-op trials to four workers.

Those of bench_dispatch.py are calls of a function; those of bench_command.py runs of /bin/true.

[mpirun -n 5] python scripts/contenders.py NAME TRIALS

Prints the seconds from the first trial to the last. Workers are warm by then: all have done one.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

WORKERS = 4
Config = dict[str, float]


def objective(config: Config) -> float:
    """Cost nothing."""
    return config["x"]


def configs(trials: int) -> Iterator[Config]:
    """Draw the configurations that the study of bench_dispatch.py has."""
    draw = random.Random(0)  # noqa: S311 - not for secrets
    for _ in range(trials):
        yield {"x": draw.random(), "y": 10 ** draw.uniform(-4, -1), "n": draw.randint(1, 4)}


def raw(trials: int) -> float | None:
    """Send pickled tuples one by one, by blocking sends and receives: the floor of MPI."""
    from mpi4py import MPI  # noqa: PLC0415 - each contender imports what it needs, and no more

    world = MPI.COMM_WORLD
    if world.rank != 0:
        while (job := world.recv(source=0)) is not None:
            world.send((job[0], objective(job[1])), dest=0)
        return None
    status = MPI.Status()
    jobs = iter(enumerate([*configs(trials + WORKERS)]))
    for rank in range(1, world.size):
        world.send(next(jobs), dest=rank)
    for _ in range(WORKERS):  # all are warm; now each gets its first one that counts
        world.recv(source=MPI.ANY_SOURCE, status=status)
    began_at = time.perf_counter()
    for rank in range(1, world.size):
        world.send(next(jobs), dest=rank)
    results = []
    while len(results) < trials:
        results.append(world.recv(source=MPI.ANY_SOURCE, status=status))
        world.send(next(jobs, None), dest=status.Get_source())
    return time.perf_counter() - began_at


def mpi4py_futures(trials: int) -> float | None:
    """Map with MPICommExecutor, a trial at a time."""
    from mpi4py import MPI  # noqa: PLC0415
    from mpi4py.futures import MPICommExecutor  # noqa: PLC0415

    with MPICommExecutor(MPI.COMM_WORLD, root=0) as executor:
        if executor is None:
            return None
        list(executor.map(objective, configs(2 * WORKERS)))
        return timed(lambda: list(executor.map(objective, configs(trials), chunksize=1)))


def joblib(trials: int) -> float:
    """Map with joblib's processes, a trial at a time."""
    from joblib import Parallel, delayed  # noqa: PLC0415

    with Parallel(n_jobs=WORKERS, batch_size=1) as parallel:
        parallel(delayed(objective)(config) for config in configs(2 * WORKERS))
        return timed(lambda: parallel(delayed(objective)(config) for config in configs(trials)))


def dask(trials: int) -> float:
    """Map with a local cluster."""
    from distributed import Client  # noqa: PLC0415

    with Client(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as client:
        client.gather(client.map(objective, [*configs(2 * WORKERS)], pure=False))
        return timed(lambda: client.gather(client.map(objective, [*configs(trials)], pure=False)))


def optuna(trials: int) -> float:
    """Let four processes optimize by one journal, as Optuna's handbook says for a cluster."""
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(WORKERS) as pool:
        path = f"{folder}/journal.log"
        list(pool.map(optuna_worker, [path] * WORKERS, [1] * WORKERS))
        share = trials // WORKERS
        return timed(lambda: list(pool.map(optuna_worker, [path] * WORKERS, [share] * WORKERS)))


def optuna_worker(path: str, trials: int) -> None:
    """Do a share of the trials."""
    import optuna  # noqa: PLC0415
    from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.JournalStorage(JournalFileBackend(path))
    sampler = optuna.samplers.RandomSampler()
    study = optuna.create_study(
        study_name="bench", storage=storage, sampler=sampler, load_if_exists=True
    )

    def suggest(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        y = trial.suggest_float("y", 1e-4, 1e-1, log=True)
        return objective({"x": x, "y": y, "n": trial.suggest_int("n", 1, 4)})

    study.optimize(suggest, n_trials=trials)


def ray(trials: int) -> float:
    """Run a Tuner, with as many trials at a time as there are workers."""
    import ray  # noqa: PLC0415
    from ray import tune  # noqa: PLC0415

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    space = {"x": tune.uniform(0, 1), "y": tune.loguniform(1e-4, 1e-1), "n": tune.randint(1, 5)}
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            lambda config: {"loss": objective(config)},
            param_space=space,
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=WORKERS),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        return timed(tuner.fit)


def subprocess_run(trials: int) -> float:
    """Start programs one after the other, in as many processes as there are workers."""
    from multiprocessing import Pool  # noqa: PLC0415

    with Pool(WORKERS) as pool:
        pool.map(run_programs, [2] * WORKERS, chunksize=1)
        share = [trials // WORKERS] * WORKERS
        return timed(lambda: pool.map(run_programs, share, chunksize=1))


def run_programs(trials: int) -> None:
    """Do a share of the trials."""
    for _ in range(trials):
        subprocess.run(["/bin/true"], check=True)


def hyperqueue(trials: int) -> float:
    """Have a local cluster run programs; what they print is not kept."""
    from hyperqueue import Job, LocalCluster  # noqa: PLC0415
    from hyperqueue.cluster import WorkerConfig  # noqa: PLC0415

    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(folder, WorkerConfig(cores=WORKERS)) as cluster,
    ):
        client = cluster.client()

        def run(count: int) -> None:
            job = Job(default_workdir=folder)
            for _ in range(count):
                job.program(["/bin/true"], stdout=None, stderr=None)
            client.wait_for_jobs([client.submit(job)])

        run(2 * WORKERS)
        return timed(lambda: run(trials))


def timed(work: Callable[[], object]) -> float:
    """Tell how many seconds something takes."""
    began_at = time.perf_counter()
    work()
    return time.perf_counter() - began_at


CONTENDERS = {
    "raw mpi4py": raw,
    "MPICommExecutor": mpi4py_futures,
    "joblib": joblib,
    "dask": dask,
    "optuna": optuna,
    "ray tune": ray,
    "subprocess.run": subprocess_run,
    "hyperqueue": hyperqueue,
}

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    parser = argparse.ArgumentParser(description="Time one of them.")
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("trials", type=int)
    asked = parser.parse_args()
    took_s = CONTENDERS[asked.name](asked.trials)
    if took_s is not None:
        print(f"took {took_s}", flush=True)
