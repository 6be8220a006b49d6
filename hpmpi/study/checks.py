"""The study file: one TOML file becomes frozen data, or an error that lists every mistake in it.

What a value may be by itself, the types of the settings say. What they can't say is a list of
checks, one for each table of the study.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

import msgspec

from hpmpi.errors import SettingsError, SpaceError
from hpmpi.master.schedulers import highest
from hpmpi.master.searchers import Searcher
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, names_of
from hpmpi.model.values import LARGEST
from hpmpi.study import candidates, command, config_space, metrics
from hpmpi.study.command import ProgramArgs
from hpmpi.study.data_table import SUFFIXES, Source
from hpmpi.study.methods import SCHEDULER, SEARCHER, Role, build_scheduler, build_searcher
from hpmpi.study.references import NotThereError, builtin, missing
from hpmpi.study.schema import Problems, Table, fill_struct
from hpmpi.study.settings import MAY_BE_NAMED, Limits, PlateauTable, RunTable, Settings, StopTable
from hpmpi.study.space_table import entries, make_space, of_space
from hpmpi.study.toml import apply, load

MAX_TRIALS = 100
"""How many trials a study has that says nothing of its end, nor does its searcher."""

LONGEST_UNIT = 20
"""How long the name of a resource may be, in characters."""

LONGEST_NAME = 200
"""How long a study's name is at most, in bytes: its folder has it, with a number when moved."""

IN_PROCESS = ("trial_time_s", "trial_memory_mb")
"""What only a process of its own can be held to."""


def read(path: Path, changes: list[str]) -> Settings:
    """Read a study file, apply `--set` options, and check all of it; raises SettingsError."""
    table = read_table(path)
    for change in changes:
        apply(table, change)
    return check(table, path.parent.absolute())


def read_table(path: Path) -> Table:
    """Read a study file as it is written, but that it has a name; raises SettingsError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError([f"the study file {path} can't be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path} is not TOML: {error}"]) from error
    return {"name": path.stem, **load(text, str(path))}


def check(table: Table, origin: Path | None = None) -> Settings:
    """Check a study whole; raises SettingsError with every mistake.

    With `origin`, the folder of the study file, the functions it names are looked for as well.
    """
    named = table.get("space")
    if isinstance(named, str):
        table = {**table, "space": config_space.read((origin or Path()) / named)}
    draft = Draft(table, origin)
    for look in CHECKS:
        draft.problems += look(draft)
    if draft.settings is None or draft.problems:
        raise SettingsError(draft.problems)
    complete = msgspec.structs.replace(draft.settings, **draft.filled)
    searcher = build_searcher(complete)
    scheduler = build_scheduler(complete, searcher)
    if problems := [*of_target(complete.stop, highest(scheduler))]:
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


def of_hyperparameters(draft: Draft) -> Iterable[str]:
    """Check what holds between hyperparameters."""
    return of_space(draft.space) if draft.space is not None else ()


def of_study(draft: Draft) -> Iterator[str]:
    """Check what stands above all tables."""
    name = draft.table.get("name")
    if isinstance(name, str) and (name.startswith(".") or "/" in name):
        yield f"name = {name!r} names a folder: no dot in front, and no slash in it"
    elif isinstance(name, str) and not (name.isprintable() and len(name.encode()) <= LONGEST_NAME):
        yield f"name = {name!r} can't name a folder: at most {LONGEST_NAME} characters"
    if draft.settings is not None:
        yield from metrics.problems(draft.settings, draft.origin)
    if draft.table.keys() >= {"objective", "command"}:
        yield "objective and command are both given; one of them must be: a function, or a program"
    elif not draft.table.keys() & {"objective", "command"}:
        yield "objective is missing; it must be given, or command, a program in its place"
    for key in ("objective", "baseline"):
        reference = draft.table.get(key)
        if draft.origin is not None and isinstance(reference, str):
            yield from of_reference(key, reference, draft.origin)


def of_reference(name: str, reference: str, origin: Path) -> Iterator[str]:
    """Say why a function can't be found, as far as that shows without importing it."""
    if why := missing(reference, origin):
        yield f"{name} = {reference!r}: {why}"


def of_command(draft: Draft) -> Iterator[str]:
    """Check the program that stands for a function."""
    if draft.settings is None or (words := draft.settings.command) is None:
        if draft.settings is not None and draft.settings.resume:
            yield "resume is added to a command, and there is none"
        return
    resume = draft.settings.resume
    if draft.space is not None:
        yield from command.problems(words, resume, draft.space.dimensions, draft.origin)
    problems = Problems({})
    args = fill_struct(ProgramArgs, draft.settings.objective_args, "objective_args", problems)
    if args is None:
        yield from problems
    else:
        studied = names_of(draft.settings.metric)
        yield from command.problems_of_args(args, [*words, *resume], studied)
    if draft.settings.run.isolation == "none":
        yield 'run.isolation = "none" is for functions; a command has processes of its own'
    if draft.settings.data.source is not None:
        yield "data.source is for functions; have a word of the command name the file"


def of_searcher(draft: Draft) -> Iterator[str]:
    """Check `[searcher]`, with the configurations that it has."""
    table = dict(as_table(draft.table.get("searcher")))
    first, given = [], table.pop("first", [])
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        yield f"searcher.first = {given!r} must be a list of configurations"
    elif draft.space is not None:
        for number, config in enumerate(given):
            try:
                first.append(first_of(config, draft.space))
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
    learn_from = table.pop("learn_from", None)
    yield from draft.fill(SEARCHER, table)
    draft.filled["searcher"]["first"] = first
    if learn_from is not None:
        yield from of_earlier_runs(draft, table.get("method", SEARCHER.default), learn_from)


def of_earlier_runs(draft: Draft, method: object, folders: object) -> Iterator[str]:
    """Check what is to be learnt from, but not what is in it: that is read once, at the start."""
    if not isinstance(folders, list) or not all(it and isinstance(it, str) for it in folders):
        yield f"searcher.learn_from = {folders!r} must be a list of run folders"
        return
    try:
        kind = SEARCHER.find(method, draft.origin)
    except NotThereError:  # which is said elsewhere
        return
    if not hasattr(kind, "learn"):
        able = [it for it in builtin(SEARCHER.package) if hasattr(SEARCHER.find(it), "learn")]
        others = " or ".join([*map(repr, able), "a searcher of yours with a method `learn`"])
        yield (
            f"searcher.learn_from: method = {method!r} learns nothing from earlier runs; "
            f"use {others}, or leave it out"
        )
    origin = draft.origin or Path.cwd()
    draft.filled["searcher"]["learn_from"] = [str(origin / folder) for folder in folders]


def first_of(config: Table, space: Space) -> Config:
    """Take a configuration, or a part of one, to be tried first; raises SpaceError."""
    given = space.part(config)
    for name, value in given.items():
        if value is None:  # the study is stored as TOML
            raise SpaceError(f"{name} = None can't be said in TOML; `list` has it where it is not")
    for constraint in space.constraints:
        if constraint.names <= given.keys() and not constraint.holds(given):
            raise SpaceError(f"{constraint.text!r} does not hold")
    if not space.is_plain:
        space.draw(Random(0).random, given)  # noqa: S311 - not for secrets
    return given


def of_scheduler(draft: Draft) -> Iterator[str]:
    """Check `[scheduler]`, with what the resource is called."""
    table = dict(as_table(draft.table.get("scheduler")))
    unit = table.pop("unit", None)
    yield from draft.fill(SCHEDULER, table)
    if unit is None:
        return
    if not isinstance(unit, str) or not unit.isprintable() or not 0 < len(unit) <= LONGEST_UNIT:
        yield f"scheduler.unit = {unit!r} must be a word for the resource, such as 'epochs'"
    draft.filled["scheduler"]["unit"] = unit


def of_plateau(draft: Draft) -> Iterator[str]:
    """Check what is a plateau, in `[stop]`."""
    plateau = draft.settings.stop.plateau if draft.settings is not None else None
    if plateau is not None and not math.isfinite(plateau.epsilon):
        yield f"stop.plateau.epsilon = {plateau.epsilon} must be a finite number"


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


def of_groups(draft: Draft) -> Iterator[str]:
    """Check how many ranks a trial takes; how many there are is known at the start only."""
    if draft.settings is None:
        return
    run = draft.settings.run
    if run.grow is not None and isinstance(run.ranks_per_trial, list):
        yield "run.ranks_per_trial has a number for each rung: use that, or run.grow"
    if run.grow is not None and "eta" not in (draft.filled.get("scheduler") or {}):
        yield 'run.grow = "eta" is for a scheduler that has `eta`, as asha; or say it by rung'
    if run.world is not None and run.ranks_per_trial is None and run.grow is None:
        yield f"run.world = {run.world!r} is for trials of several ranks: give run.ranks_per_trial"
    if run.isolation == "none" and run.in_groups:
        yield 'run.ranks_per_trial and run.grow need run.isolation = "process"'
    if run.max_concurrent is not None and run.max_concurrent < max(run.first_sizes):
        most = max(run.first_sizes)
        yield f"run.max_concurrent = {run.max_concurrent}, and a trial takes {most} ranks"


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
    of_hyperparameters,
    of_command,
    of_searcher,
    of_scheduler,
    of_plateau,
    of_limits,
    of_run,
    of_groups,
    of_data,
)


def of_target(stop: StopTable, most: int) -> Iterator[str]:
    """Check the target of `[stop]`: whether a result can reach it, where `most` is trained to."""
    if stop.target is not None and not math.isfinite(stop.target):
        yield f"stop.target = {stop.target} must be a finite number"
    if stop.target_resource is not None and stop.target_resource > most:
        given = f"stop.target_resource = {stop.target_resource}"
        yield f"{given} must not be greater than the highest rung, {most}"


def bounded(stop: StopTable, searcher: Searcher) -> StopTable:
    """Have a study end when its searcher has no other configuration, if that is known, or some."""
    size = getattr(searcher, "size", None)
    if not isinstance(size, int) or size < 1:
        return stop if stop != StopTable() else StopTable(max_trials=MAX_TRIALS)
    if stop == StopTable() and not getattr(searcher, "exhaustive", True):
        stop = StopTable(max_trials=MAX_TRIALS)
    return msgspec.structs.replace(stop, max_trials=min(stop.max_trials or size, size, LARGEST))


def homes_of(table: Table) -> dict[str, list[str]]:
    """Find where each key is at home: those of our tables, and those of the study itself."""
    names = [name for name, _ in entries(as_table(table.get("space")), "space")]
    names += [f"objective_args.{key}" for key in as_table(table.get("objective_args"))]
    for title, kind in (
        ("stop", StopTable),
        ("stop.plateau", PlateauTable),
        ("limits", Limits),
        ("run", RunTable),
        ("data", Source),
    ):
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
