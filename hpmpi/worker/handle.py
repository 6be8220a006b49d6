"""What an objective is given of its trial: what to do, what to go on from, where to save.

    trial.start, trial.stop     the resource already spent, and to reach
    trial.report, .checkpoint   what it has come to on the way
    trial.folder                what else it leaves
    trial.index, trial.size     which member of its group it is, of how many

When the run drains, the objective is to leave by Suspend, which `checkpoint` raises.
"""

import copy
import functools
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from hpmpi.data.mapped import data_in
from hpmpi.model.messages import Assign, Point, Welcome
from hpmpi.storage.files import remove
from hpmpi.worker.baseline import number_of
from hpmpi.worker.checkpoints import Checkpoints, trial_path
from hpmpi.worker.group import ALONE, Group, Told
from hpmpi.worker.metrics import all_numbers

Publish = Callable[[Point], None]
Drains = Callable[[], bool]

SAVE_PAUSE_S = 10.0
"""Least time between two checkpoints that are not at the end of a job."""

SAVE_SHARE = 0.05
"""Greatest share of a job's time that may go into checkpoints between."""

NUMBER = struct.Struct("=Q")

TRIALS = "trials"
"""The folder in the run folder that has those of trials."""


class Suspend(BaseException):
    """The run drains, and a checkpoint at the resource `saved` is there: leave the objective.

    Not an error, and not for an `except Exception` on the way. Where it is caught all the same, the
    job is suspended once its objective has ended, whatever that came to.
    """

    def __init__(self, saved: int) -> None:
        """Say where the trial will go on."""
        super().__init__(saved)
        self.saved = saved


class SuspendRequest:
    """Which attempt of this process is to suspend, by number, in memory shared with its forks.

    There is one for all attempts, as to have memory shared takes as long as to do a small job. What
    an earlier one has left running knows a smaller number, and changes nothing.
    """

    def __init__(self) -> None:
        """Share memory with all that is forked from now on."""
        self._memory = mmap.mmap(-1, NUMBER.size)
        self._begun = 0

    def begin(self) -> int:
        """Take the number of another attempt."""
        self._begun += 1
        return self._begun

    def make(self, number: int) -> None:
        """Have an attempt suspend."""
        if self._newest() < number:
            NUMBER.pack_into(self._memory, 0, number)

    def is_made(self, number: int) -> bool:
        """Look whether an attempt is to suspend, whichever of its processes has heard of it."""
        return self._newest() == number

    def _newest(self) -> int:
        newest: int = NUMBER.unpack_from(self._memory)[0]
        return newest


class Trial:
    """What an objective is given beside its configuration.

    docs/objective.md has a table of all of it.

    It may be used in threads and forked processes of the objective, but not after the objective has
    ended: what is reported then is dropped.
    """

    def __init__(  # noqa: PLR0913 - all that an attempt is made of
        self,
        welcome: Welcome,
        order: Assign,
        checkpoints: Checkpoints,
        publish: Publish,
        drains: Drains,
        *,
        request: SuspendRequest,
        group: Group,
    ) -> None:
        """Take over the trial's newest checkpoint, or hear which one the first member has."""
        self.number = number_of(order)
        self.rung = order.attempt.rung
        self.attempt = order.attempt
        self.seed = order.seed
        self.data = data_in(welcome.data)
        self.stop = order.resource
        self.max_resource = welcome.max_resource
        self._ends_at = None if order.deadline_s is None else time.monotonic() + order.deadline_s
        self._welcome = welcome
        self._order = order
        self._checkpoints = checkpoints
        self.group = group
        self.index, self.size = group.index, group.size
        start, previous = group.agree("start", 0, self._claim)
        self.start = int(start or 0)
        self.previous = None if previous is None else Path(str(previous))
        self._publish = publish
        self._drains = drains
        self._request = request
        self._number = request.begin()
        self._ended = False
        self._speaking = threading.RLock()
        self._saved_at = time.monotonic()
        self._save_took_s = 0.0

    def _claim(self) -> Told:
        limit = self._order.resource
        previous = self._checkpoints.claim(heard_of=self._order.saved, limit=limit)
        newest = self._checkpoints.newest
        return newest.resource if newest else 0, None if previous is None else str(previous)

    @functools.cached_property
    def args(self) -> dict[str, Any]:
        """What the study has in `[objective_args]`; what is changed in it, no other trial sees."""
        return copy.deepcopy(self._welcome.args)

    @functools.cached_property
    def origin(self) -> Path:
        """The folder of the study file."""
        return Path(self._welcome.origin)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of all members of the group, in their order."""
        return self.group.hosts or (os.uname().nodename,)

    @property
    def deadline_s(self) -> float | None:
        """How many seconds are left before the allocation ends; None where that is not known."""
        return None if self._ends_at is None else self._ends_at - time.monotonic()

    @functools.cached_property
    def folder(self) -> Path:
        """A folder in the run folder that is this trial's, made when it is first asked for.

        All attempts at it have the same, at all rungs, and nobody removes it.
        """
        self._home.mkdir(parents=True, exist_ok=True)
        return self._home

    def report(self, resource: int, /, **metrics: object) -> None:
        """Add a point to the learning curve; what is no number is left out.

        Raises ObjectiveError where that is the studied metric. Only the first member's counts.
        """
        if not self.group.leads:
            return
        point = Point(int(resource), all_numbers(metrics, self._welcome.metric))
        with self._speaking:
            if not self._ended:
                self._publish(point)

    def should_save(self, resource: int) -> bool:
        """Tell whether now is the time for a checkpoint.

        That is at the end, when the run drains, and now and then between. All members of a group
        must ask, and hear the same.
        """
        (due,) = self.group.agree("should_save", resource, lambda: (self.is_due(resource),))
        return bool(due)

    def is_due(self, resource: int) -> bool:
        """Tell whether it is time for a checkpoint, as far as this member knows."""
        pause_s = max(SAVE_PAUSE_S, self._save_took_s / SAVE_SHARE)
        due = resource >= self.stop or time.monotonic() - self._saved_at >= pause_s
        return due or self.drains()

    @contextmanager
    def checkpoint(self, resource: int) -> Iterator[Path]:
        """Give a folder to save the model in; it counts, as a whole, once the block has ended.

        When the run drains, the job ends there: the trial goes on from this checkpoint later. Only
        the first member's counts; what another writes is removed.
        """
        with self._save(resource) if self.group.leads else unkept() as folder:
            yield folder
        leaves_at = lambda: (self._leaves_at(resource),)  # noqa: E731 - it is asked by who decides
        (at,) = self.group.agree("checkpoint", resource, leaves_at)
        if at is not None:
            self._request.make(self._number)
            raise Suspend(int(at))

    @contextmanager
    def _save(self, resource: int) -> Iterator[Path]:
        """Give a folder that is a checkpoint once the block has ended; the job goes on."""
        began_at = time.monotonic()
        with self._checkpoints.save(int(resource)) as folder:
            yield folder
        self._saved_at = time.monotonic()
        self._save_took_s = self._saved_at - began_at

    def _leaves_at(self, resource: int) -> int | None:
        """Tell at which checkpoint the job ends, where the run drains."""
        newest = self._checkpoints.newest
        if newest is None or newest.resource < resource:  # there was no room for it
            return None
        drains = newest.resource < self.stop and self.drains()
        return newest.resource if drains or self._request.is_made(self._number) else None

    def suspend(self) -> NoReturn:
        """Leave the job of a run that drains, for the trial's newest checkpoint, if it has one."""
        newest = self._checkpoints.newest
        self._request.make(self._number)
        raise Suspend(newest.resource if newest else 0)

    def end(self) -> bool:
        """Have no more to do with the job from now on; true if its objective was to leave it."""
        with self._speaking:  # who reports meanwhile has done so before the answer
            self._ended = True
        return self._request.is_made(self._number)

    @contextmanager
    def working_folder(self) -> Iterator[None]:
        """Work in a folder that no other attempt has, of any trial; it stays, unless it is empty.

        Whose process it is goes back by itself.
        """
        _, rung, number = self._order.attempt
        part = f".{self.index}" if self.index else ""
        folder, had_home = self._home / f"{rung}.{number}{part}", self._home.exists()
        remove(folder)  # of an attempt that the journal has lost
        folder.mkdir(parents=True)
        os.chdir(folder)
        try:
            yield
        finally:
            with suppress(OSError):  # there is something in it
                folder.rmdir()
                if not had_home and "folder" not in vars(self):  # nobody has asked for that
                    self._home.rmdir()

    @functools.cached_property
    def _home(self) -> Path:
        return Path(self._welcome.folder, TRIALS, str(self.number))

    def drains(self) -> bool:
        """Look whether the run drains."""
        with self._speaking:
            return not self._ended and self._drains()


@contextmanager
def unkept() -> Iterator[Path]:
    """Give a folder that is removed at the end of the block."""
    import tempfile  # noqa: PLC0415 - rarely needed, and loads a lot

    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def open_trial(  # noqa: PLR0913 - all that an attempt is made of
    welcome: Welcome,
    order: Assign,
    publish: Publish,
    drains: Drains,
    *,
    request: SuspendRequest | None = None,
    group: Group = ALONE,
) -> tuple[Trial, Checkpoints]:
    """Make the handle for an attempt, and what keeps its checkpoints.

    `request` is that of the process, for who makes more than one attempt in it; `group`: its own.
    """
    checkpoints = Checkpoints(
        trial_path(welcome.folder, number_of(order)),
        order.attempt.rung,
        order.attempt.number,
        keep_all=welcome.keep_all,
    )
    request = request or SuspendRequest()
    trial = Trial(welcome, order, checkpoints, publish, drains, request=request, group=group)
    return trial, checkpoints
