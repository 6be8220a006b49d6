"""The searcher and the scheduler of a study: found, their tables filled, and made.

A table is checked against the keywords of the class that it names, so a user's own class is checked
as ours are.
"""

import traceback
from collections.abc import Callable
from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import hpmpi.master.adapters
import hpmpi.master.schedulers
import hpmpi.master.searchers
from hpmpi.errors import HpmpiError, SettingsError
from hpmpi.master.schedulers import Scheduler, highest
from hpmpi.master.searchers import Checked, Searcher
from hpmpi.master.searchers.random import Random
from hpmpi.model.space import Space
from hpmpi.study.references import NotThereError, absolute, adapter_of, builtin, find
from hpmpi.study.schema import Problems, Table, fill_keywords, keywords
from hpmpi.study.settings import Settings
from hpmpi.study.space_table import make_space

KEYWORD = Parameter.KEYWORD_ONLY


class Role(NamedTuple):
    """A table that names a class: where ours are, what any must do, and what else the table has.

    `given`: the keywords that a class is given if it names them, and that are no settings;
    `adapters`: where those are that make ours of other people's.
    """

    table: str
    package: ModuleType
    default: str
    verbs: tuple[str, ...]
    more: tuple[str, ...] = ("method",)
    given: tuple[str, ...] = ()
    adapters: ModuleType | None = None

    def find(self, method: object, origin: Path | None = None) -> Callable[..., Any]:
        """Find a class; raises NotThereError."""
        if not isinstance(method, str):
            raise NotThereError(f"{method!r} must be a name")
        kind = find(method, self.package, origin, self.adapters)
        if not isinstance(kind, type) or not all(hasattr(kind, verb) for verb in self.verbs):
            raise NotThereError(f"{method!r} is not a class that has: {', '.join(self.verbs)}")
        return kind

    def fill(self, table: Table, origin: Path | None, problems: Problems) -> Table:
        """Check a table against the class that it names, and fill in its defaults.

        A file beside the study is named whole: whoever makes it need not know where the study lies.
        """
        method = table.get("method", self.default)
        try:
            kind = self.find(method, origin)
        except NotThereError as error:
            problems.append(f"{self.table}.method: {error}")
            return {}
        has = self.keywords(kind)
        others = {key: self._others(key) for key in table if key not in (*self.more, *has)}
        for key, names in others.items():
            if names:
                said = f"{self.table}.{key} is a setting of method = {names}, and this is"
                problems.append(f"{said} {method!r}, which has: {', '.join(has) or 'none'}")
        rest = {key: value for key, value in table.items() if not others.get(key)}
        rest.pop("method", None)
        parameters = {name: Parameter(name, KEYWORD, default=None) for name in self.more} | has
        options = fill_keywords(kind, parameters, rest, self.table, problems) or {}
        adapter, named = adapter_of(method, self.adapters)
        whole = absolute(named, origin or Path.cwd())
        return {"method": f"{adapter}:{whole}" if adapter else whole, **options}

    def settings(self) -> list[str]:
        """List what all that is built in take."""
        kinds = map(self.find, builtin(self.package))
        return list(dict.fromkeys(key for kind in kinds for key in self.keywords(kind)))

    def keywords(self, kind: Callable[..., Any]) -> dict[str, Parameter]:
        """Find the keywords of a class that are settings."""
        return {key: it for key, it in keywords(kind).items() if key not in self.given}

    def _others(self, key: str) -> str:
        names = [it for it in builtin(self.package) if key in self.keywords(self.find(it))]
        return " or ".join(f'"{name}"' for name in names)


SEARCHER = Role(
    "searcher",
    hpmpi.master.searchers,
    "random",
    ("ask", "adopt", "tell"),
    ("method", "first", "learn_from"),
    ("rungs", "ranks", "goal"),
    hpmpi.master.adapters,
)
SCHEDULER = Role(
    "scheduler",
    hpmpi.master.schedulers,
    "full",
    ("ask", "adopt", "tell", "rungs", "promotable", "awaits"),
    ("method", "unit"),
    ("goal",),
)


def build(settings: Settings) -> Scheduler:
    """Make the scheduler, with its searcher and space, that a checked study asks for.

    Raises SettingsError where the values of a table do not go together.
    """
    return build_scheduler(settings, build_searcher(settings))


def build_searcher(settings: Settings, *, ranks: int = 1) -> Checked:
    """Make the searcher, as `build` does; `ranks`: how many worker ranks this start has."""
    options = dict(settings.searcher)
    method = options.pop("method")
    options.pop("learn_from", None)
    kind = SEARCHER.find(method)
    named = signature(kind).parameters
    if "ranks" in named:
        options["ranks"] = ranks
    if "rungs" in named:
        options["rungs"] = rungs_of(settings)
    if "goal" in named:
        options["goal"] = settings.goal
    space = space_of(settings)
    make = partial(kind, space, settings.seed, options.pop("first"), **options)
    return Checked(made("searcher", method, make), space, method)


def thinks(settings: Settings, origin: Path) -> bool:
    """Tell whether the searcher may take long: one of ours that says so, and any other."""
    method = str(settings.searcher["method"])
    return bool(getattr(SEARCHER.find(method, origin), "thinks", ":" in method))


def learns(settings: Settings) -> bool:
    """Tell whether the searcher may learn from results: one of ours that says so, and any other."""
    method = str(settings.searcher["method"])
    return ":" in method or bool(getattr(SEARCHER.find(method), "learns", False))


def build_scheduler(settings: Settings, searcher: Searcher) -> Scheduler:
    """Make the scheduler of a searcher, as `build` does."""
    options = dict(settings.scheduler)
    method = options.pop("method")
    options.pop("unit", None)
    kind = SCHEDULER.find(method)
    if "goal" in signature(kind).parameters:
        options["goal"] = settings.goal
    make = partial(kind, searcher, **options)
    scheduler: Scheduler = made("scheduler", method, make)
    return scheduler


def rungs_of(settings: Settings) -> tuple[int, ...]:
    """Tell the rungs of a study at its beginning: they follow from the scheduler's settings."""
    return tuple(unasked_scheduler(settings).rungs)


def max_resource_of(settings: Settings) -> int:
    """Tell how far a trial of a study may be trained."""
    return highest(unasked_scheduler(settings))


def unasked_scheduler(settings: Settings) -> Scheduler:
    """Make the scheduler of a study with a searcher that nobody asks."""
    return build_scheduler(settings, Random(space_of(settings), settings.seed, []))


def space_of(settings: Settings) -> Space:
    """Make the space of a checked study."""
    space = make_space(settings.space, [])
    assert space is not None, "the study was checked"
    return space


def made(table: str, method: str, make: Callable[[], Any]) -> Any:
    """Make what a table names; raises SettingsError where its code raises."""
    try:
        return make()
    except HpmpiError:
        raise
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({place.filename}, line {place.lineno})"
        problem = f"{table}.method = {method!r} can't be made; it raised {said}"
        raise SettingsError([problem]) from error
