"""What people must know of a study is said once, at its start, and kept with the results."""

import subprocess
import sys
from pathlib import Path

import h5py

from hpmpi.storage import run_folder
from hpmpi.worker.objective import check_study
from tests.harness.drive import welcome
from tests.harness.runs import finish, start

STUDY = """
objective = "hpmpi.trainables.tree:train"
metric = "{metric}"
mode = "max"

[space]
max_depth = {{ type = "int", low = 1, high = 4 }}

[stop]
max_trials = 4

[objective_args]
dataset = "table.csv"
scoring = "{metric}"
"""


def run(folder: Path, metric: str) -> subprocess.CompletedProcess[str]:
    """Run a study of a table with an index, on two ranks."""
    lines = [f"{row},{row % 7},{'yes' if row % 3 else 'no'}\n" for row in range(40)]
    (folder / "table.csv").write_text(",a,label\n" + "".join(lines))
    (folder / "study.toml").write_text(STUDY.format(metric=metric))
    command = [sys.executable, "-m", "hpmpi", "run", "study.toml", "--workers", "2", "--out", "out"]
    return finish(start(command, folder))


def test_a_column_that_is_left_out_is_said_once_and_kept(tmp_path: Path) -> None:
    note = "table.csv: a column without a name, as an index has none: left out"
    done = run(tmp_path, "accuracy")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(note) == 1
    with h5py.File(tmp_path / "out" / run_folder.RESULTS) as file:
        assert file.attrs["notes"] == note
    command = [sys.executable, "-m", "hpmpi", "replay", str(tmp_path / "out")]
    replayed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert replayed.returncode == 0, replayed.stdout


def test_what_fails_in_each_trial_ends_a_run_before_the_first(tmp_path: Path) -> None:
    done = run(tmp_path, "f1")
    assert done.returncode == 2
    assert "pos_label=1 is not a valid label: It should be one of ['no' 'yes']" in done.stderr
    assert "Traceback" not in done.stderr
    assert b"assigned" not in (tmp_path / "out" / run_folder.JOURNAL).read_bytes()


def test_an_objective_that_looks_at_its_study_has_examples_if_it_takes_them(tmp_path: Path) -> None:
    heard = []

    def without(*_: object) -> list[str]:
        return ["a" * 1000, *map(str, range(100))]

    def with_them(*_: object, examples: object) -> None:
        heard.append(examples)

    told = welcome(tmp_path, "x:y")
    for look, notes in ((without, 20), (with_them, 0)):
        looks = type("Objective", (), {"check_study": staticmethod(look)})
        said = check_study(looks, told)
        assert len(said) == notes
        assert all(len(each) <= 300 for each in said)
    assert heard == [told.examples]
