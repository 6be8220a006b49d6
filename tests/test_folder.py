"""A folder of a trial's own: what one attempt writes no other reads."""

from pathlib import Path

import pytest

from hpmpi.model.messages import Assign, Finished
from hpmpi.model.trial import AttemptId
from hpmpi.storage import run_folder
from tests.harness.drive import child_of, order, welcome
from tests.harness.runs import Study

SOLVER = """
import os, subprocess
from pathlib import Path

def solve(config, trial):
    Path("input.dat").write_text(str(config["x"]))
    subprocess.run(["sh", "-c", "read x < input.dat; echo $x > result.dat"], check=True)
    return {"loss": float(Path("result.dat").read_text()), "is": Path.cwd().parent == trial.folder}

def ask(config, trial):
    (trial.folder / f"{trial.rung}").write_text(str(trial.number))
    assert trial.folder == trial.folder
    return len(os.listdir(trial.folder))

def find(config, trial):
    return float(trial.folder.is_dir())

def leave(config, trial):
    os.chdir("/")
    return 0.0

def look(config, trial):
    return float(os.getcwd() == config["folder"])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write objectives; return the folder of their runs."""
    (tmp_path / "it.py").write_text(SOLVER)
    return tmp_path


def test_each_attempt_works_in_a_folder_of_its_own(folder: Path) -> None:
    with child_of(welcome(folder, "it.py:solve", own_folder=True)) as rig:
        for attempt in (1, 2):
            rig.assign(order(7, attempt=attempt, x=attempt))
            assert rig.until(Finished).metrics == {"loss": attempt, "is": 1.0}
    for attempt in (1, 2):
        assert (
            folder / "trials" / "7" / f"0.{attempt}" / "result.dat"
        ).read_text() == f"{attempt}\n"


def test_a_working_folder_has_nothing_of_a_lost_attempt(folder: Path) -> None:
    (folder / "trials" / "0" / "0.1").mkdir(parents=True)
    (folder / "trials" / "0" / "0.1" / "lost.dat").touch()
    with child_of(welcome(folder, "it.py:solve", own_folder=True)) as rig:
        rig.succeed(x=3)
    assert not (folder / "trials" / "0" / "0.1" / "lost.dat").exists()


def test_a_trials_folder_is_made_when_it_is_asked_for(folder: Path) -> None:
    with child_of(welcome(folder, "it.py:ask")) as rig:
        assert rig.do(x=0) == Finished(AttemptId(0, 0, 1), {"loss": 1.0})
    with child_of(welcome(folder)) as rig:
        rig.assign(order(1, x=0))
        rig.until(Finished)
    assert [path.name for path in (folder / "trials").iterdir()] == ["0"]


def test_all_attempts_at_a_trial_have_the_same_folder_at_all_rungs(folder: Path) -> None:
    with child_of(welcome(folder, "it.py:ask")) as rig:
        for rung, attempt in ((0, 1), (0, 2), (1, 1)):
            rig.assign(Assign(AttemptId(7, rung, attempt), 3**rung, {}, seed=0))
            assert rig.until(Finished).metrics == {"loss": rung + 1.0}


def test_an_empty_working_folder_goes_but_no_folder_of_a_trial(folder: Path) -> None:
    with child_of(welcome(folder, "it.py:leave", own_folder=True)) as rig:
        rig.succeed()
    assert list((folder / "trials").iterdir()) == []
    with child_of(welcome(folder, "it.py:find", own_folder=True)) as rig:
        assert rig.succeed().metrics["loss"] == 1.0
    with child_of(welcome(folder, "it.py:leave", own_folder=True)) as rig:
        rig.succeed()
    assert list((folder / "trials" / "0").iterdir()) == []


@pytest.mark.parametrize("own", [True, False])
def test_the_working_folder_is_put_back(folder: Path, own: bool) -> None:  # noqa: FBT001
    lines = (
        "\n\ndef both(config, trial): return (leave if config['leaves'] else look)(config, trial)"
    )
    (folder / "it.py").write_text(SOLVER + lines)
    with child_of(welcome(folder, "it.py:both", own_folder=own)) as rig:
        rig.succeed(leaves=True)
        expected = str(folder / "trials" / "0" / "0.2") if own else str(Path.cwd())
        assert rig.succeed(leaves=False, folder=expected).metrics["loss"] == 1.0


def test_a_study_says_whether_its_trials_share_a_folder(tmp_path: Path) -> None:
    study = Study(tmp_path)
    (tmp_path / "it.py").write_text(SOLVER)
    changes = [f"--set={each}" for each in ("objective=it.py:solve", "metric=is", "run.folder=own")]
    done = study.run(study.command("--workers", "2", *changes))
    assert done.returncode == 0, done.stderr
    assert len(list((study.out / "trials").glob("*/*/result.dat"))) == len(study.results)
    assert run_folder.is_begun(study.out)
