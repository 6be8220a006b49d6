"""Studies that are submitted to a real Slurm."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from hpmpi.errors import StoreError
from hpmpi.model.messages import Outcome
from hpmpi.views import run_view
from tests.harness.runs import ROOT, Study
from tests.slurm.cluster import LIMIT_S, Cluster

pytestmark = pytest.mark.slurm

SIZE = ("--nodes", "2", "--ntasks-per-node", "2", "--time", "10")


class Submission:
    """`hpmpi submit` of a study, with a cluster at hand."""

    def __init__(self, study: Study, cluster: Cluster, *words: str) -> None:
        """Start it."""
        command = [sys.executable, "-m", "hpmpi", "submit", str(study.file), "--out"]
        self.study = study
        self.said = study.folder / "said"
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [*command, str(study.out), *SIZE, *words],
                cwd=study.folder,
                env=cluster.env | {"PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
        assert self.process.stdout is not None
        self.number = self.process.stdout.readline().strip()

    def wait(self) -> int:
        """Wait for its end, and return its exit code."""
        with self.process:
            return self.process.wait(LIMIT_S)

    def until(self, text: str) -> None:
        """Wait until it has said something."""
        await_it(lambda: text in self.said.read_text())

    def batch_step(self) -> psutil.Process:
        """Find the process of the batch step."""
        words = ["launch", str(self.study.file), "--out", str(self.study.out)]
        (found,) = [it for it in psutil.process_iter() if words == command_of(it)[-4:]]
        return found


def command_of(process: psutil.Process) -> list[str]:
    """Read the command line of a process that may end any time."""
    try:
        return [str(word) for word in process.cmdline()]
    except psutil.Error:
        return []


def await_it(has_come: Callable[[], bool]) -> None:
    """Wait for what must come."""
    deadline = time.monotonic() + LIMIT_S
    while not has_come():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def outcome(folder: Path) -> Outcome | None:
    """Look what a run has come to; None while it goes on, or has not begun."""
    try:
        return run_view.look(folder).outcome
    except StoreError:
        return None


def test_a_submitted_study_completes_and_its_job_has_the_exit_code(
    cluster: Cluster, tmp_path: Path
) -> None:
    study = Study(tmp_path)
    program = (
        "import hpmpi, sys\n"
        "job = hpmpi.submit(sys.argv[1], out=sys.argv[2], nodes=2, ntasks_per_node=2, time=10)\n"
        "sys.exit(40 + job.result())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, study.file, study.out],
        cwd=tmp_path,
        env=cluster.env | {"PYTHONPATH": str(ROOT)},
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 40
    assert outcome(study.out) is Outcome.COMPLETE


def test_submitting_prints_the_id_and_leaves_the_script_beside_the_results(
    cluster: Cluster, tmp_path: Path
) -> None:
    study = Study(tmp_path)
    submission = Submission(study, cluster)
    assert submission.wait() == 0
    cluster.until(submission.number, "COMPLETED")
    assert outcome(study.out) is Outcome.COMPLETE
    kept = tmp_path / "out.slurm"
    assert f"the log in {kept}/{submission.number}_0_log.out" in submission.said.read_text()
    assert "\n#SBATCH --nodes=2\n" in (kept / f"{submission.number}_submission.sh").read_text()


def test_waiting_ends_with_the_exit_code_of_the_run(cluster: Cluster, tmp_path: Path) -> None:
    study = Study(tmp_path)
    fails = ("--set", 'objective="train.py:fail"', "--set", "stop.max_trials=1")
    submission = Submission(study, cluster, "--wait", *fails)
    assert submission.wait() == 3
    assert cluster.until(submission.number, "FAILED", "COMPLETED") == "FAILED"
    assert f"job {submission.number}: ended with 3\n" in submission.said.read_text()


def test_waiting_goes_on_through_a_requeue_and_fresh_moves_aside_once(
    cluster: Cluster, tmp_path: Path
) -> None:
    study = Study(tmp_path, epoch_s=0.5)
    first = study.run(study.command("--workers", "2", "--set", "stop.max_trials=1"))
    assert first.returncode == 0, first.stderr
    submission = Submission(study, cluster, "--wait", "--fresh")
    submission.until("results, incumbent")
    cluster.run("scancel", "--batch", "--signal=USR1", submission.number)
    cluster.wait_for(lambda: cluster.job(submission.number)["Restarts"] == "1", "a requeue")
    assert submission.wait() == 0
    assert outcome(study.out) is Outcome.COMPLETE
    assert outcome(tmp_path / "out.1") is Outcome.COMPLETE
    assert not (tmp_path / "out.2").exists()
    results = study.results
    assert len(results) == len(set(results))


@pytest.mark.parametrize("partition", ["low", "lowc"])
def test_waiting_goes_on_through_preemption(
    cluster: Cluster, tmp_path: Path, partition: str
) -> None:
    study = Study(tmp_path, epoch_s=0.5)
    submission = Submission(study, cluster, "--wait", "--partition", partition)
    submission.until("results, incumbent")
    other = cluster.sbatch("--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=sleep 3")
    cluster.until(other, "COMPLETED")
    assert submission.wait() == 0
    assert cluster.job(submission.number)["Restarts"] == "1"
    assert outcome(study.out) is Outcome.COMPLETE


def test_waiting_ends_where_an_allocation_dies_without_a_word(
    cluster: Cluster, tmp_path: Path
) -> None:
    study = Study(tmp_path, epoch_s=0.5)
    submission = Submission(study, cluster, "--wait")
    submission.until("results, incumbent")
    submission.batch_step().kill()
    assert submission.wait() == 1
    said = submission.said.read_text()
    assert f"job {submission.number} left no exit code (failed); see {tmp_path}/out.slurm" in said


def test_an_interrupt_ends_the_waiting_and_not_the_allocation(
    cluster: Cluster, tmp_path: Path
) -> None:
    study = Study(tmp_path, epoch_s=0.1)
    submission = Submission(study, cluster, "--wait")
    submission.until("running")
    submission.process.send_signal(signal.SIGINT)
    assert submission.wait() == 128 + signal.SIGINT
    assert f"`scancel {submission.number}` ends it" in submission.said.read_text()
    cluster.until(submission.number, "COMPLETED")
    assert outcome(study.out) is Outcome.COMPLETE


def test_what_slurm_refuses_is_told_in_one_message_and_nothing_stays(
    cluster: Cluster, tmp_path: Path
) -> None:
    study = Study(tmp_path)
    submission = Submission(study, cluster, "--partition", "nowhere")
    assert (submission.wait(), submission.number) == (2, "")
    said = submission.said.read_text()
    assert said.startswith("hpmpi: Slurm refuses it: ")
    assert said.lower().count("invalid partition name") == 1
    assert not (tmp_path / "out.slurm").exists()
    assert not study.out.exists()


def test_one_allocation_waits_for_another_and_goes_on_with_its_run(
    cluster: Cluster, tmp_path: Path
) -> None:
    study = Study(tmp_path, epoch_s=0.1)
    first = Submission(study, cluster)
    assert first.wait() == 0
    second = Submission(study, cluster, "--wait", "--after", first.number)
    assert second.wait() == 0
    assert cluster.state(first.number) == "COMPLETED"
    assert outcome(study.out) is Outcome.COMPLETE


def test_every_task_of_an_array_is_a_run_of_its_own(cluster: Cluster, tmp_path: Path) -> None:
    study = Study(tmp_path)
    submission = Submission(study, cluster, "--wait", "--array", "1,3", "--nodes", "1")
    assert submission.wait() == 0
    ended = [f"job {submission.number}_{task}: ended with 0\n" for task in (1, 3)]
    assert [line for line in ended if line not in submission.said.read_text()] == []
    runs = {path.parent for path in tmp_path.rglob("run.h5")}
    assert [outcome(run) for run in runs] == [Outcome.COMPLETE] * 2
    assert len({run_view.look(run).study.seed for run in runs}) == 2
