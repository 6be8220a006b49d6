"""`hpmpi show`: how a run stands, finished or not, for people.

It only reads, and may be asked from anywhere that sees the run folder: it never waits for the run,
and the run never waits for it.
"""

import time
from collections import Counter
from collections.abc import Sequence

import msgspec

from hpmpi.history.leaderboard import Standing
from hpmpi.history.progress import RankState
from hpmpi.master.shield import RAISED
from hpmpi.model.messages import Outcome, escaped, gist
from hpmpi.model.records import Failure
from hpmpi.model.trial import Value
from hpmpi.model.values import text_of
from hpmpi.storage.lock import Sign
from hpmpi.views.layout import WIDTH, aligned, cut, fitted, span
from hpmpi.views.run_view import MENDED, Summary

RUNNING = "running"
INTERRUPTED = "interrupted"
"""The states of a run that has not come to an end."""

LONGEST_VALUE = 1000
"""Of a configuration, in characters."""

MOST_NAMED = 5
"""How many are named of what there may be many of: trials that were given up, ranks, hosts."""


def text(summary: Summary, top: int) -> str:
    """Write the best `top` trials as a table; above it how the run goes on, below what it came to.

    Of the rungs and failures there are tables as well.
    """
    metric = summary.study.goal.metric
    ranking = summary.board.ranking()
    rows = [["place", "trial", metric, "resource", "configuration"]]
    rows += [
        [
            str(place),
            str(standing.trial),
            f"{standing.metrics[metric]:.6g}",
            str(standing.resource),
            configuration(standing),
        ]
        for place, standing in enumerate(ranking[:top], start=1)
    ]
    lines = [
        headline(summary),
        *present(summary),
        *(["", *fitted(aligned(rows))] if ranking else []),
    ]
    if len(ranking) > top:
        lines.append(f"... and {len(ranking) - top} more")
    lines += ["", *ladder(summary), *setbacks(summary.failures), *conclusion(summary)]
    return "\n".join(map(escaped, lines))


def headline(summary: Summary) -> str:
    """Say in a line how far the run is."""
    board = summary.board
    parts = [f"{len(board.standings)} trials", f"{board.results} results"]
    parts += [f"{summary.elapsed_s:.0f} s"]
    parts += [f"{times} x {kind}" for kind, times in count(summary.failures).items()]
    return f"{summary.study.name}: {state(summary)}; {', '.join(parts)}"


def state(summary: Summary) -> str:
    """Name the state of a run."""
    if summary.outcome is not None:
        return summary.outcome.value
    return RUNNING if summary.goes_on else INTERRUPTED


# -- what goes on ----------------------------------------------------------------------------------


def present(summary: Summary) -> list[str]:
    """Say what the ranks do and until when they may, or why they do nothing any more."""
    progress = summary.progress
    if summary.outcome is not None:
        return []
    if not summary.goes_on:
        return [absence(summary.sign)]
    lines = [f"ranks: {ranks(summary)}"]
    if progress.deadline is not None:
        lines.append(ending(progress.deadline.epoch_s, summary.looked_at))
    if progress.draining is not None:
        lines.append(f"draining: {progress.draining.why}")
    return lines


def absence(sign: Sign | None) -> str:
    """Say how it is known that nobody runs a study."""
    if sign is None:
        return "nobody has the run folder: the same command goes on from here"
    who = f"process {sign.lease.pid} on {sign.lease.host}"
    if sign.gone:
        return f"{who} is gone: the same command goes on from here"
    return f"no sign of life for {span(sign.age_s)} ({who})"


def ranks(summary: Summary) -> str:
    """Count the ranks by state; name those that can't work."""
    progress = summary.progress
    parts = []
    for each, number in progress.ranks().items():
        named = each in (RankState.LOST, RankState.UNFIT)
        where = f" ({places(progress.ranks_that_are(each), progress.hosts)})" if named else ""
        parts += [f"{number} {each.value}{where}"] if number else []
    return ", ".join(parts)


def places(them: Sequence[int], hosts: dict[int, str]) -> str:
    """Say which ranks, by host; of many on one host only how many.

    >>> places([3, 5, 6], {3: "node1", 5: "node3", 6: "node3"}), places([1], {})
    ('rank 3 on node1, ranks 5, 6 on node3', 'rank 1')
    >>> places(range(8), dict.fromkeys(range(8), "node3"))
    '8 ranks on node3'
    """
    by_host: dict[str, list[str]] = {}
    for rank in them:
        by_host.setdefault(hosts.get(rank, ""), []).append(str(rank))
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


def ladder(summary: Summary) -> list[str]:
    """Count the jobs by rung, where there is more than one; what is zero in all is left out."""
    rungs = [msgspec.structs.asdict(rung) for rung in summary.rungs]
    if len(rungs) < 2:  # noqa: PLR2004 - see above
        return []
    names = [name for name in rungs[0] if any(rung[name] for rung in rungs)]
    rows = [[name.replace("_", " ") for name in names]]
    rows += [[str(rung[name]) for name in names] for rung in rungs]
    return [*aligned([[*row, ""] for row in rows]), ""]


# -- what it came to -------------------------------------------------------------------------------


def conclusion(summary: Summary) -> list[str]:
    """Say what is best, and by how much it beats the baseline."""
    incumbent, metric = summary.board.incumbent, summary.study.goal.metric
    if summary.outcome is Outcome.UNFIT:
        return [unfitness(summary)]
    if summary.outcome is Outcome.FAILED and summary.failures:
        said = gist(summary.failures[-1].error)
        return [f"trials fail alike, and none has succeeded: {said}", MENDED]
    if incumbent is None:
        over = summary.outcome is Outcome.COMPLETE
        return ["no trial has succeeded" + ("" if over else " yet")]
    reached = incumbent.metrics[metric]
    lines = [f"best: trial {incumbent.trial}, {metric} {reached:.6g} at {incumbent.resource}"]
    if summary.baseline is not None and summary.gain is not None:
        what = "baseline" if summary.study.baseline else "tried first"
        lines.append(f"{what}: {metric} {summary.baseline[metric]:.6g}; {comparison(summary.gain)}")
    return lines


def unfitness(summary: Summary) -> str:
    """Say why a study can't be led or worked at."""
    draining = summary.progress.draining
    if draining is not None and draining.why.startswith(RAISED):
        return draining.why
    return f"no rank can work: {gist(summary.refusal)}"


def comparison(gain: float) -> str:
    """Say how the best compares with what it is measured by."""
    if gain == 0:
        return "nothing is better"
    return f"the best is {'better' if gain > 0 else 'worse'} by {abs(gain):.4g}"


def setbacks(failures: list[Failure]) -> list[str]:
    """Say, by kind, how often attempts failed and how the newest did; and what was given up."""
    if not failures:
        return []
    rows = [["failure", "times", "newest", "it said"]]
    newest = {it.kind.value: it for it in failures}
    for kind, times in count(failures).items():
        it = newest[kind]
        place = f"trial {it.trial} rung {it.rung} (rank {it.rank})"
        rows.append([kind, str(times), place, gist(it.error)])
    lines = aligned(rows)
    lost = [f"trial {it.trial} ({it.kind.value})" for it in reversed(given_up(failures))]
    if lost:
        lines.append(f"given up: {len(lost)}, the newest: {', '.join(lost[:MOST_NAMED])}")
    return [*fitted(lines, WIDTH), ""]


def count(failures: list[Failure]) -> dict[str, int]:
    """Count failures by kind."""
    return dict(sorted(Counter(it.kind.value for it in failures).items()))


def given_up(failures: list[Failure]) -> list[Failure]:
    """Pick the failures that jobs were given up with."""
    return [it for it in failures if it.final]


def configuration(standing: Standing) -> str:
    """Write a configuration in a line."""
    return "  ".join(f"{name}={short(value)}" for name, value in standing.config.items())


def short(value: Value) -> str:
    """Write a value with as many digits as people read."""
    return f"{value:.4g}" if isinstance(value, float) else cut(text_of(value), LONGEST_VALUE)
