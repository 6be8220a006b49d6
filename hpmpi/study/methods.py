"""The searcher and the scheduler of a study: found, their tables filled, and made.

A table is checked against the keywords of the class that it names, so a user's own class is checked
as ours are.
"""

import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import hpmpi.master.schedulers
import hpmpi.master.searchers
from hpmpi.errors import HpmpiError, SettingsError
from hpmpi.master.schedulers import Scheduler
from hpmpi.master.searchers import Checked, Searcher
from hpmpi.study.references import NotThereError, absolute, builtin, find
from hpmpi.study.schema import Problems, Table, fill_keywords, keywords
from hpmpi.study.settings import Settings
from hpmpi.study.space_table import make_space


class Role(NamedTuple):
    """A table that names a class: where ours are, what any must do, and what else the table has."""

    table: str
    package: ModuleType
    default: str
    verbs: tuple[str, ...]
    more: tuple[str, ...] = ("method",)

    def find(self, method: object, origin: Path | None = None) -> Callable[..., Any]:
        """Find a class; raises NotThereError."""
        if not isinstance(method, str):
            raise NotThereError(f"{method!r} must be a name")
        kind = find(method, self.package, origin)
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
        has = keywords(kind)
        others = {key: self._others(key) for key in table if key not in (*self.more, *has)}
        for key, names in others.items():
            if names:
                said = f"{self.table}.{key} is a setting of method = {names}, and this is"
                problems.append(f"{said} {method!r}, which has: {', '.join(has) or 'none'}")
        rest = {key: value for key, value in table.items() if not others.get(key)}
        rest.pop("method", None)
        options = fill_keywords(kind, rest, self.table, problems, self.more) or {}
        return {"method": absolute(method, origin or Path.cwd()), **options}

    def settings(self) -> list[str]:
        """List what all that is built in take."""
        kinds = map(self.find, builtin(self.package))
        return list(dict.fromkeys(key for kind in kinds for key in keywords(kind)))

    def _others(self, key: str) -> str:
        names = [it for it in builtin(self.package) if key in keywords(self.find(it))]
        return " or ".join(f'"{name}"' for name in names)


SEARCHER = Role(
    "searcher",
    hpmpi.master.searchers,
    "random",
    ("ask", "adopt", "tell"),
    ("method", "first"),
)
SCHEDULER = Role(
    "scheduler",
    hpmpi.master.schedulers,
    "full",
    ("ask", "adopt", "tell", "rungs", "promotable", "awaits"),
)


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
    make = partial(SEARCHER.find(method), space, settings.seed, options.pop("first"), **options)
    return Checked(made("searcher", method, make), space, method)


def build_scheduler(settings: Settings, searcher: Searcher) -> Scheduler:
    """Make the scheduler of a searcher, as `build` does."""
    options = dict(settings.scheduler)
    method = options.pop("method")
    make = partial(SCHEDULER.find(method), searcher, **options)
    scheduler: Scheduler = made("scheduler", method, make)
    return scheduler


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
