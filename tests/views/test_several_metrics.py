"""What is told of a study of several metrics: who is on the front, and how much that dominates."""

import csv
import io
import json
import math

import pytest

from hpmpi.history import tables
from hpmpi.model.records import Line
from hpmpi.model.trial import BASELINE, Mode
from hpmpi.study import toml
from hpmpi.study.settings import Settings
from hpmpi.views import export, story
from hpmpi.views.figures import style
from hpmpi.views.figures.front import front
from hpmpi.views.figures.run import Run
from hpmpi.views.plot import figures_of
from hpmpi.views.run_view import Summary, sum_up
from hpmpi.views.show import text
from hpmpi.views.show_json import text as as_json
from tests.harness.histories import assigned, exported, history, result

RESULTS = [(0.5, 5.0), (0.9, 9.0), (0.4, 9.5), (0.1, 1.0), (0.8, math.nan), (0.0, 1.0)]
ON_FRONT = [1, 3, 0]
"""The ends first, of the first metric's best and the second's; ties by who came in earlier."""


def summed_up(*more: Line, baseline: bool = False, metrics: tuple[str, ...] = ()) -> Summary:
    """Sum up trials that came to a score and a size, and to what more lines say."""
    names = metrics or ("score", "size")
    modes: list[Mode] = ["max"]
    modes += ["min" for _ in names[1:]]
    study = Settings(
        name="mine",
        objective="train.py:train",
        space={},
        metric=[*names],
        mode=modes,
        baseline="train.py:usual" if baseline else None,
    )
    lines = [
        line
        for trial, pair in enumerate(RESULTS)
        for values in [dict(zip(names, (*pair, 1.0, 1.0), strict=False))]
        for line in (assigned(trial), result(trial, values, at=2.0 + trial))
    ]
    return sum_up(history(*lines, *more, rungs=(1, 3), settings=study.toml()))


def rows(summary: Summary, top: int = 9) -> list[list[str]]:
    """Read the leaderboard."""
    lines = text(summary, top).split("\n\n")[1].splitlines()
    return [line.split() for line in lines]


def test_the_leaderboard_has_all_metrics_and_the_front() -> None:
    head, *table = rows(summed_up())
    assert head == ["place", "front", "trial", "score", "size", "resource", "x"]
    assert [row[:5] for row in table] == [
        ["1", "1", "1", "0.9", "9"],
        ["2", "1", "3", "0.1", "1"],
        ["3", "1", "0", "0.5", "5"],
        ["4", "2", "2", "0.4", "9.5"],
        ["5", "2", "5", "0", "1"],
        ["6", "4", "0.8", "nan", "1"],
    ]


def test_it_is_said_who_is_best_in_each_metric() -> None:
    said = text(summed_up(), 3).splitlines()
    assert said[-5:] == [
        "front: 3 trials",
        "best score: trial 1, score 0.9, size 9 at resource 1",
        "    x=0.125",
        "best size: trial 3, score 0.1, size 1 at resource 1",
        "    x=0.375",
    ]


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        ({"score": 0.3, "size": 6.0}, "1 of the front beats it"),
        ({"score": 0.05, "size": 9.0}, "3 of the front beat it"),
        ({"score": 0.9, "size": 0.5}, "none of the front beats it"),
    ],
)
def test_it_is_said_how_many_beat_the_baseline(baseline: dict[str, float], said: str) -> None:
    done = [assigned(BASELINE), result(BASELINE, baseline)]
    last = text(summed_up(*done, baseline=True), 3).splitlines()[-1]
    assert last.startswith("baseline: score 0.")
    assert last.endswith(said)


def test_a_baseline_that_is_no_number_compares_with_nothing() -> None:
    done = [assigned(BASELINE), result(BASELINE, {"score": math.nan, "size": 1.0})]
    assert "baseline" not in text(summed_up(*done, baseline=True), 3)


def test_programs_are_told_the_front_and_its_hypervolume() -> None:
    told = json.loads(as_json(summed_up(), 2))
    assert (told["metric"], told["mode"]) == (["score", "size"], ["max", "min"])
    assert told["front"] == sorted(ON_FRONT)
    assert told["incumbent"] == 1
    assert [it["front"] for it in told["leaderboard"]] == [1, 1]
    assert told["reference"].keys() == {"score", "size"}
    assert 0 < told["hypervolume"] < 1


def test_programs_are_told_of_one_metric_what_they_were() -> None:
    study = Settings("mine", {}, "train.py:train", metric="loss").toml()
    told = json.loads(as_json(sum_up(history(assigned(0), result(0, 0.5), settings=study)), 2))
    assert (told["metric"], told["mode"]) == ("loss", "min")
    assert not told.keys() & {"front", "hypervolume", "reference"}
    assert "front" not in told["leaderboard"][0]


def test_as_csv_and_json_each_trial_has_its_front() -> None:
    table = list(csv.DictReader(io.StringIO(exported(summed_up(), "csv"))))
    assert [(row["trial"], row["front"]) for row in table][:4] == [
        ("1", "1"),
        ("3", "1"),
        ("0", "1"),
        ("2", "2"),
    ]
    listed = json.loads(exported(summed_up(), "json"))
    assert [it["front"] for it in listed] == [1, 1, 1, 2, 2, None]


def test_as_toml_the_whole_front_is_written() -> None:
    written = toml.load(export.as_toml(summed_up()), "the front")["front"]
    assert [it["trial"] for it in written] == ON_FRONT
    assert written[0] == {
        "trial": 1,
        "metrics": {"score": 0.9, "size": 9.0},
        "config": {"x": 1 / 8},
    }


def test_tables_have_fronts_in_place_of_a_loss() -> None:
    told = tables.tell(summed_up().history)
    assert "loss" not in told["results"]
    assert told["leaderboard"]["front"] == [1, 1, 1, 2, 2, None]


def test_the_story_of_a_trial_says_that_it_is_on_the_front() -> None:
    assert "place 3 of 6, on the front" in story.text(summed_up(), 0)
    assert "place 4 of 6\n" in story.text(summed_up(), 2)
    assert "the best score then" in story.text(summed_up(), 1)
    assert json.loads(story.as_json(summed_up(), 0))["on_front"] is True


def climbing() -> list[Line]:
    """Have nine more trials go on to the next rung, where their sizes are turned around."""
    return [
        line
        for trial in range(6, 15)
        for line in (
            assigned(trial),
            result(trial, {"score": float(trial), "size": float(trial)}),
            assigned(trial, 1),
            result(trial, {"score": float(trial), "size": float(-trial)}, 1),
        )
    ]


def test_rungs_agree_or_do_not_metric_by_metric() -> None:
    said = text(summed_up(*climbing()), 1)
    assert "rank correlation of the rungs, by score: 1.00 of 1 with 3 (9 trials)\n" in said
    assert "the first rung says nothing of who is better at 3, by size: " in said
    told = json.loads(as_json(summed_up(*climbing()), 1))["rank_correlations"]
    assert [(it["metric"], it["correlation"]) for it in told] == [("score", 1.0), ("size", -1.0)]


@pytest.mark.parametrize(
    ("metrics", "panels"), [((), 2), (("score", "size", "time"), 3), (("a", "b", "c", "d"), 3)]
)
def test_the_front_is_drawn_with_each_metric_and_the_hypervolume_of_up_to_three(
    metrics: tuple[str, ...], panels: int
) -> None:
    run = Run.of("mine", summed_up(metrics=metrics))
    with style.styled():
        figure = front(run)
        names = [name for name, drawn in figures_of(run) if drawn is not None]
    assert figure is not None
    assert len(figure.axes) == panels
    assert "front" in names
    labels = [panel.get_ylabel() for panel in figure.axes]
    assert ("share that is dominated" in labels) == (len(metrics) < 4)


def test_of_one_metric_no_front_is_drawn() -> None:
    study = Settings("mine", {}, "train.py:train").toml()
    run = Run.of("mine", sum_up(history(assigned(0), result(0, 0.5), settings=study)))
    with style.styled():
        assert front(run) is None
        assert "front" not in [name for name, _ in figures_of(run)]
