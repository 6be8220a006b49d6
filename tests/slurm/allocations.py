"""Whole runs of a small study in allocations of a real Slurm, submitted with tune.sh."""

from pathlib import Path

from hpmpi.model.records import Deadline, Draining, Ended
from hpmpi.views import replay
from tests.harness.runs import BIN, OBJECTIVE, ROOT, Study
from tests.slurm.cluster import Cluster

WAIT = """
def train(config, trial):
    gate = Path(trial.args["log"]).with_name("gate")
    while trial.number >= 6 and not gate.exists():
        time.sleep(0.02)
"""

TUNE = ROOT / "slurm" / "tune.sh"
TRIALS = 12


class Tuning:
    """A study that is submitted with tune.sh, and what becomes of it."""

    def __init__(
        self, cluster: Cluster, folder: Path, epoch_s: float = 0.1, *, gated: bool = False
    ) -> None:
        """Write the study; `gated`: its later trials wait until the gate is open."""
        self.cluster = cluster
        self.study = Study(folder, epoch_s)
        if gated:
            code = OBJECTIVE.replace("def train(config, trial):\n", WAIT.lstrip(), 1)
            (folder / "train.py").write_text(code)
        self.job = ""
        self.log = folder / "tune.log"

    def submit(self, *options: str, hpmpi: tuple[str, ...] = ()) -> str:
        """Submit it: two tasks on each of two nodes, unless `options` of sbatch say otherwise."""
        places = ("--nodes=2", "--ntasks-per-node=2", f"--chdir={self.study.folder}")
        words = [*places, f"--output={self.log}", *options, str(TUNE), str(self.study.file)]
        out = ["--out", str(self.study.out), "--set", "limits.grace_s=1"]
        self.job = self.cluster.sbatch(*words, *out, *hpmpi)
        return self.job

    def open_gate(self) -> None:
        """Let the later trials go on."""
        self.study.folder.joinpath("gate").touch()

    def until_results(self, count: int) -> None:
        """Wait until there are so many results."""
        self.cluster.wait_for(lambda: len(self.study.results) >= count, f"{count} results")

    def until_restarted(self, times: int = 1) -> None:
        """Wait until the allocation was requeued, and has begun anew."""

        def has_begun() -> bool:
            found = self.cluster.job(self.job)
            return int(found["Restarts"]) >= times and found["JobState"] == "RUNNING"

        self.cluster.wait_for(has_begun, f"restart {times}")

    def finish(self) -> None:
        """Wait for the end, and check that the study came to what it would have come to."""
        state = self.cluster.until(self.job, "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED")
        assert state == "COMPLETED", self.log.read_text()
        results = self.study.results
        assert {trial for trial, rung in results if rung == 0} == set(range(TRIALS))
        assert len(results) == len(set(results)), "no result is there twice"
        assert replay.replay(self.study.out, trust=False).difference is None

    @property
    def epochs(self) -> list[str]:
        """The trial and number of each epoch that was trained."""
        return self.study.log.read_text().splitlines()

    @property
    def restarts(self) -> int:
        """How often the allocation was requeued."""
        return int(self.cluster.job(self.job)["Restarts"])

    @property
    def starts(self) -> int:
        """How often ranks were started that met."""
        return len(self.study.starts)

    @property
    def lost(self) -> set[int]:
        """The ranks that were ever lost."""
        return set(self.study.lost)

    @property
    def reasons(self) -> list[str]:
        """Why it drained, each time."""
        return [each.why for each in self.study.decided(Draining)]

    @property
    def deadlines(self) -> list[Deadline]:
        """What it learned of the end of its allocations."""
        return self.study.decided(Deadline)

    @property
    def outcomes(self) -> list[str]:
        """What its starts came to, those that came to an end."""
        return [each.outcome.value for each in self.study.decided(Ended)]


def as_user(cluster: Cluster) -> None:
    """Have `python` be this one, in all that is submitted."""
    cluster.env["PATH"] = f"{BIN}:{cluster.env['PATH']}"
    cluster.env["PYTHONPATH"] = str(ROOT)
