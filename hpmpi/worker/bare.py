"""The objective in the rank itself, for `isolation = "none"`: fast, and without protection.

It has the interface of a Child, whose rules do not hold here: an objective that ends its process
ends the rank, one that hangs makes it silent, no limit is kept, and what a job leaves behind in the
process stays for the next: there is no fresh one, and a failure says so. Nothing can end a job that
is cancelled: it goes on to its end, and only then that is its answer, whatever it has come to.

One thread speaks MPI, and it is the objective's: so a rank can't beat while it works. It takes a
breath, to beat and to listen, where the objective calls `trial.report` or `trial.should_save`.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from hpmpi.guard.process_tree import below
from hpmpi.model.messages import (
    Answer,
    Assign,
    Cancel,
    Cancelled,
    Failed,
    FailureKind,
    Progress,
    Ready,
    Report,
    Unfit,
    Welcome,
    Word,
)
from hpmpi.model.trial import AttemptId
from hpmpi.storage.logs import heading_of
from hpmpi.transports import resources
from hpmpi.transports.resources import Share
from hpmpi.worker.attempts import AttemptRunner
from hpmpi.worker.baseline import is_baseline, welcome_to_baseline
from hpmpi.worker.environment import divided, provision
from hpmpi.worker.error_text import told
from hpmpi.worker.log_file import Output
from hpmpi.worker.meter import Meter
from hpmpi.worker.runner import leave_signals_to_the_rank

BREATHE_EVERY_S = 0.1


class Bare:
    """Do what a Child does, in this process and thread."""

    unsent = is_ending = is_in_world = False
    """Nothing has to be sent anywhere, or to be ended."""

    def __init__(
        self, welcome: Welcome, output: Path, share: Share, breathe: Callable[[], None]
    ) -> None:
        """Prepare; `breathe` is called now and then while a job is done."""
        self._welcome = welcome
        self._path = output
        self._share = share
        self._breathe = breathe
        self._thread = threading.get_ident()
        self._breathed_at = 0.0
        self._attempts: AttemptRunner | None = None
        self._output: Output | None = None
        self._reports: list[Report] = []
        self._job: Assign | None = None
        self._at_work: AttemptId | None = None
        self._draining = self._cancelled = False
        self._meter = Meter()

    def start(self, _now: float) -> None:
        """Load the objective; from now on, what is printed here goes where a child's does."""
        gpus_per_trial = self._welcome.gpus_per_trial
        if no_gpus := resources.refusal(self._share, gpus_per_trial):
            self._reports.append(Unfit(resources.host(), no_gpus))
            return
        os.environ.update(divided(os.environ, self._share, gpus_per_trial))
        leave_signals_to_the_rank()
        try:
            self._output = Output(self._path)
            for stream in (sys.stdout, sys.stderr):
                os.dup2(self._output.fileno(), stream.fileno())
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # nobody is there to type
            self._attempts = AttemptRunner(self._welcome)
        except BaseException as error:  # noqa: BLE001 - the user's module
            self._reports.append(Unfit(resources.host(), told(error)))
        else:
            has = provision(self._share, gpus_per_trial)
            self._reports.append(Ready(resources.host(), os.getpid(), self._attempts.notes, has))
            self._meter.start(below([os.getpid()]), 0.0)

    def descriptors(self) -> list[int]:
        """Return nothing: there is never news while somebody waits."""
        return []

    def assign(self, order: Assign, _now: float) -> None:
        """Have the next `poll` do a job."""
        self._job = order
        self._draining = self._cancelled = False

    def save(self) -> None:
        """Have the job in work end with its next checkpoint."""
        self._draining = True

    def cancel(self, order: Cancel, _now: float) -> None:
        """Have a job not begun, or have nobody hear what it comes to."""
        if self._job is not None and self._job.attempt == order.attempt:
            self._job = None
            self._reports.append(Cancelled(order.attempt))
        elif self._at_work == order.attempt:
            self._cancelled = True

    def tell(self, word: Word, _now: float) -> None:
        """Hear what a member of a group says: there is none without isolation."""
        raise AssertionError(f"nobody can say {word}")

    def poll(self, now: float) -> list[Report]:
        """Do the job that waits, if one does; return what there is to report."""
        if self._job is not None and self._attempts is not None:
            order, self._job = self._job, None
            if self._output is not None:
                self._output.head(heading_of(order))
            self._breathed_at, self._at_work = now, order.attempt
            self._meter.begin(now)
            answer = self._measured(self._make(order, self._attempts))
            self._at_work = None
            answer = Cancelled(order.attempt) if self._cancelled else answer
            self._reports.append(answer)  # a breath has begun another list meanwhile
            with contextlib.suppress(Exception):  # whatever the objective has put in its place
                sys.stdout.flush()
        reports, self._reports = self._reports, []
        return reports

    ended = True
    """It ends with its rank."""

    def retire(self, _now: float) -> None:
        """End with the rank."""

    def close(self) -> None:
        """Leave it to the guard to end what the objective has started."""
        if self._output is not None:
            self._output.close()

    def _make(self, order: Assign, attempts: AttemptRunner) -> Answer:
        """Make an attempt with what is loaded, or with the baseline, which is loaded for it."""
        if is_baseline(order):
            try:
                attempts = AttemptRunner(welcome_to_baseline(self._welcome))
            except BaseException as error:  # noqa: BLE001 - the user's module
                return Failed(order.attempt, FailureKind.EXCEPTION, told(error))
        return attempts.make(order, self._tell, self._drains)

    def _measured(self, answer: Answer) -> Answer:
        """Say, now and then, what was used; rank and objective are one process here."""
        now = time.monotonic()
        if not self._meter.end(now):
            return answer
        usage = self._meter.measure(below([os.getpid()]), 0.0, now)
        return msgspec.structs.replace(answer, usage=usage)

    def _tell(self, report: Progress) -> None:
        if not self._cancelled:
            self._reports.append(report)
        self._pause()

    def _drains(self) -> bool:
        self._pause()
        return self._draining

    def _pause(self) -> None:
        """Take a breath if it is time, and not in a thread that the objective has started."""
        due = time.monotonic() - self._breathed_at >= BREATHE_EVERY_S
        if due and threading.get_ident() == self._thread:
            self._breathe()
            self._breathed_at = time.monotonic()
