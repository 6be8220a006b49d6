"""`hpmpi show`: how a run stands, finished or not, for people.

It only reads, and may be asked from anywhere that sees the run folder: it never waits for the run,
and the run never waits for it.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from hpmpi.history.agreement import Agreement, agreements
from hpmpi.history.attempts import FailedAttempt
from hpmpi.history.history import History
from hpmpi.history.overview import Overview
from hpmpi.history.ranks import Ranks, RankState
from hpmpi.model.messages import end_of, escaped, gist
from hpmpi.model.trial import BASELINE
from hpmpi.storage.lock import Sign
from hpmpi.views import paid, rows
from hpmpi.views.conclusion import conclusion
from hpmpi.views.layout import (
    WIDTH,
    aligned,
    fitted,
    span,
)
from hpmpi.views.run_view import Summary

RUNNING = "running"
INTERRUPTED = "interrupted"
"""The states of a run that has not come to an end."""

MOST_RUNNING = 10
"""How many of the trials in work are told."""

MOST_NAMED = 5
"""How many are named of what there may be many of: trials that were given up, ranks, hosts."""


def text(summary: Summary, top: int, *, ends: bool = True) -> str:
    """Write the best `top` trials as a table; above it how the run goes on, below what it came to.

    Of the rungs and failures there are tables as well, and, with `ends`, the ends of tracebacks.
    """
    view = summary.overview(top)
    ranked = sum(standing.rung >= 0 for standing in summary.history.trials)
    lines = [
        headline(summary),
        *present(summary),
        *(["", *fitted(aligned(rows.leaderboard(view)))] if ranked else []),
    ]
    if ranked > top:
        lines.append(f"... and {ranked - top} more")
    lines += [
        "",
        *in_work(view),
        *ladder(view),
        *restarts(summary.history),
        *agreement(summary.history),
        *setbacks(summary.history.failures, ends=ends),
        *paid.lines(summary.history),
        *conclusion(summary, view),
    ]
    return "\n".join(map(escaped, lines))


def headline(summary: Summary) -> str:
    """Say in a line how far the run is."""
    history = summary.history
    parts = [f"{len(history.trials)} trials", f"{history.results} results", f"{history.at:.0f} s"]
    parts += [f"{times} x {kind}" for kind, times in count(history.failures).items()]
    return f"{summary.study.name}: {state(summary)}; {', '.join(parts)}"


def state(summary: Summary) -> str:
    """Name the state of a run."""
    if summary.outcome is not None:
        return summary.outcome.value
    return RUNNING if summary.goes_on else INTERRUPTED


# -- what goes on ----------------------------------------------------------------------------------


def present(summary: Summary) -> list[str]:
    """Say what the ranks do and until when they may, or why they do nothing any more."""
    history = summary.history
    if summary.outcome is not None:
        return []
    if not summary.goes_on:
        return [absence(summary.sign)]
    lines = [f"ranks: {ranks(history.ranks)}"]
    if broken := history.ranks.broken_hosts:
        lines.append(f"broken, and left out by a requeue: {', '.join(broken)}")
    if history.deadline is not None:
        lines.append(ending(history.deadline.epoch_s, summary.looked_at))
    if history.draining is not None:
        lines.append(f"draining: {history.draining}")
    return lines


def absence(sign: Sign | None) -> str:
    """Say how it is known that nobody runs a study."""
    if sign is None:
        return "nobody has the run folder: the same command goes on from here"
    who = f"process {sign.lease.pid} on {sign.lease.host}"
    if sign.gone:
        return f"{who} is gone: the same command goes on from here"
    return f"no sign of life for {span(sign.age_s)} ({who})"


def ranks(known: Ranks) -> str:
    """Count the ranks by state; name those that can't work."""
    parts = []
    for state, number in known.counts().items():
        named = state in (RankState.LOST, RankState.UNFIT, RankState.QUARANTINED)
        where = f" ({places(known.in_state(state))})" if named else ""
        parts += [f"{number} {state.value}{where}"] if number else []
    return ", ".join(parts)


def places(hosts: Mapping[int, str]) -> str:
    """Say which ranks, by host; of many on one host only how many.

    >>> places({3: "node1", 5: "node3", 6: "node3"}), places({1: ""})
    ('rank 3 on node1, ranks 5, 6 on node3', 'rank 1')
    >>> places(dict.fromkeys(range(8), "node3"))
    '8 ranks on node3'
    """
    by_host: dict[str, list[str]] = {}
    for rank, host in hosts.items():
        by_host.setdefault(host, []).append(str(rank))
    told = []
    for host, of_host in list(by_host.items())[:MOST_NAMED]:
        named = f"ranks {', '.join(of_host)}" if len(of_host) > 1 else f"rank {of_host[0]}"
        which = named if len(of_host) <= MOST_NAMED else f"{len(of_host)} ranks"
        told.append(f"{which} on {host}" if host else which)
    return ", ".join([*told, *(["..."] if len(by_host) > MOST_NAMED else [])])


def ending(epoch_s: float, now: float) -> str:
    """Say when the allocation ends; both in seconds since 1970."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(epoch_s))
    if epoch_s <= now:
        return f"the allocation was to end at {when}"
    return f"the allocation ends at {when} (in {span(epoch_s - now)})"


def ladder(view: Overview) -> list[str]:
    """Count the jobs by rung, where there is more than one."""
    table = rows.rungs(view)
    return [*aligned([[*row, ""] for row in table]), ""] if table else []


def in_work(view: Overview) -> list[str]:
    """Say which trials are in work, and what they have reported last; of many, the furthest."""
    if not view.running:
        return []
    more = len(view.running) - MOST_RUNNING
    rest = [f"... and {more} more in work"] if more > 0 else []
    return [*fitted(aligned(rows.running(view, MOST_RUNNING))), *rest, ""]


def restarts(history: History) -> list[str]:
    """Say how many promoted trials were trained from the beginning again."""
    if not history.restarted:
        return []
    return [f"promoted, and begun from 0 for lack of a checkpoint: {history.restarted}", ""]


def agreement(history: History) -> list[str]:
    """Say how far neighbouring rungs agree, and what to do where they don't; metric by metric."""
    lines = []
    for goal in history.goal.each:
        by = f", by {goal.metric}" if history.goal.others else ""
        if compared := agreements(history, goal):
            told = [
                f"{it.correlation:.2f} of {it.resource} with {it.above} ({it.trials} trials)"
                for it in compared
            ]
            top = history.rungs()[-1].resource
            doubts = [doubt(it, top, by) for it in compared if it.is_low]
            lines += [f"rank correlation of the rungs{by}: {', '.join(told)}", *doubts]
    return [*lines, *([""] if lines else [])]


def doubt(low: Agreement, top: int, by: str) -> str:
    """Say that a rung says nothing, and what to do."""
    which = "the first rung" if low.rung == 0 else f"the rung at {low.resource}"
    begins = f'min_resource = {low.above} begins above it, method = "hyperband" has trials that do'
    todo = 'method = "full" does without it' if low.above == top else begins
    return f"{which} says nothing of who is better at {low.above}{by}: {todo}"


# -- what went wrong -------------------------------------------------------------------------------


def setbacks(failures: Sequence[FailedAttempt], *, ends: bool) -> list[str]:
    """Say, by kind, how often attempts failed and how the newest did; and what was given up."""
    if not failures:
        return []
    table = [["failure", "times", "newest", "it said"]]
    newest = {failed.kind.value: failed for failed in failures}
    for kind, times in count(failures).items():
        failed = newest[kind]
        trial, rung, _ = failed.attempt
        place = f"{name_of(trial)} rung {rung} (rank {failed.rank})"
        table.append([kind, str(times), place, gist(failed.error)])
    lines = aligned(table)
    final = given_up(failures)
    if final:
        named = [f"{name_of(it.attempt.trial)} ({it.kind.value})" for it in final[-MOST_NAMED:]]
        lines.append(f"given up: {len(final)}, the newest: {', '.join(reversed(named))}")
    told = [line for failed in newest.values() for line in end_lines(failed)] if ends else []
    return [*fitted(lines, WIDTH), "", *told]


def end_lines(failed: FailedAttempt) -> list[str]:
    """Tell the end of a traceback, or of what was printed, and where all of it is."""
    end = end_of(failed.error)
    if not end:
        return []
    trial, is_baseline = failed.attempt.trial, failed.attempt.trial == BASELINE
    where = f"{'baseline' if is_baseline else 'logs'}/rank-{failed.rank}.log"
    where += "" if is_baseline else f", or show --trial {trial} --log"
    said = f"the end of what {name_of(trial)} said; all of it: {where}"
    return [said, *(f"    {line}" for line in end), ""]


def name_of(trial: int) -> str:
    """Name a trial, or the baseline, which is none."""
    return "the baseline" if trial == BASELINE else f"trial {trial}"


def count(failures: Sequence[FailedAttempt]) -> dict[str, int]:
    """Count failures by kind."""
    return dict(sorted(Counter(failed.kind.value for failed in failures).items()))


def given_up(failures: Sequence[FailedAttempt]) -> list[FailedAttempt]:
    """Pick the failures that jobs were given up with."""
    return [failed for failed in failures if failed.final]
