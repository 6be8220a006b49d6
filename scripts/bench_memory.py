"""How much memory hpmpi has for each worker, beside Ray Tune and Dask.

python scripts/bench_memory.py [--workers 4 8] [--repetitions 3] [--json FILE]

Each has its trials, a worker's each, do nothing; then the proportional shares (PSS) of all that it
has started are summed, itself included: what is shared is counted once. Turn by turn; who is not
installed is left out with a word. Linux only.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
MPIRUN = str(Path(sys.executable).parent / "mpirun")
OURS = {"hpmpi, in a child": "process", "hpmpi, in the rank": "none"}
PACKAGES = {"Ray Tune": "ray", "Dask": "distributed"}
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK")
START_S = 120.0
SETTLE_S = 2.0

Megabytes = dict[str, float]
"""By part: a rank's workers, rank 0, and the rest."""


def ours(folder: Path, workers: int, isolation: str) -> list[str]:
    """Write a study; return what runs it."""
    (folder / "sleepers.py").symlink_to(ROOT / "scripts" / "sleepers.py")
    (folder / "study.toml").write_text(
        'objective = "sleepers.py:resting"\n[space]\n'
        'x = { type = "float", low = 0, high = 1 }\n[limits]\npatience_s = 300\n'
        f'[run]\nisolation = "{isolation}"\n[objective_args]\nfolder = "{folder / "here"}"\n'
    )
    words = ["-m", "hpmpi", "run", str(folder / "study.toml"), "--out", str(folder / "out")]
    return [MPIRUN, "-n", str(workers + 1), sys.executable, *words]


def rest(folder: str) -> None:
    """Be a trial of another: say who this is, and sleep."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(1000)


def ray(folder: str, workers: int) -> None:
    """Have Ray Tune run the trials."""
    import ray  # noqa: PLC0415 - each contender imports what it needs, and no more
    from ray import tune  # noqa: PLC0415

    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    tune.Tuner(
        lambda _config: rest(folder),
        tune_config=tune.TuneConfig(num_samples=workers, max_concurrent_trials=workers),
        run_config=tune.RunConfig(storage_path=f"{folder}/../ray", verbose=0),
    ).fit()


def dask(folder: str, workers: int) -> None:
    """Have a local cluster of Dask run the trials."""
    from distributed import Client  # noqa: PLC0415

    with Client(n_workers=workers, threads_per_worker=1, dashboard_address=None) as client:
        client.gather(client.map(rest, [folder] * workers, pure=False))


def measure(name: str, workers: int) -> Megabytes:
    """Start who has this name, wait until all trials sleep, and look; end it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as at:
        folder = Path(at)
        (folder / "here").mkdir()
        be = [sys.executable, __file__, "--be", PACKAGES.get(name, ""), str(folder / "here")]
        command = ours(folder, workers, OURS[name]) if name in OURS else [*be, str(workers)]
        env = os.environ | {"PYTHONPATH": str(ROOT), "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            ends_at = time.monotonic() + START_S
            while len(list((folder / "here").iterdir())) < workers:
                if process.poll() is not None or time.monotonic() > ends_at:
                    sys.exit(f"{name} has not begun:\n{(folder / 'log').read_text()[-2000:]}")
                time.sleep(0.1)
            time.sleep(SETTLE_S)
            return parts(process.pid)
        finally:
            end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a program, and all that it has started."""
    pids = below(process.pid)
    process.terminate()
    try:
        process.wait(10.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in pids:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue


def below(root: int) -> list[int]:
    """List a process and all below it."""
    children = defaultdict(list)
    for each in Path("/proc").glob("[0-9]*"):
        try:
            words = (each / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        children[int(words[1])].append(int(each.name))
    found = [root]
    for pid in found:  # grows meanwhile
        found += children[pid]
    return found


def parts(root: int) -> Megabytes:
    """Sum the PSS of a process and all below it: of worker ranks, of rank 0, of the rest."""
    sums: Megabytes = defaultdict(float)
    ranks: dict[int, str] = {}
    for pid in below(root):
        process = Path(f"/proc/{pid}")
        lines = (process / "smaps_rollup").read_text().splitlines()
        pss_kb = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        parent = int((process / "stat").read_bytes().rpartition(b")")[2].split()[1])
        ranks[pid] = rank_of(process) or ranks.get(parent, "")
        part = {"": "the rest", "0": "rank 0"}.get(ranks[pid], "workers")
        sums[part] += pss_kb / 1024
    return dict(sums)


def rank_of(process: Path) -> str:
    """Read which rank a process is, or is of; '' where it is of none."""
    pairs = (pair.partition("=") for pair in (process / "environ").read_text().split("\0"))
    return next((value for name, _, value in pairs if name in RANKS), "")


def table(workers: int, measured: dict[str, list[Megabytes]]) -> str:
    """Print medians."""
    lines = [f"{workers} workers, MB of PSS; medians"]
    lines.append(f"{'':24}{'all / worker':>14}{'worker ranks':>14}{'rank 0':>10}{'the rest':>10}")
    for name, each in measured.items():

        def median(part: str, each: list[Megabytes] = each) -> float:
            return statistics.median(one.get(part, 0.0) for one in each)

        whole = statistics.median(sum(one.values()) for one in each) / workers
        numbers = [median("workers") / workers, median("rank 0"), median("the rest")]
        words = [f"{number:.1f}" if number else "-" for number in numbers]
        lines.append(f"{name:24}{whole:14.1f}{words[0]:>14}{words[1]:>10}{words[2]:>10}")
    return "\n".join(lines)


def main() -> None:
    """Measure, and tell."""
    if sys.argv[1:2] == ["--be"]:
        {"ray": ray, "distributed": dask}[sys.argv[2]](sys.argv[3], int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description="Memory of the whole, by worker.")
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 8], metavar="N")
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    missing = [name for name, package in PACKAGES.items() if not importlib.util.find_spec(package)]
    for name in missing:
        print(f"{name} is left out: {PACKAGES[name]} is not installed", file=sys.stderr)
    names = [name for name in [*OURS, *PACKAGES] if name not in missing]
    told = {}
    for workers in options.workers:
        measured: dict[str, list[Megabytes]] = {name: [] for name in names}
        for _ in range(options.repetitions):
            for name in names:
                measured[name].append(measure(name, workers))
        told[workers] = measured
        print(table(workers, measured), end="\n\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
