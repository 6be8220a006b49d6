"""`sbatch slurm/tune.sh` on a real Slurm: through the time limit, preemption and dead nodes."""

from pathlib import Path

import pytest

from hpmpi.model.records import Quarantined
from hpmpi.views import show
from hpmpi.views.run_view import look
from tests.harness.runs import IS_OPEN_MPI, MPIRUN
from tests.slurm.allocations import Tuning
from tests.slurm.cluster import Cluster

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
]

by_each_launcher = pytest.mark.parametrize(
    "launcher", ["mpirun"] if IS_OPEN_MPI else ["srun", "mpirun"]
)


@pytest.mark.mpi
@by_each_launcher
def test_a_study_runs_to_its_end(cluster: Cluster, tmp_path: Path, launcher: str) -> None:
    tuning = Tuning(cluster, tmp_path, epoch_s=0.01, gated=True)
    tuning.submit(hpmpi=("--launcher", launcher))
    cluster.wait_for(lambda: bool(tuning.deadlines), "word of the end of the allocation")
    tuning.open_gate()
    tuning.finish()
    assert (tuning.restarts, tuning.starts) == (0, 1)
    log = tuning.log.read_text()
    assert f"launch: {launcher}" in log
    assert "best: trial" in log
    assert len(tuning.deadlines) == 1


def test_a_time_limit_that_is_known_is_met_twice_without_a_signal(
    cluster: Cluster, tmp_path: Path
) -> None:
    tuning = Tuning(cluster, tmp_path, gated=True)
    tuning.submit("--signal=B:CONT@1")
    for restart in (0, 1):
        tuning.until_restarted(restart)
        cluster.ask("scontrol", "update", f"jobid={tuning.job}", "endtime=now+25")
    tuning.until_restarted(2)
    tuning.open_gate()
    tuning.finish()
    assert tuning.restarts == 2
    assert tuning.reasons == ["the end of the allocation"] * 2
    assert len(tuning.epochs) == len(set(tuning.epochs)), "no epoch is trained twice"


def test_a_time_limit_that_strikes_without_notice_costs_no_result(
    cluster: Cluster, tmp_path: Path
) -> None:
    tuning = Tuning(cluster, tmp_path, gated=True)
    tuning.submit("--signal=B:CONT@1")
    tuning.until_results(6)
    cluster.ask("scontrol", "update", f"jobid={tuning.job}", "endtime=now+1")
    tuning.until_restarted()
    tuning.open_gate()
    tuning.finish()
    assert tuning.restarts == 1


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(("scontrol", "requeue"), id="requeue"),
        pytest.param(("scancel", "--batch", "--signal=USR1"), id="USR1"),
    ],
)
def test_an_allocation_that_is_taken_away_is_gone_on_with(
    cluster: Cluster, tmp_path: Path, how: tuple[str, ...]
) -> None:
    tuning = Tuning(cluster, tmp_path, epoch_s=0.5)
    tuning.submit()
    tuning.until_results(4)
    cluster.ask(*how, tuning.job)
    tuning.finish()
    assert (tuning.restarts, tuning.starts) == (1, 2)
    assert len(tuning.epochs) == len(set(tuning.epochs)), "no epoch is trained twice"


@pytest.mark.parametrize("partition", ["low", "lowc"])
def test_a_preempted_study_goes_on_when_there_is_room(
    cluster: Cluster, tmp_path: Path, partition: str
) -> None:
    tuning = Tuning(cluster, tmp_path, gated=True)
    tuning.submit(f"--partition={partition}")
    tuning.until_results(6)
    other = cluster.sbatch("--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=true")
    cluster.until(other, "COMPLETED")
    tuning.open_gate()
    tuning.finish()
    assert (tuning.restarts, tuning.starts) == (1, 2)


@pytest.mark.mpi
@by_each_launcher
def test_a_node_that_dies_costs_its_jobs_and_not_the_allocation(
    cluster: Cluster, tmp_path: Path, launcher: str
) -> None:
    tuning = Tuning(cluster, tmp_path, gated=True)
    tuning.submit("--nodes=3", hpmpi=("--launcher", launcher))
    tuning.until_results(6)
    if launcher == "srun":  # it goes on without the node
        cluster.crash("node3")
        cluster.wait_for(lambda: len(tuning.lost) == 2, "lost ranks")
    else:  # an mpirun that hears of it ends, and is started again
        cluster.kill("node3")
        cluster.wait_for(lambda: tuning.starts == 2, "another start")
    tuning.open_gate()
    tuning.finish()
    assert tuning.restarts == 0


def test_a_node_whose_ranks_fail_all_is_left_out_when_the_allocation_is_requeued(
    cluster: Cluster, tmp_path: Path
) -> None:
    tuning = Tuning(cluster, tmp_path, gated=True)
    objective = tmp_path / "train.py"
    fails = '    if os.uname().nodename == "node2":\n        raise OSError(f"no {trial.number}")\n'
    begin = "def train(config, trial):\n"
    objective.write_text(objective.read_text().replace(begin, begin + fails, 1))
    tuning.submit()
    cluster.wait_for(lambda: len(tuning.study.decided(Quarantined)) == 2, "two ranks put aside")
    assert "broken, and left out by a requeue: node2" in show.text(look(tuning.study.out), top=1)
    cluster.ask("scancel", "--batch", "--signal=USR1", tuning.job)
    tuning.until_restarted()
    assert "node2" in cluster.job(tuning.job)["ExcNodeList"]
    tuning.open_gate()
    tuning.finish()
    assert "launch: without node2" in tuning.log.read_text()


@by_each_launcher
def test_ranks_whose_step_is_killed_are_started_again(
    cluster: Cluster, tmp_path: Path, launcher: str
) -> None:
    tuning = Tuning(cluster, tmp_path, gated=True)
    tuning.submit(hpmpi=("--launcher", launcher))
    tuning.until_results(6)
    steps = cluster.ask("squeue", "--steps", "--noheader", f"--job={tuning.job}", "--format=%i %j")
    named = [line.split() for line in steps.splitlines()]
    ours = [step for step, name in named if name.startswith("hpmpi-") and "standby" not in name]
    cluster.ask("scancel", "--signal=KILL", *ours)
    cluster.wait_for(lambda: tuning.starts == 2, "another start")
    tuning.open_gate()
    tuning.finish()
    assert tuning.restarts == 0


@pytest.mark.parametrize("dies", ["crash", "kill"])
@by_each_launcher
def test_a_dead_node_of_rank_0_has_the_allocation_requeued(
    cluster: Cluster, tmp_path: Path, launcher: str, dies: str
) -> None:
    tuning = Tuning(cluster, tmp_path, epoch_s=0.5)
    tuning.submit(hpmpi=("--launcher", launcher))
    tuning.until_results(4)
    getattr(cluster, dies)("node1")
    tuning.finish()
    assert (tuning.restarts, tuning.starts) == (1, 2)


def test_a_cancelled_allocation_stays_cancelled(cluster: Cluster, tmp_path: Path) -> None:
    tuning = Tuning(cluster, tmp_path, epoch_s=0.5)
    tuning.submit()
    tuning.until_results(4)
    cluster.ask("scancel", tuning.job)
    assert cluster.until(tuning.job, "CANCELLED", "COMPLETED", "FAILED") == "CANCELLED"
    assert (tuning.restarts, tuning.outcomes) == (0, ["drained"])


def test_each_task_of_an_array_has_its_own_seed_and_folder(
    cluster: Cluster, tmp_path: Path
) -> None:
    tuning = Tuning(cluster, tmp_path, epoch_s=0.01)
    tuning.submit("--array=1-2", "--nodes=1", f"--output={tmp_path}/tune-%a.log")
    cluster.wait_for(lambda: not cluster.ask("squeue", "--noheader"), "the end of both")
    folders = [tuning.study.out.with_name(f"out-{task}") for task in (1, 2)]
    seeds = [look(folder).study.seed for folder in folders]
    assert seeds == [1, 2]


def test_ranks_that_do_not_meet_are_told_so(cluster: Cluster, tmp_path: Path) -> None:
    """Three tasks that know nothing of each other would be three runs in one folder."""
    tuning = Tuning(cluster, tmp_path)
    command = " ".join(["srun", "--mpi=none", "-n3", *tuning.study.command()])
    job = cluster.sbatch(f"--output={tuning.log}", "-n3", f"--wrap={command}")
    assert cluster.until(job, "FAILED", "COMPLETED") == "FAILED"
    log = tuning.log.read_text()
    assert log.count("srun --mpi=pmi2 for MPICH") == 1, log
    assert tuning.study.lines == []
