"""What each rank's child sees of a node's GPUs, in real runs on a machine that has none."""

from pathlib import Path

import pytest

from hpmpi.transports.resources import CUDA, VARIABLES
from tests.harness.runs import MPIRUN, Study, mpirun

LOOK = """
import os, time
from pathlib import Path

def train(config, trial):
    log = Path(trial.args["log"])
    with log.open("a") as file:
        file.write(os.environ.get("CUDA_VISIBLE_DEVICES", "all") + "\\n")
    journal, fit = log.with_name("out") / "journal.jsonl", trial.args["ranks"]
    # Each rank is to have one, or to have said that it can't.
    while len(log.read_text().splitlines()) < fit or journal.read_text().count("unfit") < 4 - fit:
        time.sleep(0.02)
    return {"loss": 0.0}
"""

needs_mpi = [
    pytest.mark.mpi,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
]


@pytest.fixture(params=["local", pytest.param("mpi", marks=needs_mpi)])
def four_ranks(request: pytest.FixtureRequest, tmp_path: Path) -> "Ranks":
    """Have four worker ranks, and a fifth that leads."""
    return Ranks(tmp_path, under_mpi=request.param == "mpi")


class Ranks:
    """A study whose trials tell what they see; as many are at work at once as ranks can be."""

    def __init__(self, folder: Path, *, under_mpi: bool) -> None:
        """Write it."""
        self._study = Study(folder)
        self._under_mpi = under_mpi
        (folder / "train.py").write_text(LOOK)

    def run(self, fit: int, gpus_per_trial: int | None = None) -> tuple[int, str]:
        """Run it with a trial for each rank that is fit; return the exit code and stderr."""
        changes = ["scheduler.max_resource=1", f"stop.max_trials={fit}"]
        changes += [f"objective_args.ranks={fit}"]
        if gpus_per_trial is not None:
            changes.append(f"run.gpus_per_trial={gpus_per_trial}")
        options = [word for change in changes for word in ("--set", change)]
        if self._under_mpi:
            command = [*mpirun(5), *self._study.command(*options)]
        else:
            command = self._study.command("--workers", "4", *options)
        done = self._study.run(command)
        assert self._study.left() == []
        return done.returncode, done.stderr

    def seen(self) -> list[str]:
        """List what the trials have seen."""
        return sorted(self._study.log.read_text().splitlines())


@pytest.fixture(autouse=True)
def no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what this machine says of its own."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(CUDA, "")


def test_each_rank_sees_its_own_gpu(four_ranks: Ranks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CUDA, "0,1,2,GPU-8a41")
    assert four_ranks.run(4)[0] == 0
    assert four_ranks.seen() == ["0", "1", "2", "GPU-8a41"]


def test_ranks_that_are_left_over_are_told_and_the_others_work(
    four_ranks: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CUDA, "0,1,2,3")
    code, said = four_ranks.run(2, gpus_per_trial=2)
    assert (code, four_ranks.seen()) == (0, ["0,1", "2,3"]), said
    assert "this node has 4 GPUs: enough for 2 ranks with gpus_per_trial = 2" in said
    assert said.count("and this is number 3") == 1
    assert said.count("and this is number 4") == 1


def test_a_run_whose_trials_need_gpus_ends_at_once_where_there_are_none(four_ranks: Ranks) -> None:
    code, said = four_ranks.run(4, gpus_per_trial=1)
    assert code == 2, said
    assert "gpus_per_trial = 1, and this rank sees no GPU" in said
    assert "Traceback" not in said
