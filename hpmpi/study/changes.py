"""What differs from the study that a run was begun with, and what of that may.

Decisions follow from the space, the searcher, the scheduler, the goal and the seed: these stay.
What the objective makes of its arguments and data, nobody here can tell. So those stay as well, but
for what `[run] may_change` names, and for files that were moved: absolute paths, before and now,
that end in the same name.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec

from hpmpi.study.settings import MAY_BE_NAMED, Settings

FREE = ("name", "stop", "limits", "run", "baseline", "data.folder", "scheduler.unit")
"""What may differ when a study is gone on with, whatever it is."""

MAY_MOVE = (*MAY_BE_NAMED, "searcher.method", "searcher.learn_from", "scheduler.method")
"""What may name a file that was moved."""

LONGEST_TOLD = 120
"""How much of a setting is told where it differs, in characters."""


class Change(NamedTuple):
    """A setting as it is now, and was before; None where there was, or is, none."""

    name: str
    now: Any
    before: Any

    def is_of(self, names: Sequence[str]) -> bool:
        """Tell whether it is one of these settings, or in one of these tables or lists."""
        return any(
            self.name == name or self.name.startswith((f"{name}.", f"{name}[")) for name in names
        )

    @property
    def whole(self) -> str:
        """Name the setting that it is, or is in a list of."""
        return self.name.partition("[")[0]

    @property
    def is_move(self) -> bool:
        """Whether it is a path to what has the same name, but lies elsewhere."""
        if not (isinstance(self.now, str) and isinstance(self.before, str)):
            return False
        now, before = PurePosixPath(self.now), PurePosixPath(self.before)
        return now.is_absolute() and before.is_absolute() and now.name == before.name != ""

    def __str__(self) -> str:
        """Say both in a line."""
        now, before = (
            "nothing" if each is None else f"{each!r:.{LONGEST_TOLD}}"
            for each in (self.now, self.before)
        )
        return f"{self.name} = {now}, and {before} in the run that is there"


def differences(study: Settings, stored: Settings) -> list[str]:
    """Say what differs from the stored study and may not; of a list, which may be long, once."""
    told: dict[str, str] = {}
    for each in changes(study, stored):
        if not (each.is_of(MAY_MOVE) and each.is_move):
            named = each.is_of(MAY_BE_NAMED)
            hint = " ([run] may_change can name it, if no result depends on it)" if named else ""
            told.setdefault(each.whole, f"{each}{hint}")
    return list(told.values())


def moves(study: Settings, stored: Settings) -> list[str]:
    """Say which files have been moved."""
    moved = [each for each in changes(study, stored) if each.is_move and each.is_of(MAY_MOVE)]
    return [f"{each.name} = {each.now!r} is taken for {each.before!r}, moved" for each in moved]


def changes(study: Settings, stored: Settings) -> Iterator[Change]:
    """Find what is not free to differ, nor named as that."""
    free = (*FREE, *study.run.may_change)
    found = compare("", msgspec.to_builtins(study), msgspec.to_builtins(stored))
    return (each for each in found if not each.is_of(free))


def compare(name: str, now: Any, before: Any) -> Iterator[Change]:
    """Compare tables key by key, and lists item by item; nan is nan."""
    if now == before:
        return
    match now, before:
        case dict(), dict():
            for key in before | now:
                whole = f"{name}.{key}" if name else key
                yield from compare(whole, now.get(key), before.get(key))
        case list(), list():
            for index, pair in enumerate(zip_longest(now, before)):
                yield from compare(f"{name}[{index}]", *pair)
        case float(), float() if math.isnan(now) and math.isnan(before):
            return
        case _:
            yield Change(name, now, before)
