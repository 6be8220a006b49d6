"""What a searcher and a scheduler of a study are made with."""

from pathlib import Path

import pytest

from hpmpi.errors import SettingsError
from hpmpi.study import checks, methods
from hpmpi.study.settings import Settings

STUDY = """
objective = "train.py:train"
[space]
x = {{ type = "float", low = 0.0, high = 1.0 }}
[searcher]
method = "mine.py:Mine"
[scheduler]
method = "{scheduler}"
{setting}
"""

SEARCHER = """
class Mine:
    def __init__(self, space, seed, first{keywords}):
        self.config = {{"x": ({x}) / 100}}

    def ask(self, trial):
        return self.config

    def adopt(self, trial, config):
        pass

    def tell(self, trial, rung, resource, loss, metrics):
        pass
"""

SCHEDULER = """
class Own:
    promotable = awaits = False
    rungs = ()

    def __init__(self, searcher, *, most: int):
        self.rungs = [2, most]

    def ask(self, *, may_start, rungs):
        return None

    def adopt(self, job):
        pass

    def tell(self, job, loss, metrics):
        return []
"""


ASHA = {"scheduler": "asha", "setting": "max_resource = 9"}
OWN = {"scheduler": "mine.py:Own", "setting": "most = 50"}


def read(
    folder: Path, keywords: str, x: str, *changes: str, scheduler: dict[str, str] = ASHA
) -> Settings:
    """Read a study with a searcher of the user's."""
    (folder / "train.py").write_text("def train(config): return 0\n")
    (folder / "mine.py").write_text(SEARCHER.format(keywords=keywords, x=x) + SCHEDULER)
    (folder / "study.toml").write_text(STUDY.format(**scheduler))
    return checks.read(folder / "study.toml", list(changes))


@pytest.mark.parametrize(
    "keywords", [", *, rungs, ranks", ", rungs, ranks", ", *, rungs: tuple[int, ...] = (), ranks=4"]
)
def test_a_searcher_that_names_rungs_and_ranks_is_given_them(tmp_path: Path, keywords: str) -> None:
    study = read(tmp_path, keywords, "10 * len(rungs) + rungs[-1] + ranks")
    assert study.searcher.keys() == {"method", "first"}, "they are no settings"
    assert methods.build_searcher(study).ask(0) == {"x": 0.4}
    assert methods.build_searcher(study, ranks=20).ask(0) == {"x": 0.59}


@pytest.mark.parametrize(
    ("keywords", "x"),
    [
        (", *, rungs, depth: int = 3", "rungs[1] + depth"),
        (", *, ranks, depth: int = 3", "ranks - 2 + depth"),
        (", *, depth: int = 6", "depth"),
        (", *, depth: int = 6, **others", "depth + len(others)"),
    ],
)
def test_what_a_searcher_does_not_name_it_is_not_given(
    tmp_path: Path, keywords: str, x: str
) -> None:
    study = read(tmp_path, keywords, x)
    assert "depth" in study.searcher
    assert methods.build_searcher(study, ranks=5).ask(0) == {"x": 0.06}


@pytest.mark.parametrize("name", ["rungs", "ranks"])
def test_what_a_searcher_is_given_can_not_be_set(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, ", *, rungs, ranks", "ranks", f"searcher.{name}=3")
    said = f"searcher.{name} is not a setting; [searcher] has: method, first, learn_from"
    assert caught.value.problems == [said]


def test_the_rungs_are_those_of_a_scheduler_of_the_users_too(tmp_path: Path) -> None:
    study = read(tmp_path, ", *, rungs", "sum(rungs)", scheduler=OWN)
    assert methods.rungs_of(study) == (2, 50)
    assert methods.build_searcher(study).ask(0) == {"x": 0.52}


def test_rungs_that_can_not_be_are_the_schedulers_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, ", *, rungs", "0", "scheduler.min_resource=10")
    (problem,) = caught.value.problems
    assert problem.startswith("scheduler.min_resource = 10 must not be greater than")


def read_adapted(folder: Path, method: str, *changes: str) -> Settings:
    """Read a study with a searcher of a library's."""
    named = ("searcher.method=" + method, *(f"searcher.{change}" for change in changes))
    return read(folder, "", "0", *named)


def test_a_sampler_of_optunas_is_a_searcher_whose_settings_are_checked(tmp_path: Path) -> None:
    study = read_adapted(tmp_path, "optuna:TPESampler", "n_startup_trials=5")
    assert study.searcher["n_startup_trials"] == 5
    assert study.searcher["n_ei_candidates"] == 24, "what was used is stored"
    assert methods.thinks(study, tmp_path)
    assert isinstance(methods.build_searcher(study).ask(0), dict)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("n_startup=5", "did you mean n_startup_trials? [searcher] has: method, first, learn_from"),
        (
            "n_startup_trials='five'",
            "searcher.n_startup_trials = 'five' is not valid: expected int",
        ),
        ("gamma=3", "searcher.gamma is not a setting"),
        ("seed=3", "searcher.seed is not a setting"),
        ("fidelity='top'", 'searcher.fidelity is a setting of method = "gp", and this is'),
    ],
)
def test_a_setting_that_a_sampler_has_not_is_told(tmp_path: Path, change: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_adapted(tmp_path, "optuna:TPESampler", change)
    (problem,) = caught.value.problems
    assert said in problem


def test_a_sampler_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"optuna:TPE is not there: .*: CmaEsSampler"):
        read_adapted(tmp_path, "optuna:TPE")


def test_a_generator_in_a_file_beside_the_study_is_named_whole(tmp_path: Path) -> None:
    code = Path(__file__).parents[1] / "harness" / "generators.py"
    (tmp_path / "theirs.py").write_text(code.read_text())
    study = read_adapted(tmp_path, "gest:theirs.py:Mutants", "width=0.5")
    assert study.searcher["method"] == f"gest:{tmp_path}/theirs.py:Mutants"
    assert study.searcher["width"] == 0.5
    assert isinstance(methods.build_searcher(study).ask(0), dict)
