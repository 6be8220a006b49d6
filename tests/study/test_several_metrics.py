"""A study of several metrics, as its file says it."""

from pathlib import Path

import pytest

from hpmpi.errors import SettingsError
from hpmpi.master.ranking import FrontRung
from hpmpi.model.trial import Goal
from hpmpi.study import changes, checks, methods, settings
from hpmpi.study.settings import Settings

STUDY = """
objective = "train.py:train"
metric = ["accuracy", "size_bytes"]
mode = ["max", "min"]

[space]
rate = { type = "float", low = 0.0, high = 1.0 }

[scheduler]
method = "asha"
max_resource = 9
"""

GOAL = Goal("accuracy", "max", (Goal("size_bytes", "min"),))

MINE = """
from hpmpi.master.schedulers.full import Full


class Several(Full):
    def __init__(self, searcher, *, goal, most: int = 3):
        super().__init__(searcher, max_resource=most)
        self.goal = goal


class One(Full):
    def __init__(self, searcher):
        super().__init__(searcher)
"""


def read(folder: Path, *sets: str, text: str = STUDY) -> Settings:
    """Read a study, with some changes to it."""
    (folder / "train.py").write_text("def train(config): return 0\n")
    (folder / "mine.py").write_text(MINE)
    (folder / "mine.toml").write_text(text)
    return checks.read(folder / "mine.toml", [*sets])


def test_metrics_and_modes_go_together_in_their_order(tmp_path: Path) -> None:
    study = read(tmp_path)
    assert study.goal == GOAL
    assert settings.parse(study.toml()).goal == GOAL


def test_a_list_of_one_is_that_one(tmp_path: Path) -> None:
    study = read(tmp_path, 'metric=["accuracy"]', 'mode=["max"]', "stop.target=0.9")
    assert study.goal == Goal("accuracy", "max")


def test_one_metric_is_as_it_was(tmp_path: Path) -> None:
    study = read(tmp_path, 'metric="accuracy"', 'mode="max"')
    assert (study.metric, study.mode, study.goal) == ("accuracy", "max", Goal("accuracy", "max"))


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        (['metric=["accuracy","accuracy"]'], "names 'accuracy' twice"),
        (['mode=["max"]'], "mode = ['max'] does not go with metric = ['accuracy', 'size_bytes']"),
        (['mode="max"'], 'must say which way is better, of each metric, as mode = ["max", "min"]'),
        (['mode=["max","min","min"]'], "does not go with metric"),
        (['metric="accuracy"'], 'as mode = "max" does'),
        (['mode=["max","up"]'], "is not valid: there is: 'min', 'max'"),
        (["metric=[]", "mode=[]"], "metric = [] is not valid: expected list of length >= 1"),
        (['metric=["accuracy",""]'], "is not valid: expected text of length >= 1"),
        (['metric=["accuracy","a\\u0000"]'], "can't be a name"),
        (["stop.target=0.9"], "stop.target is for one metric"),
        (["stop.plateau={trials=5}"], "stop.plateau is for one metric"),
        (['scheduler.method="pasha"'], "use 'asha', 'full', 'hyperband', 'sha', 'top'"),
        (['scheduler.method="median"'], "'median' compares trials by one metric"),
        (['scheduler={method="mine.py:One"}'], "or a scheduler of yours that names `goal`"),
        (["scheduler.goal=3"], "scheduler.goal is not a setting"),
        (['searcher.method="gp"', "searcher.goal=3"], "searcher.goal is not a setting"),
    ],
)
def test_what_does_not_go_with_several_is_said(
    tmp_path: Path, sets: list[str], expected: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, *sets)
    assert [it for it in caught.value.problems if expected in it], caught.value.problems


@pytest.mark.parametrize("method", ["asha", "full", "hyperband", "sha", "top"])
@pytest.mark.parametrize("searcher", ["random", "sobol", "evolution", "gp", "list", "grid"])
def test_all_others_are_made_with_the_goal(tmp_path: Path, method: str, searcher: str) -> None:
    more = {"list": "candidates=[{rate=0.5}]", "grid": "resolution=3"}.get(searcher, "first=[]")
    sets = [f'searcher={{method="{searcher}",{more}}}', f'scheduler.method="{method}"']
    assert methods.build(read(tmp_path, *sets)).rungs[-1] == 9


def test_a_rung_is_ranked_by_fronts(tmp_path: Path) -> None:
    scheduler = methods.build(read(tmp_path))
    assert all(isinstance(rung, FrontRung) for rung in vars(scheduler)["_rungs"])


def test_a_scheduler_of_the_users_is_given_the_goal(tmp_path: Path) -> None:
    study = read(tmp_path, 'scheduler={method="mine.py:Several",most=5}')
    scheduler = methods.build(study)
    assert vars(scheduler)["goal"] == GOAL
    assert scheduler.rungs == (5,)
    assert "goal" not in study.scheduler


def test_another_metric_is_another_study(tmp_path: Path) -> None:
    study = read(tmp_path)
    other = read(tmp_path, 'metric=["accuracy","seconds"]')
    said = "metric[1] = 'seconds', and 'size_bytes' in the run that is there"
    assert changes.differences(other, study) == [said]
    assert changes.differences(study, study) == []
