"""What a page tells of a run, as text: the template lays it out, and escapes it."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from shlex import join

import msgspec

from hpmpi.history import paid, tables
from hpmpi.history.history import History
from hpmpi.history.standings import Standing, by_fronts
from hpmpi.model.messages import Outcome, gist
from hpmpi.model.trial import Value
from hpmpi.views import paid as paid_view
from hpmpi.views import rows, show
from hpmpi.views.conclusion import compared, conclusion, told_of
from hpmpi.views.layout import count_of, cut, printable, reached, resource_of, time_of
from hpmpi.views.run_view import Summary

MOST_ROWS, MOST_CELLS = 500, 12_000
"""How many trials the leaderboard has, and how many cells: a page opens from a mail."""

MOST_SORTS, LONGEST_ERROR = 20, 4000
"""How many sorts of failures are told, and how much of what each said, in characters."""

MOST_BEST = 20
"""How many of a front are told with all of their configuration."""

SPENT = {
    "busy_s": "work that counts",
    "wasted_s": "work that came to nothing",
    "starting_s": "starting, before the first job",
    "waiting_s": "waiting between jobs",
    "lost_s": "lost, until heard again",
    "aside_s": "put aside, as others could do what it failed",
    "idle_s": "idle after the last job",
}
"""What ranks spend their time with, for people."""


class Table(msgspec.Struct, frozen=True):
    """Rows below a head; `left_out`: how many more there are."""

    head: list[str]
    rows: list[list[str]]
    left_out: int = 0


class Part(msgspec.Struct, frozen=True):
    """A part of the ranks' time; `share` is of all of it, in percent."""

    kind: str
    name: str
    time: str
    share: float


class Best(msgspec.Struct, frozen=True):
    """The best, or one of the front: its configuration, and where it has left a checkpoint."""

    title: str
    config: list[tuple[str, str]]
    checkpoint: str | None


class Setback(msgspec.Struct, frozen=True):
    """Failures of a sort: how many, the newest, in a line and in full."""

    sort: str
    times: int
    newest: str
    gist: str
    text: str


class Told(msgspec.Struct, frozen=True):
    """All that a page tells of a run, but for its figures.

    `facts` are names and values, `used` what was, of what was asked for, `todo` what may be done
    next, and by which command.
    """

    name: str
    folder: str
    command: str
    state: str
    why: list[str]
    facts: list[tuple[str, str]]
    best: list[Best]
    time: list[Part]
    used: list[tuple[str, str]]
    rungs: Table
    agreement: list[str]
    leaderboard: Table
    failures: list[Setback]
    given_up: int
    todo: list[tuple[str, str]]
    study: str


def tell(summary: Summary, folder: Path) -> Told:
    """Find out what there is to tell of the run in a folder."""
    history = summary.history
    command = join(["hpmpi", "run", f"{summary.study.name}.toml", "--out", str(folder)])
    return Told(
        name=printable(summary.study.name),
        folder=str(folder),
        command=command,
        state=show.state(summary),
        why=why(summary),
        facts=facts(summary),
        best=[best(history, it, folder) for it in by_fronts(history.standings.best)[:MOST_BEST]],
        time=time(history),
        used=used(history),
        rungs=rungs(summary),
        agreement=[line for line in show.agreement(history) if line],
        leaderboard=leaderboard(history),
        failures=failures(history),
        given_up=len(show.given_up(history.failures)),
        todo=todo(summary, str(folder), command),
        study=printable(history.starts[-1].settings.strip()),
    )


def why(summary: Summary) -> list[str]:
    """Say why a run is in its state, where that needs to be said."""
    history = summary.history
    drained = [f"draining: {history.draining}"] if history.draining is not None else []
    failed = summary.outcome in (Outcome.UNFIT, Outcome.FAILED) or history.incumbent is None
    lines = [
        *show.present(summary),
        *drained,
        *(conclusion(summary, summary.overview(0)) if failed else []),
    ]
    return [printable(line) for line in dict.fromkeys(lines)]


def facts(summary: Summary) -> list[tuple[str, str]]:
    """Say in names and values what it came to."""
    history, incumbent, unit = summary.history, summary.history.incumbent, summary.study.unit
    found: list[tuple[str, str]] = []
    if incumbent is not None:
        told = reached(told_of(summary), incumbent.metrics)
        found.append(("Best", f"{told} at {resource_of(incumbent.resource, unit)}"))
        found.append(("Last improved", improved(history)))
    if summary.baseline is not None:
        name = "Baseline" if summary.study.baseline else "Tried first"
        of = reached(told_of(summary), summary.baseline), compared(summary, summary.baseline)
        found.append((name, "; ".join(filter(None, of))))
    times = Counter(it.kind.value for it in history.failures)
    found.append(("Trials", f"{len(history.trials):,}, {history.results:,} results"))
    found.append(("Failures", ", ".join(f"{n:,} x {kind}" for kind, n in times.items()) or "none"))
    hosts = count_of(len(set(history.ranks.hosts.values())), "host")
    started = count_of(len(history.starts), "start")
    ranks = count_of(len(history.ranks.hosts), "rank")
    found.append(("Time", f"{time_of(history.at)} in {started}, {ranks} on {hosts}"))
    return [(name, printable(value)) for name, value in found]


def improved(history: History) -> str:
    """Say when the best was found."""
    at = history.best[-1].end(history.at)
    since = sum(it.begun > at for it in history.attempts.values() if it.has_begun)
    share = f"{at / history.at:.0%} of the time" if history.at else "at once"
    return f"after {time_of(at)} ({share}); {count_of(since, 'job')} since have not"


def best(history: History, standing: Standing, folder: Path) -> Best:
    """Tell all of a trial that is among the best."""
    unit = history.study.unit
    told = reached(history.goal, standing.metrics)
    left = folder / "checkpoints" / str(standing.trial)
    return Best(
        f"Trial {standing.trial}: {told} at {resource_of(standing.resource, unit)}",
        [(name, text(it)) for name, it in history.space.shown(standing.config).items()],
        str(left) if standing.saved and left.is_dir() else None,
    )


def text(value: Value | None, digits: int = 4) -> str:
    """Write a value for a cell."""
    return f"{value:.{digits}g}" if isinstance(value, float) else printable(rows.short(value))


def time(history: History) -> list[Part]:
    """Say what the ranks spent their time with."""
    spent, wasted_s = paid.time_of_ranks(history), paid.wasted_s(history)
    parts = msgspec.structs.asdict(spent) | {
        "wasted_s": wasted_s,
        "busy_s": spent.busy_s - wasted_s,
    }
    return [
        Part(name.removesuffix("_s"), told, time_of(parts[name]), 100 * parts[name] / spent.all_s)
        for name, told in SPENT.items()
        if parts[name] > 0
    ]


def used(history: History) -> list[tuple[str, str]]:
    """Say what was used, of what was asked for, and what to ask for; nothing if nobody measured."""
    known = paid.paid(history)
    if known is None:
        return []
    asked = " ".join(paid_view.options(paid.advice(history, known)))
    return [*paid_view.parts(known), *[("next time", asked)] * bool(asked)]


def rungs(summary: Summary) -> Table:
    """Count the jobs by rung."""
    if not summary.rungs:
        return Table([], [])
    head, *lines = rows.jobs_by_rung(summary.rungs, summary.study.unit, "{:,}")
    return Table(head, lines)


def leaderboard(history: History) -> Table:
    """List the best trials, with a column a hyperparameter."""
    ordered = history.standings.ordered()
    columns = columns_of(history, ordered[:MOST_ROWS])
    most = max(1, MOST_CELLS // max(1, len(columns)))
    shown = [[cell[:most] for cell in cells] for cells in columns.values()]
    rows = [list(row) for row in zip(*shown, strict=True)]
    return Table([printable(name) for name in columns], rows, len(ordered) - len(rows))


def columns_of(history: History, standings: list[Standing]) -> Mapping[str, list[str]]:
    """Write a column a name: who has what place, with what, and by what; what counts is first."""
    columns = tables.placed(history, standings)
    del columns["rung"]
    first = filter(columns.__contains__, ["place", "front", "trial", *history.goal.names])
    order = dict.fromkeys([*first, *(name for name in columns if name != "status"), "status"])
    heads = {"resource": history.study.unit}
    digits = dict.fromkeys(history.goal.names, 6)
    return {
        heads.get(name, name): [
            "" if it is None else text(it, digits.get(name, 4)) for it in columns[name]
        ]
        for name in order
    }


def failures(history: History) -> list[Setback]:
    """Tell of each sort of failure, the most frequent first."""
    times = Counter(it.sort for it in history.failures)
    newest = {it.sort: it for it in history.failures}
    return [
        Setback(
            printable(sort),
            count,
            f"{show.name_of(newest[sort].attempt.trial)}, rank {newest[sort].rank}",
            printable(gist(newest[sort].error)),
            printable(cut(newest[sort].error, LONGEST_ERROR)),
        )
        for sort, count in times.most_common(MOST_SORTS)
    ]


def todo(summary: Summary, folder: str, command: str) -> list[tuple[str, str]]:
    """Say what may be done next."""
    found = []
    if summary.outcome is not Outcome.COMPLETE and not summary.goes_on:
        found.append(("Go on from here", command))
    trials = summary.study.stop.max_trials
    if summary.outcome is Outcome.COMPLETE and trials is not None:
        more = ["--set", f"stop.max_trials={2 * trials}"]
        found.append(("Go on with as many trials again", f"{command} {join(more)}"))
    if summary.history.incumbent is not None:
        export = join(["hpmpi", "export", folder, "--format", "toml"])
        found.append(("Write the best configuration into a file", f"{export} > best.toml"))
        csv = join(["hpmpi", "export", folder])
        found.append(("Write all trials as a table", f"{csv} > trials.csv"))
        story = ["hpmpi", "show", folder, "--trial", str(summary.history.incumbent.trial)]
        found.append(("See how the best came about", join(story)))
    if summary.goes_on:
        found.append(("Watch it", join(["hpmpi", "show", folder, "--watch"])))
    found.append(("Draw a figure for a paper", f"{join(['hpmpi', 'plot', folder])} --format pdf"))
    return found
