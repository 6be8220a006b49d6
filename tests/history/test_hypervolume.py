"""How much a front dominates, beside figures by hand and points thrown at random."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpmpi.history.history import History
from hpmpi.history.hypervolume import hypervolume, hypervolumes
from hpmpi.model.records import Line
from hpmpi.model.trial import BASELINE, Losses, Metrics, Mode
from hpmpi.study.settings import Settings
from tests.harness.histories import assigned, history, result

shares = st.sampled_from([0.0, 0.25, 0.5, 0.75])


def thrown(points: list[Losses], count: int = 4000) -> float:
    """Throw points at the box; count those that are dominated."""
    draw = Random(7).random  # noqa: S311 - not for secrets
    metrics = len(points[0])
    places = [[draw() for _ in range(metrics)] for _ in range(count)]
    pairs = (
        any(all(map(float.__le__, it, place)) for it in points)  # what `it` dominates
        for place in places
    )
    return sum(pairs) / count


@given(st.integers(2, 3).flatmap(lambda m: st.lists(st.tuples(*[shares] * m), min_size=1)))
def test_it_is_what_points_at_random_say(points: list[Losses]) -> None:
    assert hypervolume(points) == pytest.approx(thrown(points), abs=0.04)


def test_what_others_dominate_adds_nothing() -> None:
    assert hypervolume([(0.5, 0.5), (0.5, 0.75), (0.5, 0.5)]) == 0.25
    assert hypervolume([(0.5, 0.5, 0.0), (0.75, 0.5, 0.25)]) == 0.25


def told(*results: Metrics, names: tuple[str, ...] = ("score", "size")) -> History:
    """Have trials come to results, one second after the other; the first metric is a score."""
    lines: list[Line] = []
    for trial, metrics in enumerate(results):
        lines += [assigned(trial, at=0.0), result(trial, metrics, at=float(trial))]
    return history(*lines, settings=study_of(*names))


def study_of(*names: str) -> str:
    """Write a study of a score, and of what is to be small."""
    modes: list[Mode] = ["max"]
    modes += ["min" for _ in names[1:]]
    return Settings("mine", {}, "train.py:train", metric=[*names], mode=modes).toml()


def test_it_grows_with_the_front_and_with_nothing_else() -> None:
    worst, good = {"score": 0.0, "size": 10.0}, {"score": 1.0, "size": 10.0}
    small = {"score": 0.0, "size": 0.0}
    volumes = hypervolumes(told(worst, good, worst, small), most=9)
    assert volumes is not None
    assert volumes.reference == {"score": pytest.approx(-0.1), "size": pytest.approx(11.0)}
    tenth = 0.1 / 1.1
    assert [at for at, _ in volumes.shares] == [0.0, 1.0, 3.0]
    assert [share for _, share in volumes.shares] == [
        pytest.approx(tenth * tenth),
        pytest.approx(tenth),
        pytest.approx(1 - (1 - tenth) ** 2),
    ]


def test_only_the_last_is_told_where_no_more_is_wanted() -> None:
    results = [{"score": float(it), "size": float(it)} for it in range(9)]
    last, all_of_them = hypervolumes(told(*results)), hypervolumes(told(*results), most=99)
    assert last is not None
    assert all_of_them is not None
    assert last.shares == all_of_them.shares[-1:]


def test_what_is_no_number_counts_for_nothing() -> None:
    real = [{"score": 1.0, "size": 2.0}, {"score": 0.0, "size": 3.0}]
    lacking = [{"score": 9.0, "size": math.nan}, {"score": math.inf, "size": 0.0}]
    both, alone = hypervolumes(told(*real, *lacking)), hypervolumes(told(*real))
    assert both == alone


def test_numbers_that_no_axis_can_show_are_no_trouble() -> None:
    volumes = hypervolumes(told({"score": 1e308, "size": -1e308}, {"score": 0.0, "size": 3.0}))
    assert volumes is not None
    assert 0 < volumes.shares[-1][1] <= 1


def test_an_outlier_does_not_move_the_reference() -> None:
    results = [{"score": float(it % 5), "size": float(it % 7)} for it in range(30)]
    volumes = hypervolumes(told(*results, {"score": -1e9, "size": 6.0}))
    assert volumes is not None
    assert volumes.reference["score"] > -10


@pytest.mark.parametrize("names", [("score",), ("score", "a", "b", "c")])
def test_there_is_none_of_one_metric_or_of_four(names: tuple[str, ...]) -> None:
    assert hypervolumes(told(dict.fromkeys(names, 1.0), names=names)) is None


def test_there_is_none_without_a_result() -> None:
    assert hypervolumes(told()) is None
    assert hypervolumes(told({"score": math.nan, "size": 1.0})) is None


def test_the_baseline_is_no_result_of_it() -> None:
    best = result(BASELINE, {"score": 9.0, "size": 0.0})
    told = history(assigned(BASELINE), best, settings=study_of("score", "size"))
    assert hypervolumes(told) is None
