"""bench_search.py: what it measures is kept, gone on with, and told without measuring it again."""

import json
import sys
from pathlib import Path
from subprocess import CompletedProcess, run

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "bench_search.py"
PROBLEM, LEVELS = "covtype20k_mlp", 16


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Have learning curves that fall to a loss which the learning rate alone decides."""
    folder = tmp_path_factory.mktemp("tables")
    cube = np.random.default_rng(0).random((100, 6))
    levels = np.arange(1, LEVELS + 1)
    curves = np.abs(cube[:, :1] - 0.4) + 1 / levels
    np.savez(folder / f"{PROBLEM}.npz", X=cube, err=curves, sec=np.ones_like(curves))
    return folder


def bench(*words: object) -> CompletedProcess[str]:
    return run(
        [sys.executable, SCRIPT, *map(str, words)], capture_output=True, text=True, check=False
    )


def measured(tables: Path, file: Path, *words: object) -> list[list[list[object]]]:
    """Measure two searchers; return their courses but for the CPU of an ask, their last number."""
    usual = ("--problems", PROBLEM, "--searchers", "random", "evolution", "--workers", 4)
    done = bench("--tables", tables, "--json", file, *usual, *words)
    assert done.returncode == 0, done.stderr
    return [[course[:-1] for course in courses] for _, courses in json.loads(file.read_text())]


def test_what_was_ended_goes_on_to_the_same_end(tables: Path, tmp_path: Path) -> None:
    begun = measured(tables, tmp_path / "a.json", "--seeds", 1, "--worth", 5, 10)
    gone_on = measured(tables, tmp_path / "a.json", "--seeds", 2, "--worth", 5, 10)
    at_once = measured(tables, tmp_path / "b.json", "--seeds", 2, "--worth", 5, 10)
    assert [courses[:1] for courses in gone_on] == begun
    assert gone_on == at_once
    assert [len(courses) for courses in gone_on] == [2] * 4  # two searchers, full and asha


def test_what_is_there_is_not_measured_again(tables: Path, tmp_path: Path) -> None:
    file = tmp_path / "it.json"
    measured(tables, file, "--seeds", 2, "--worth", 5)
    before = file.read_bytes()
    measured(tables, file, "--seeds", 2, "--worth", 5)
    assert file.read_bytes() == before


def test_a_study_in_virtual_time_spends_what_its_trials_cost(tables: Path, tmp_path: Path) -> None:
    words = ("--seeds", 1, "--trials", 8, "--schedulers", "full", "asha", "median")
    courses = measured(tables, tmp_path / "it.json", *words)
    took, spent = ([course[place] for (course,) in courses] for place in (2, 3))
    full, asha, median = spent[0], spent[2], spent[4]
    assert full == 8  # in full trainings
    assert took[0] == 8  # two after each other on each of four workers, which all take as long
    assert isinstance(asha, float)
    assert isinstance(median, float)
    assert asha < median <= full


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--schedulers", "asha eta"), "eta is not KEY=VALUE"),
        (("--schedulers", "asha speed=3"), "asha has no setting speed"),
        (("--searchers", "guess"), "'guess' is none of evolution, "),
    ],
)
def test_a_method_that_is_none_is_said_in_one_line(words: tuple[str, ...], said: str) -> None:
    done = bench(*words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_settings_that_do_not_go_together_are_said_in_one_line(tables: Path) -> None:
    words = ("--problems", PROBLEM, "--searchers", "random", "--schedulers", "asha min_resource=17")
    done = bench("--tables", tables, *words)
    assert done.returncode == 2
    assert "scheduler.min_resource = 17" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_was_not_written_here_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "it.json"
    file.write_text("[[]]")
    done = bench("--json", file, "--table")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{file} is none that was written here" in done.stderr
    assert file.read_text() == "[[]]"


def test_what_was_measured_is_told_without_measuring(tables: Path, tmp_path: Path) -> None:
    file = tmp_path / "it.json"
    measured(tables, file, "--workers", 1, "--seeds", 2, "--worth", 5, 10)
    measured(tables, file, "--seeds", 2, "--trials", 8)
    done = bench("--json", file, "--table", "--bars", "--figures", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "| after 5 / 10 | random | evolution |" in done.stdout
    assert f"| {PROBLEM}, asha, 8 trials, W=4 |" in done.stdout
    assert {path.name for path in tmp_path.glob("*.svg")} == {"search.svg", "schedulers.svg"}


def test_the_tables_and_verdicts_of_the_readme_are_those_that_were_measured() -> None:
    readme = (SCRIPT.parent / "README.md").read_text()
    for told in ("--table", "--bars"):
        done = bench("--json", SCRIPT.parent / "search.json", told)
        assert done.returncode == 0, done.stderr
        assert done.stdout in readme
        assert done.stdout.count("|") > 20
