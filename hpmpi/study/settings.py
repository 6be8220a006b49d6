"""The study file: one TOML file becomes frozen data, or an error that lists every mistake in it.

The tables of a searcher and a scheduler are checked against the keywords of the class that they
name, so a user's own class is checked as ours are.
"""

import math
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import msgspec

import hpmpi.master.schedulers
import hpmpi.master.searchers
from hpmpi.errors import HpmpiError, SettingsError, SpaceError
from hpmpi.master.schedulers import Scheduler
from hpmpi.master.searchers import Checked, Searcher
from hpmpi.model.space import Space
from hpmpi.model.trial import Goal
from hpmpi.model.values import LARGEST
from hpmpi.study import candidates
from hpmpi.study.data_table import SUFFIXES, Source
from hpmpi.study.references import NotThereError, absolute, builtin, find, missing
from hpmpi.study.schema import Problems, Table, fill_keywords, fill_struct, keywords
from hpmpi.study.space_table import entries, make_space, name_problems
from hpmpi.study.toml import apply, dump, load

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]

MAX_TRIALS = 100
"""How many trials a study has that says nothing of its end, nor does its searcher."""

LONGEST_NAME = 200
"""How long a study's name is at most, in bytes: its folder has it, with a number when moved."""

VERBS = {
    hpmpi.master.searchers: ("ask", "tell", "state", "restore"),
    hpmpi.master.schedulers: ("ask", "tell", "state", "restore", "rungs", "promotable"),
}
"""What searchers and schedulers do, and are asked."""

IN_PROCESS = ("trial_time_s", "trial_memory_mb")
"""What only a process of its own can be held to."""

MAY_BE_NAMED = ("objective", "objective_args", "data")
"""Of what no decision follows: `may_change` may name it, and what is in it."""


class Stop(msgspec.Struct, frozen=True):
    """`[stop]`: when the study is complete; whichever comes first.

    The target counts at `target_resource` and above; at the highest rung, if nothing is said.
    """

    max_trials: Count | None = None
    time_s: Positive | None = None
    target: float | None = None
    target_resource: Count | None = None


class Limits(msgspec.Struct, frozen=True):
    """`[limits]`: what is too long, too often, too much."""

    patience_s: Positive = 30.0
    max_failures: Count = 3
    grace_s: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 20.0
    trial_time_s: Positive | None = None
    trial_memory_mb: Positive | None = None


class Run(msgspec.Struct, frozen=True):
    """`[run]`: what is kept of the checkpoints, how often run.h5 is written, who may be busy.

    Without `gpus_per_trial`, the ranks of a node share its GPUs. `isolation`: what stands between
    an objective and its rank. `folder`: where an objective works, hpmpi's own working folder or one
    for each attempt. `may_change`: the settings that no result depends on.
    """

    keep: Literal["incumbent", "newest", "all"] = "incumbent"
    checkpoint_s: Positive = 30.0
    gpus_per_trial: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_concurrent: Count | None = None
    isolation: Literal["process", "none"] = "process"
    folder: Literal["shared", "own"] = "shared"
    may_change: list[NonEmpty] = []


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
        return dump(msgspec.to_builtins(self))


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


def check(table: Table, origin: Path | None = None) -> Settings:
    """Check a study whole; raises SettingsError with every mistake.

    With `origin`, the folder of the study file, the functions it names are looked for as well.
    """
    problems = Problems(homes_of(table))
    settings = fill_struct(Settings, table, "", problems)
    name = table.get("name")
    if isinstance(name, str) and (name.startswith(".") or "/" in name):
        problems.append(f"name = {name!r} names a folder: no dot in front, and no slash in it")
    elif isinstance(name, str) and not (name.isprintable() and len(name.encode()) <= LONGEST_NAME):
        problems.append(f"name = {name!r} can't name a folder: at most {LONGEST_NAME} characters")
    space = make_space(table.get("space"), problems)
    options = dict(as_table(table.get("searcher", {})))
    first = check_first(options.pop("first", []), space, problems)
    if origin is not None and isinstance(options.get("candidates"), str):
        options["candidates"] = read_candidates(origin / options["candidates"], space, problems)
    options["method"] = whole_method(options.get("method", "random"), origin)
    chosen = check_method("searcher", options, hpmpi.master.searchers, origin, problems)
    options = dict(as_table(table.get("scheduler", {})))
    options["method"] = whole_method(options.get("method", "full"), origin)
    scheduler = check_method("scheduler", options, hpmpi.master.schedulers, origin, problems)
    for name in ("objective", "baseline"):
        if origin is not None and isinstance(table.get(name), str):
            problems += reference_problems(name, table[name], origin)
    if settings is not None and settings.run.isolation == "none":
        limited = [name for name in IN_PROCESS if getattr(settings.limits, name) is not None]
        problems += [f'limits.{name} needs run.isolation = "process"' for name in limited]
    if settings is not None:
        problems += name_problems("metric", settings.goal.metric)
        problems += [
            f"run.may_change: {name!r} may not be changed, as decisions follow from it, or it "
            f"is free to; what may be named is in: {', '.join(MAY_BE_NAMED)}"
            for name in settings.run.may_change
            if name.partition(".")[0] not in MAY_BE_NAMED
        ]
        problems += settings.data.problems(origin)
        source = settings.data.source
        if origin is not None and source is not None and settings.data.is_function:
            found = reference_problems("data.source", source, origin)
            problems += [f"{each} (or a file: {', '.join(SUFFIXES)})" for each in found]
    if settings is None or problems:
        raise SettingsError(problems)
    complete = msgspec.structs.replace(
        settings, searcher={**chosen, "first": first}, scheduler=scheduler
    )
    searcher = build_searcher(complete)
    check_target(settings.stop, build_scheduler(complete, searcher).rungs[-1])
    return msgspec.structs.replace(complete, stop=bounded(settings.stop, searcher))


def check_target(stop: Stop, most: int) -> None:
    """Raise SettingsError for a target that no result can reach, where `most` is trained to."""
    problems = []
    if stop.target is not None and not math.isfinite(stop.target):
        problems.append(f"stop.target = {stop.target} must be a finite number")
    if stop.target_resource is not None and stop.target_resource > most:
        given = f"stop.target_resource = {stop.target_resource}"
        problems.append(f"{given} must not be greater than the highest rung, {most}")
    if problems:
        raise SettingsError(problems)


def build(settings: Settings) -> Scheduler:
    """Make the scheduler, with its searcher and space, that a checked study asks for.

    Raises SettingsError where the values of a table do not go together.
    """
    return build_scheduler(settings, build_searcher(settings))


def build_searcher(settings: Settings) -> Searcher:
    """Make the searcher, as `build` does."""
    options = dict(settings.searcher)
    method = options.pop("method")
    space = make_space(settings.space, [])
    assert space is not None, "the study was checked"
    make = found(method, hpmpi.master.searchers)
    new = partial(make, space, settings.seed, options.pop("first"), **options)
    return Checked(made("searcher", settings.searcher, new), space, method)


def build_scheduler(settings: Settings, searcher: Searcher) -> Scheduler:
    """Make the scheduler of a searcher, as `build` does."""
    options = dict(settings.scheduler)
    new = partial(found(options.pop("method"), hpmpi.master.schedulers), searcher, **options)
    scheduler: Scheduler = made("scheduler", settings.scheduler, new)
    return scheduler


def made(name: str, table: Table, make: Callable[[], Any]) -> Any:
    """Make what a table names; raises SettingsError where its code raises."""
    try:
        return make()
    except HpmpiError:
        raise
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({place.filename}, line {place.lineno})"
        problem = f"{name}.method = {table['method']!r} can't be made; it raised {said}"
        raise SettingsError([problem]) from error


def bounded(stop: Stop, searcher: Searcher) -> Stop:
    """Have a study end when its searcher has no other configuration, if that is known, or some."""
    size = getattr(searcher, "size", None)
    if not isinstance(size, int) or size < 1:
        return stop if stop != Stop() else Stop(max_trials=MAX_TRIALS)
    if stop == Stop() and not getattr(searcher, "exhaustive", True):
        stop = Stop(max_trials=MAX_TRIALS)
    return msgspec.structs.replace(stop, max_trials=min(stop.max_trials or size, size, LARGEST))


def check_first(first: object, space: Space | None, problems: list[str]) -> list[Table]:
    """Check the configurations that are to be tried first, and bring them into the space."""
    if not isinstance(first, list) or not all(isinstance(each, dict) for each in first):
        problems.append(f"searcher.first = {first!r} must be a list of configurations")
        return []
    configs: list[Table] = []
    if space is None:
        return configs
    for number, config in enumerate(first):
        try:
            configs.append(space.part(config))
        except SpaceError as error:
            problems.append(f"searcher.first[{number}]: {error}")
    return configs


def read_candidates(file: Path, space: Space | None, problems: list[str]) -> list[Table]:
    """Read the candidates that a study names; none where that can't be."""
    try:
        return [] if space is None else candidates.read(file, space)
    except SettingsError as error:
        problems += error.problems
        return []


def whole_method(method: object, origin: Path | None) -> object:
    """Name the file of a searcher or a scheduler whole: it is found again without the study's."""
    return absolute(method, origin) if origin is not None and isinstance(method, str) else method


def check_method(
    name: str, table: Table, package: ModuleType, origin: Path | None, problems: list[str]
) -> Table:
    """Check the table of a searcher or a scheduler against the class that it names."""
    method = table.pop("method")
    try:
        kind = found(method, package, origin)
    except NotThereError as error:
        problems.append(f"{name}.method: {error}")
        return {}
    more = ("method", "first") if package is hpmpi.master.searchers else ("method",)
    table = without_others(name, method, table, package, problems)
    options = fill_keywords(kind, table, name, problems, more) or {}
    return {"method": method, **options}


def without_others(
    name: str, method: str, table: Table, package: ModuleType, problems: list[str]
) -> Table:
    """Leave out, and say, what are settings of other methods than the one that is named."""
    has = keywords(found(method, package))
    rest = dict(table)
    for key in [key for key in table if key not in has]:
        others = [it for it in builtin(package) if key in keywords(found(it, package))]
        if others:
            del rest[key]
            of = " or ".join(f'"{other}"' for other in others)
            said = f"{name}.{key} is a setting of method = {of}, and this is {method!r}"
            problems.append(f"{said}, which has: {', '.join(has) or 'none'}")
    return rest


def found(method: object, package: ModuleType, origin: Path | None = None) -> Callable[..., Any]:
    """Find the class of a searcher or a scheduler; raises NotThereError."""
    if not isinstance(method, str):
        raise NotThereError(f"{method!r} must be a name")
    kind = find(method, package, origin)
    if not isinstance(kind, type) or not all(hasattr(kind, verb) for verb in VERBS[package]):
        raise NotThereError(f"{method!r} is not a class that has: {', '.join(VERBS[package])}")
    return kind


def reference_problems(name: str, reference: str, origin: Path) -> list[str]:
    """Say why a function can't be found, as far as that shows without importing it."""
    why = missing(reference, origin)
    return [f"{name} = {reference!r}: {why}"] if why else []


def homes_of(table: Table) -> dict[str, list[str]]:
    """Find where each key is at home: those of our tables, and those of the study itself."""
    names = [name for name, _ in entries(as_table(table.get("space")), "space")]
    names += [f"objective_args.{key}" for key in as_table(table.get("objective_args"))]
    for kind in (Stop, Limits, Run, Source):
        title = "data" if kind is Source else kind.__name__.lower()
        names += [f"{title}.{key}" for key in kind.__struct_fields__]
    for title, package in (
        ("searcher", hpmpi.master.searchers),
        ("scheduler", hpmpi.master.schedulers),
    ):
        of_methods = [keywords(found(method, package)) for method in builtin(package)]
        names += dict.fromkeys(f"{title}.{key}" for each in of_methods for key in each)
    homes: dict[str, list[str]] = {}
    for name in names:
        homes.setdefault(name.rpartition(".")[2], []).append(name)
    return homes


def as_table(value: object) -> Table:
    """Take what is no table as an empty one: that is said elsewhere."""
    return value if isinstance(value, dict) else {}
