"""How it is told what a study will take."""

from hpmpi.master.forecast import Forecast, RungForecast, Terms
from hpmpi.master.rules import Rules
from hpmpi.views.forecast import lines_of, lines_of_resource


def foreseen(time_s: float | None = None, in_time: float = 9.0) -> Forecast:
    """Foresee some."""
    rungs = (
        RungForecast(1, jobs=27.0, each_s=600.0, in_time=27.0),
        RungForecast(3, jobs=9.4, each_s=1200.0, in_time=in_time),
    )
    terms = Terms(Rules(max_trials=27, time_s=time_s), ranks=4, unit_s=600.0)
    return Forecast(terms, rungs, work_s=28800.0, ends_s=7200.0 * 2)


def test_rungs_hours_and_node_hours_are_told() -> None:
    assert lines_of(foreseen(), nodes=2) == [
        "rung  resource  jobs    each    together",
        "   0         1    27  10 min  4 h 30 min",
        "   1         3   9.4  20 min   3 h 8 min",
        "4 worker ranks: 4 h 0 min for 8 h 0 min of work (50% busy); 8 node-hours on 2 nodes",
    ]


def test_what_a_limit_cuts_off_is_told() -> None:
    lines = lines_of(foreseen(time_s=3600.0, in_time=2.5), nodes=1)
    assert lines[0].split() == ["rung", "resource", "jobs", "each", "together", "in", "time"]
    assert lines[2].endswith("  2.5")
    assert lines[3].endswith("; 1 node-hours on 1 node")
    assert lines[4] == "after 1 h 0 min the time is over, which cuts off 6.9 of 36 jobs"


def test_a_limit_that_cuts_nothing_off_is_not_told() -> None:
    assert "the time is over" not in "".join(lines_of(foreseen(1e6, in_time=9.4), nodes=1))


def test_without_times_resources_are_told() -> None:
    assert lines_of_resource(foreseen()) == [
        "rung  resource  jobs  each  together",
        "   0         1    27   600     16200",
        "   1         3   9.4  1200     11280",
    ]
