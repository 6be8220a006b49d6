"""Each study in spaces/ is one that runs."""

import sys
from pathlib import Path

import pytest

from hpmpi.study import checks
from tests.harness.runs import IS_OPEN_MPI, ROOT, finish, start

COVTYPE = ROOT / "tests" / "data" / "covtype.20k.data.xz"

SMALL = {
    "boosting": ["scheduler.min_resource=2", "scheduler.max_resource=6"],
    "covtype_forest": [f"objective_args.dataset={COVTYPE}", "objective_args.rows=300"],
    "data_parallel": ["scheduler.max_resource=3", "space.hidden.high=70"],
    "digits": ["scheduler.max_resource=3", "space.hidden.high=70"],
    "federated": ["scheduler.max_resource=3", "objective_args.hidden=20"],
    "forest": ["scheduler.min_resource=2", "scheduler.max_resource=6"],
    "knn": ["objective_args.rows=400", "scheduler.max_resource=300"],
    "logistic": ["scheduler.max_resource=2", "objective_args.folds=2"],
    "pipeline": ["scheduler.max_resource=2", "objective_args.folds=2"],
    "regression": ["scheduler.max_resource=2", "objective_args.folds=2"],
    "svm": ["objective_args.rows=400", "scheduler.max_resource=300"],
    "tree": ["scheduler.max_resource=2", "objective_args.folds=2"],
}
"""What makes a study small enough for a test: `--set` options, beside few trials."""

STUDIES = {path.stem: path for path in sorted((ROOT / "spaces").glob("*.toml"))}

OF_MPICH = pytest.mark.skipif(IS_OPEN_MPI, reason="MPICH's wire")
TO_RUN = [
    pytest.param(name, marks=OF_MPICH if '\nworld = "mpi"' in path.read_text() else ())
    for name, path in STUDIES.items()
]


def options(name: str) -> list[str]:
    """List the changes that make a study small."""
    return ["stop.max_trials=4", *SMALL.get(name, [])]


def small(name: str) -> list[str]:
    """Say how to run a study in spaces/ at a small size."""
    words = [sys.executable, "-m", "hpmpi", "run", str(STUDIES[name])]
    return [*words, *(word for each in options(name) for word in ("--set", each))]


@pytest.mark.parametrize("name", STUDIES)
def test_each_study_is_whole_and_says_what_it_is(name: str) -> None:
    study = checks.read(STUDIES[name], [])
    assert STUDIES[name].read_text().startswith("# ")
    assert study.baseline in (None, str(study.objective).replace(":train", ":default"))
    assert checks.read(STUDIES[name], options(name)).stop.max_trials == 4


@pytest.mark.parametrize("name", TO_RUN)
def test_each_study_runs_to_a_leaderboard(tmp_path: Path, name: str) -> None:
    words = ["--workers", "2", "--out", str(tmp_path / "out")]
    run = finish(start([*small(name), *words], tmp_path))
    assert run.returncode == 0, run.stderr
    assert f"{name}: complete; 4 trials" in run.stdout
    assert "given up" not in run.stdout
