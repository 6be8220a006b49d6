"""The study file: one TOML file becomes frozen data, or an error that lists every mistake in it.

What a value may be by itself, the types of the settings say. What they can't say is a list of
checks, one for each table of the study.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from hpmpi.errors import SettingsError, SpaceError
from hpmpi.master.searchers import Searcher
from hpmpi.model.values import LARGEST
from hpmpi.study import candidates
from hpmpi.study.data_table import SUFFIXES, Source
from hpmpi.study.methods import SCHEDULER, SEARCHER, Role, build_scheduler, build_searcher
from hpmpi.study.references import missing
from hpmpi.study.schema import Problems, Table, fill_struct
from hpmpi.study.settings import MAY_BE_NAMED, Limits, Run, Settings, Stop
from hpmpi.study.space_table import entries, make_space, name_problems
from hpmpi.study.toml import apply, load

MAX_TRIALS = 100
"""How many trials a study has that says nothing of its end, nor does its searcher."""

LONGEST_NAME = 200
"""How long a study's name is at most, in bytes: its folder has it, with a number when moved."""

IN_PROCESS = ("trial_time_s", "trial_memory_mb")
"""What only a process of its own can be held to."""


def read(path: Path, changes: list[str]) -> Settings:
    """Read a study file, apply `--set` options, and check all of it; raises SettingsError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError([f"the study file {path} can't be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path} is not TOML: {error}"]) from error
    table = load(text, str(path))
    for change in changes:
        apply(table, change)
    return check({"name": path.stem, **table}, path.parent.absolute())


def check(table: Table, origin: Path | None = None) -> Settings:
    """Check a study whole; raises SettingsError with every mistake.

    With `origin`, the folder of the study file, the functions it names are looked for as well.
    """
    draft = Draft(table, origin)
    for look in CHECKS:
        draft.problems += look(draft)
    if draft.settings is None or draft.problems:
        raise SettingsError(draft.problems)
    complete = msgspec.structs.replace(draft.settings, **draft.filled)
    searcher = build_searcher(complete)
    rungs = build_scheduler(complete, searcher).rungs
    if problems := [*of_target(complete.stop, rungs[-1])]:
        raise SettingsError(problems)
    return msgspec.structs.replace(complete, stop=bounded(complete.stop, searcher))


class Draft:
    """A study while it is checked: as it is written, and how far it is right.

    `settings` and `space` are None where there is a mistake in them; `filled` are the tables of the
    searcher and the scheduler, with their defaults.
    """

    def __init__(self, table: Table, origin: Path | None) -> None:
        """Fill what the types of the settings say."""
        self.table = table
        self.origin = origin
        self.problems = Problems(homes_of(table))
        self.settings = fill_struct(Settings, table, "", self.problems)
        self.space = make_space(table.get("space"), self.problems)
        self.filled: dict[str, Table] = {}

    def fill(self, role: Role, table: Table) -> list[str]:
        """Fill the table of a searcher or a scheduler; return what is wrong with it."""
        problems = Problems(self.problems.homes)
        self.filled[role.table] = role.fill(table, self.origin, problems)
        return problems


def of_study(draft: Draft) -> Iterator[str]:
    """Check what stands above all tables."""
    name = draft.table.get("name")
    if isinstance(name, str) and (name.startswith(".") or "/" in name):
        yield f"name = {name!r} names a folder: no dot in front, and no slash in it"
    elif isinstance(name, str) and not (name.isprintable() and len(name.encode()) <= LONGEST_NAME):
        yield f"name = {name!r} can't name a folder: at most {LONGEST_NAME} characters"
    if draft.settings is not None:
        yield from name_problems("metric", draft.settings.goal.metric)
    for key in ("objective", "baseline"):
        reference = draft.table.get(key)
        if draft.origin is not None and isinstance(reference, str):
            yield from of_reference(key, reference, draft.origin)


def of_reference(name: str, reference: str, origin: Path) -> Iterator[str]:
    """Say why a function can't be found, as far as that shows without importing it."""
    if why := missing(reference, origin):
        yield f"{name} = {reference!r}: {why}"


def of_searcher(draft: Draft) -> Iterator[str]:
    """Check `[searcher]`, with the configurations that it has."""
    table = dict(as_table(draft.table.get("searcher")))
    first, given = [], table.pop("first", [])
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        yield f"searcher.first = {given!r} must be a list of configurations"
    elif draft.space is not None:
        for number, config in enumerate(given):
            try:
                first.append(draft.space.part(config))
            except SpaceError as error:
                yield f"searcher.first[{number}]: {error}"
    named = table.get("candidates")
    if draft.origin is not None and isinstance(named, str):
        table["candidates"] = []
        try:
            if draft.space is not None:
                table["candidates"] = candidates.read(draft.origin / named, draft.space)
        except SettingsError as error:
            yield from error.problems
    yield from draft.fill(SEARCHER, table)
    draft.filled["searcher"]["first"] = first


def of_scheduler(draft: Draft) -> Iterable[str]:
    """Check `[scheduler]`."""
    return draft.fill(SCHEDULER, as_table(draft.table.get("scheduler")))


def of_limits(draft: Draft) -> Iterator[str]:
    """Check `[limits]`."""
    if draft.settings is not None and draft.settings.run.isolation == "none":
        for name in IN_PROCESS:
            if getattr(draft.settings.limits, name) is not None:
                yield f'limits.{name} needs run.isolation = "process"'


def of_run(draft: Draft) -> Iterator[str]:
    """Check `[run]`."""
    for name in draft.settings.run.may_change if draft.settings is not None else []:
        if name.partition(".")[0] not in MAY_BE_NAMED:
            yield (
                f"run.may_change: {name!r} may not be changed, as decisions follow from it, or it "
                f"is free to; what may be named is in: {', '.join(MAY_BE_NAMED)}"
            )


def of_data(draft: Draft) -> Iterator[str]:
    """Check `[data]`."""
    if draft.settings is None:
        return
    data = draft.settings.data
    yield from data.problems(draft.origin)
    if draft.origin is not None and data.source is not None and data.is_function:
        for problem in of_reference("data.source", data.source, draft.origin):
            yield f"{problem} (or a file: {', '.join(SUFFIXES)})"


CHECKS: tuple[Callable[[Draft], Iterable[str]], ...] = (
    of_study,
    of_searcher,
    of_scheduler,
    of_limits,
    of_run,
    of_data,
)


def of_target(stop: Stop, most: int) -> Iterator[str]:
    """Check the target of `[stop]`: whether a result can reach it, where `most` is trained to."""
    if stop.target is not None and not math.isfinite(stop.target):
        yield f"stop.target = {stop.target} must be a finite number"
    if stop.target_resource is not None and stop.target_resource > most:
        given = f"stop.target_resource = {stop.target_resource}"
        yield f"{given} must not be greater than the highest rung, {most}"


def bounded(stop: Stop, searcher: Searcher) -> Stop:
    """Have a study end when its searcher has no other configuration, if that is known, or some."""
    size = getattr(searcher, "size", None)
    if not isinstance(size, int) or size < 1:
        return stop if stop != Stop() else Stop(max_trials=MAX_TRIALS)
    if stop == Stop() and not getattr(searcher, "exhaustive", True):
        stop = Stop(max_trials=MAX_TRIALS)
    return msgspec.structs.replace(stop, max_trials=min(stop.max_trials or size, size, LARGEST))


def homes_of(table: Table) -> dict[str, list[str]]:
    """Find where each key is at home: those of our tables, and those of the study itself."""
    names = [name for name, _ in entries(as_table(table.get("space")), "space")]
    names += [f"objective_args.{key}" for key in as_table(table.get("objective_args"))]
    for title, kind in (("stop", Stop), ("limits", Limits), ("run", Run), ("data", Source)):
        names += [f"{title}.{key}" for key in kind.__struct_fields__]
    for role in (SEARCHER, SCHEDULER):
        names += [f"{role.table}.{key}" for key in role.settings()]
    homes: dict[str, list[str]] = {}
    for name in names:
        homes.setdefault(name.rpartition(".")[2], []).append(name)
    return homes


def as_table(value: object) -> Table:
    """Take what is no table as an empty one: that is said elsewhere."""
    return value if isinstance(value, dict) else {}
