"""What a run has come to: the best, how it compares, and what there is to do with it."""

import shlex

from hpmpi.history.advice import too_few
from hpmpi.history.history import History
from hpmpi.history.overview import Overview
from hpmpi.history.standings import Standing
from hpmpi.master.shield import RAISED
from hpmpi.model.fronts import dominates
from hpmpi.model.messages import Outcome, gist
from hpmpi.model.trial import WORST, Goal, Metrics
from hpmpi.views import rows
from hpmpi.views.layout import count_of, reached, resource_of
from hpmpi.views.run_view import MENDED, Summary


def conclusion(summary: Summary, view: Overview) -> list[str]:
    """Say what is best, its configuration, how much it beats the baseline by, and what is next."""
    history = summary.history
    incumbent = history.incumbent
    if summary.outcome is Outcome.UNFIT:
        return [unfitness(history)]
    if summary.outcome is Outcome.FAILED and history.failures:
        error = gist(history.failures[-1].error)
        return [f"trials fail alike, and none has succeeded: {error}", MENDED]
    if incumbent is None:
        return [nothing_yet(view) if summary.goes_on else "no trial has succeeded"]
    best = (incumbent,) if not history.goal.others else ends_of(history)
    lines = [
        line
        for name, it in zip(history.goal.names, best, strict=True)
        for line in lines_of_best(f" {name}" if history.goal.others else "", it, summary, view)
    ]
    if history.goal.others:
        lines = [f"front: {count_of(len(history.standings.front), 'trial')}", *lines]
    lines += shortfall(summary)
    if summary.baseline is not None:
        what = "baseline" if summary.study.baseline else "tried first"
        told = reached(told_of(summary), summary.baseline)
        apart = told_of(summary) != history.goal
        if by := compared(summary, summary.baseline):
            lines += [f"{what}: {told}", by] if apart else [f"{what}: {told}; {by}"]
    return [*lines, *next_steps(summary)]


def lines_of_best(name: str, best: Standing, summary: Summary, view: Overview) -> list[str]:
    """Say what a trial has reached, and with which configuration."""
    at = resource_of(best.resource, view.study.unit)
    config = rows.configuration(view.space.shown(best.config))
    told = f"best{name}: trial {best.trial}, {reached(told_of(summary), best.metrics)} at {at}"
    return [told, *([f"    {config}"] if config else [])]


def told_of(summary: Summary) -> Goal:
    """Choose what is told of the best and the baseline: what is studied, and what judges them."""
    goal, judge = summary.history.goal, summary.judge
    return goal if judge == goal else Goal(goal.metric, goal.mode, (judge,))


def next_steps(summary: Summary) -> list[str]:
    """Say what there is to do with a run that is complete."""
    if summary.outcome is not Outcome.COMPLETE or summary.folder is None:
        return []
    folder = shlex.quote(str(summary.folder))
    return [
        f"next: hpmpi report {folder}; hpmpi plot {folder}; hpmpi export {folder} --format toml"
    ]


def nothing_yet(view: Overview) -> str:
    """Say that nothing has succeeded yet, and which trial has reported the best so far."""
    reports = [
        (view.goal.loss(it.newest.metrics), it)
        for it in view.running
        if it.newest is not None and view.goal.is_in(it.newest.metrics)
    ]
    if not reports:
        return "no trial has succeeded yet"
    _, best = min(reports, key=lambda report: report[0])
    assert best.newest is not None, "it was looked for"
    said = f"{reached(view.goal, best.newest.metrics)}"
    at = resource_of(best.newest.resource, view.study.unit)
    return f"no trial has come to a rung yet; trial {best.standing.trial} reports {said} at {at}"


def shortfall(summary: Summary) -> list[str]:
    """Say where no trial has come to the top, and how many trials that takes."""
    history, top = summary.history, summary.study.scheduler.get("max_resource")
    incumbent = history.incumbent
    if summary.outcome is not Outcome.COMPLETE or incumbent is None or not isinstance(top, int):
        return []
    if incumbent.resource >= top:
        return []
    few = too_few(summary.study, history.starts[-1].rungs)
    takes = f": that takes {few.enough} trials, or min_resource = {few.resource}" if few else ""
    return [f"no trial came to max_resource = {top}{takes}"]


def ends_of(history: History) -> list[Standing]:
    """Find who is best in each metric, of those on the front; of equal ones, in the others."""
    return [
        min(history.standings.front, key=lambda it: (it.losses[number], it.place))
        for number in range(len(history.goal.names))
    ]


def compared(summary: Summary, baseline: Metrics) -> str:
    """Say how the best compares with what it is measured by; of several metrics, how many are."""
    goal = summary.history.goal
    if summary.gain is not None:
        by = summary.judge.metric
        where = "" if by == goal.metric else f"by {by}, of data that no choice used, "
        return where + comparison(summary.gain)
    if not goal.others or goal.loss(baseline) == WORST:
        return ""
    front = summary.history.standings.front
    better = sum(dominates(it.losses, goal.losses(baseline)) for it in front)
    return f"{better or 'none'} of the front beat{'s' if better < 2 else ''} it"  # noqa: PLR2004


def unfitness(history: History) -> str:
    """Say why a study can't be led or worked at."""
    if history.draining is not None and history.draining.startswith(RAISED):
        return history.draining
    return f"no rank can work: {gist(history.refusal)}"


def comparison(gain: float) -> str:
    """Say how the best compares with what it is measured by."""
    if gain == 0:
        return "nothing is better"
    return f"the best is {'better' if gain > 0 else 'worse'} by {abs(gain):.4g}"
