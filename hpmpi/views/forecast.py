"""What a study is likely to take, for people: jobs by rung, hours, and what a limit cuts off."""

from collections.abc import Callable

from hpmpi.master.forecast import Forecast
from hpmpi.views.layout import aligned, count_of, time_of

ENDLESS = "nothing that is known beforehand ends the study: give stop.max_trials, or a --time"

HOUR_S = 3600.0


def lines_of(forecast: Forecast, nodes: int) -> list[str]:
    """Say what each rung takes, and all of them, on so many nodes."""
    terms = forecast.terms
    ends_s = min(forecast.ends_s, terms.rules.time_s or forecast.ends_s)
    busy = forecast.work_s / (terms.ranks * forecast.ends_s) if forecast.ends_s else 1.0
    total = (
        f"{count_of(terms.ranks, 'worker rank')}: {time_of(forecast.ends_s)} for "
        f"{time_of(forecast.work_s)} of work ({busy:.0%} busy); "
        f"{ends_s / HOUR_S * nodes:.2g} node-hours on {count_of(nodes, 'node')}"
    )
    return [*table(forecast, time_of), total, *cut_off(forecast)]


def lines_of_resource(forecast: Forecast) -> list[str]:
    """Say what each rung takes of the resource, where one of it was taken for a second."""
    return table(forecast, "{:.6g}".format)


def table(forecast: Forecast, write: Callable[[float], str]) -> list[str]:
    """Write a row a rung; the last column has what ends in time, where there is a limit."""
    limited = forecast.terms.rules.time_s is not None
    rows = [["rung", "resource", "jobs", "each", "together", *["in time"] * limited, ""]]
    for number, rung in enumerate(forecast.rungs):
        times = [write(rung.each_s), write(rung.jobs * rung.each_s)]
        in_time = [amount(rung.in_time)] * limited
        rows.append([str(number), str(rung.resource), amount(rung.jobs), *times, *in_time, ""])
    return aligned(rows)


def cut_off(forecast: Forecast) -> list[str]:
    """Say what has not ended when the time is over."""
    limit_s = forecast.terms.rules.time_s
    jobs = sum(rung.jobs for rung in forecast.rungs)
    late = jobs - sum(rung.in_time for rung in forecast.rungs)
    if limit_s is None or not late:
        return []
    cut = f"{amount(late)} of {amount(jobs)} jobs"
    return [f"after {time_of(limit_s)} the time is over, which cuts off {cut}"]


def amount(mean: float) -> str:
    """Write how many there are in the mean.

    >>> amount(81.0), amount(29.94), amount(1.64), amount(0.0)
    ('81', '30', '1.6', '0')
    """
    return f"{mean:.0f}" if mean >= 10 or mean == round(mean) else f"{mean:.1f}"  # noqa: PLR2004
