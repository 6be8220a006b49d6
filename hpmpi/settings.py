"""The study file: one TOML file becomes frozen data, or an error that lists every mistake in it.

The tables of a searcher and a scheduler are checked against the keywords of the class that they
name, so a user's own class is checked as ours are.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import msgspec
import tomli_w

import hpmpi.schedulers
import hpmpi.searchers
from hpmpi.errors import SettingsError, SpaceError
from hpmpi.forms import Table, fill_keywords, fill_struct
from hpmpi.names import NameNotFoundError, find
from hpmpi.schedulers import Scheduler
from hpmpi.source import Source
from hpmpi.space import Choice, Dimension, Float, Int, Space
from hpmpi.trial import Goal

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]

DEPTH = 64
"""How deep tables and lists may lie in each other."""

MAX_TRIALS = 100
"""How many trials a study has that says nothing of its end."""

LONGEST_NAME = 200
"""How long a study's name is at most, in bytes: its folder has it, with a number when moved."""

DIMENSIONS: dict[str, type[Dimension]] = {"float": Float, "int": Int, "choice": Choice}

VERBS = {
    hpmpi.searchers: ("ask", "tell", "state", "restore"),
    hpmpi.schedulers: ("ask", "tell", "state", "restore", "rungs", "promotable"),
}
"""What searchers and schedulers do, and are asked."""

MAY_CHANGE = ("name", "stop", "limits", "run", "baseline")
"""What may differ when a study is gone on with."""


class Stop(msgspec.Struct, frozen=True):
    """`[stop]`: when the study is complete; whichever comes first."""

    max_trials: Count | None = None
    time_s: Positive | None = None
    target: float | None = None


class Limits(msgspec.Struct, frozen=True):
    """`[limits]`: what is too long, too often, too much."""

    patience_s: Positive = 30.0
    max_failures: Count = 3
    grace_s: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 20.0
    trial_time_s: Positive | None = None
    trial_memory_mb: Positive | None = None


class Run(msgspec.Struct, frozen=True):
    """`[run]`: what is kept of the checkpoints, how often run.h5 is written, who may be busy.

    Without `gpus_per_trial`, the ranks of a node share its GPUs.
    """

    keep: Literal["incumbent", "newest", "all"] = "incumbent"
    checkpoint_s: Positive = 30.0
    gpus_per_trial: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_concurrent: Count | None = None


class Settings(msgspec.Struct, frozen=True):
    """A whole study, defaults included."""

    name: NonEmpty
    objective: NonEmpty
    space: Table
    metric: NonEmpty | None = None
    mode: Literal["min", "max"] = "min"
    seed: int = 0
    baseline: NonEmpty | None = None
    searcher: Table = msgspec.field(default_factory=dict)
    scheduler: Table = msgspec.field(default_factory=dict)
    stop: Stop = Stop()
    limits: Limits = Limits()
    run: Run = Run()
    data: Source = Source()
    objective_args: Table = msgspec.field(default_factory=dict)

    @property
    def goal(self) -> Goal:
        """Which metric is studied, and which way is better."""
        return Goal(self.metric or "loss", self.mode)

    def toml(self) -> str:
        """Write the study as it runs."""
        return tomli_w.dumps(without_none(msgspec.to_builtins(self)))


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


def parse(text: str) -> Settings:
    """Read a study as it was stored; raises SettingsError.

    Whoever stored it may be anybody: nothing that it names is looked for, imported or built.
    """
    problems: list[str] = []
    settings = fill_struct(Settings, load(text, "the stored study"), "", problems)
    if settings is None or problems:
        raise SettingsError(problems)
    return settings


def load(text: str, origin: str) -> Table:
    """Read TOML; raises SettingsError for what is none, and for what no program can work with."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number without an end
        raise SettingsError([f"{origin} is not TOML: {error}"]) from error
    for problem in extremes(table):
        raise SettingsError([f"{origin}: {problem}"])
    return table


def extremes(value: object, depth: int = 0) -> Iterator[str]:
    """Find what TOML does not promise to be readable: larger numbers, and no end of brackets."""
    if depth > DEPTH:
        yield f"there are tables or lists more than {DEPTH} deep in each other"
        return
    match value:
        case int() if not -(2**63) <= value < 2**63:
            yield "there is a whole number of more than 64 bits"
        case dict() | list():
            for each in value.values() if isinstance(value, dict) else value:
                yield from extremes(each, depth + 1)
        case _:
            pass


def apply(table: Table, change: str) -> None:
    """Make the change that a `--set table.key=value` asks for; raises SettingsError."""
    path, equals, text = change.partition("=")
    *tables, key = [part.strip() for part in path.split(".")]
    if not equals or not key:
        raise SettingsError([f"--set {change!r} must be table.key=value"])
    try:
        change.encode()
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    except (ValueError, RecursionError) as error:
        raise SettingsError([f"--set {change[:80]!r} can't be read: {error}"]) from error
    for problem in extremes(value):
        raise SettingsError([f"--set {change[:80]!r}: {problem}"])
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise SettingsError([f"--set {change!r}: {name} is not a table"])
    table[key] = value


def check(table: Table, origin: Path | None = None) -> Settings:
    """Check a study whole; raises SettingsError with every mistake.

    With `origin`, the folder of the study file, the functions it names are looked for as well.
    """
    problems: list[str] = []
    settings = fill_struct(Settings, table, "", problems)
    name = table.get("name")
    if isinstance(name, str) and (name.startswith(".") or "/" in name):
        problems.append(f"name = {name!r} names a folder: no dot in front, and no slash in it")
    elif isinstance(name, str) and not (name.isprintable() and len(name.encode()) <= LONGEST_NAME):
        problems.append(f"name = {name!r} can't name a folder: at most {LONGEST_NAME} characters")
    space = make_space(table.get("space"), problems)
    options = dict(as_table(table.get("searcher", {})))
    first = check_first(options.pop("first", []), space, problems)
    searcher = check_method("searcher", "random", options, hpmpi.searchers, problems)
    options = dict(as_table(table.get("scheduler", {})))
    scheduler = check_method("scheduler", "full", options, hpmpi.schedulers, problems)
    for name in ("objective", "baseline"):
        if isinstance(table.get(name), str):
            problems += reference_problems(name, table[name], origin)
    if settings is not None:
        problems += settings.data.problems(origin)
        if settings.data.source is not None and settings.data.is_function:
            problems += reference_problems("data.source", settings.data.source, origin)
    if settings is None or problems:
        raise SettingsError(problems)
    nothing_said = settings.stop == Stop()
    complete = msgspec.structs.replace(
        settings,
        searcher={**searcher, "first": first},
        scheduler=scheduler,
        stop=Stop(max_trials=MAX_TRIALS) if nothing_said else settings.stop,
    )
    build(complete)
    return complete


def build(settings: Settings) -> Scheduler:
    """Make the scheduler, with its searcher and space, that a checked study asks for.

    Raises SettingsError where the values of a table do not go together.
    """
    space = make_space(settings.space, [])
    options = dict(settings.searcher)
    make = found(options.pop("method"), hpmpi.searchers)
    searcher = make(space, settings.seed, options.pop("first"), **options)
    options = dict(settings.scheduler)
    scheduler: Scheduler = found(options.pop("method"), hpmpi.schedulers)(searcher, **options)
    return scheduler


def differences(settings: Settings, stored: Settings) -> list[str]:
    """Name what differs from the stored study and may not."""
    now, before = (msgspec.to_builtins(each) for each in (settings, stored))
    return [
        f"{name} = {now[name]!r}, and {before[name]!r} in the run that is there"
        for name in now
        if name not in MAY_CHANGE and now[name] != before[name]
    ]


def make_space(table: object, problems: list[str]) -> Space | None:
    """Make the space of a `[space]` table."""
    before = len(problems)
    dimensions = {}
    for name, entry in as_table(table).items():
        where = f"space.{name}"
        valid = ", ".join(DIMENSIONS)
        if not isinstance(entry, dict) or "type" not in entry:
            problems.append(f"{where} = {entry!r} must be a table with a type, one of: {valid}")
            continue
        kind = entry["type"]
        if not isinstance(kind, str) or kind not in DIMENSIONS:
            problems.append(f"{where}.type = {kind!r} is not known; there is: {valid}")
            continue
        rest = {key: value for key, value in entry.items() if key != "type"}
        dimension = fill_struct(DIMENSIONS[kind], rest, where, problems)
        if dimension is not None:
            dimensions[name] = dimension
            attempt(dimension.check, where, problems)
    if table == {}:
        problems.append("[space] is empty; it must have a hyperparameter at least")
    return Space(dimensions) if len(problems) == before else None


def check_first(first: object, space: Space | None, problems: list[str]) -> list[Table]:
    """Check the configurations that are to be tried first."""
    if not isinstance(first, list) or not all(isinstance(each, dict) for each in first):
        problems.append(f"searcher.first = {first!r} must be a list of configurations")
        return []
    for number, config in enumerate(first):
        if space is not None:
            attempt(partial(space.check, config), f"searcher.first[{number}]", problems)
    return first


def check_method(
    name: str, default: str, table: Table, package: ModuleType, problems: list[str]
) -> Table:
    """Check the table of a searcher or a scheduler against the class that it names."""
    method = table.pop("method", default)
    try:
        kind = found(method, package)
    except NameNotFoundError as error:
        problems.append(f"{name}.method: {error}")
        return {}
    options = fill_keywords(kind, table, name, problems) or {}
    return {"method": method, **options}


def found(method: object, package: ModuleType) -> Callable[..., Any]:
    """Find the class of a searcher or a scheduler; raises NameNotFoundError."""
    if not isinstance(method, str):
        raise NameNotFoundError(f"{method!r} must be a name")
    kind = find(method, package)
    if not isinstance(kind, type) or not all(hasattr(kind, verb) for verb in VERBS[package]):
        raise NameNotFoundError(f"{method!r} is not a class that has: {', '.join(VERBS[package])}")
    return kind


def reference_problems(name: str, reference: str, origin: Path | None) -> list[str]:
    """Say why a function can't be found, as far as that shows without importing it."""
    place, colon, function = reference.partition(":")
    if not colon or not place or not function.isidentifier():
        return [f"{name} = {reference!r} must be 'package.module:function' or 'file.py:function'"]
    if origin is None:
        return []
    if place.endswith(".py"):
        file = origin / place
        there = answers(file.is_file)
        return [] if there else [f"{name} = {reference!r}: there is no file {file}"]
    if not all(part.isidentifier() for part in place.split(".")):
        return [f"{name} = {reference!r}: {place!r} names no module"]
    package = place.partition(".")[0]
    beside = answers((origin / package).is_dir) or answers((origin / f"{package}.py").is_file)
    if beside or answers(lambda: importlib.util.find_spec(package) is not None):
        return []
    return [f"{name} = {reference!r}: there is no package {package!r} here"]


def answers(look: Callable[[], bool]) -> bool:
    """Look for a thing; it is not there where its name can't be a thing's."""
    try:
        return look()
    except (OSError, ValueError, ImportError):
        return False


def attempt(check: Callable[[], None], where: str, problems: list[str]) -> None:
    """Collect what a check raises."""
    try:
        check()
    except SpaceError as error:
        problems.append(f"{where}: {error}")


def as_table(value: object) -> Table:
    """Take what is no table as an empty one: that is said elsewhere."""
    return value if isinstance(value, dict) else {}


def without_none(value: Any) -> Any:
    """Leave out what has no value: TOML has no word for it."""
    if isinstance(value, dict):
        return {key: without_none(each) for key, each in value.items() if each is not None}
    return value
