"""One run of a program: what it says is heard, what it saves is taken, and it is ended.

    at work --ends well--> its result, and its `{folder}` is a checkpoint at `stop`
       |  +---ends with another exit code, or by a signal--> a mishap
       +--the run drains--> signalled --saves, or ends--> suspended

Rules:

- `{folder}` is a checkpoint in the making: whole once the program has ended well. Before that it is
  copied when the program has touched the file `saved` in it, and it is time for a checkpoint. What
  has changed meanwhile is none.
- The resource that it was saved at is what is written in that file, or else what was told last.
- When the run drains, what is saved is taken, and then the program is sent its signal. If it ends,
  what it says counts only where it has told that it came to `stop`: at a signal, who is not done
  ends well, too.
- When a program has ended, or has to, so does all that is in its process group. (A session of its
  own costs milliseconds where many programs run: Linux shares the cores out by session.)
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from hpmpi.errors import ObjectiveError
from hpmpi.guard import process_tree
from hpmpi.model.messages import OUTPUT
from hpmpi.storage import files
from hpmpi.study.command import ProgramArgs
from hpmpi.transports.framing import await_any
from hpmpi.worker.attempts import Mishap
from hpmpi.worker.error_text import MOST_OF_A_LINE, lasting
from hpmpi.worker.handle import Suspend, Trial
from hpmpi.worker.limits import ORDER_S, cause
from hpmpi.worker.log_file import TAIL_BYTES
from hpmpi.worker.printed import Lines, Printed, Said, in_file, whole
from hpmpi.worker.process import END_LOOK_S

LOOK_EVERY_S = 0.1
"""How often it is looked whether the run drains, or the program has saved."""

CONFIGURATION = "configuration.json"
"""The file in `{folder}` that has what is tuned."""

CHUNK_BYTES = 1 << 16

MOST_CHUNKS = 64
"""How much more is heard of a program that has ended: what escaped from it may go on for ever."""


class TornError(Exception):
    """What was to be a checkpoint has changed while it was copied."""


class ProgramRun:
    """A program at work; closed, it has ended."""

    def __init__(  # noqa: PLR0913 - all that there is to a job
        self,
        words: list[str],
        env: Mapping[bytes, bytes],
        trial: Trial,
        folder: Path | None,
        *,
        args: ProgramArgs,
        metric: str,
    ) -> None:
        """Start it in a process group of its own; raises OSError."""
        self._args = args
        self._trial = trial
        self._folder = folder if trial.group.leads else None  # which another saves in
        self._printed = Printed(args, metric, lambda at, said: trial.report(at, **said))
        self._pid, self._out, errors = started(words, env)
        self._pipes = (self._out, errors)
        self._open = {pipe: Lines() for pipe in self._pipes}
        self._ends = process_tree.end_of(self._pid)
        self._code: int | None = None
        self._errors = b""
        self._look_at = time.monotonic() + LOOK_EVERY_S
        self._saved_at = trial.start
        self._version: int | None = None  # of the file `saved`, that was looked at
        self._is_signalled = False

    def close(self) -> None:
        """End it, if it has not ended."""
        try:
            if self._code is None:
                self._stop()
        finally:
            for descriptor in (*self._ends, *self._pipes):
                os.close(descriptor)

    def result(self) -> Said:
        """Follow it to its end; return its metrics.

        Raises Mishap, ObjectiveError where it has none, Suspend where the run drains.
        """
        while not self._has_ended():
            self._hear(LOOK_EVERY_S)
            if time.monotonic() >= self._look_at:
                self._look()
        code = self._bury()
        if self._is_signalled:
            self._leave(code)
        if code:
            raise self._mishap(code)
        if not self._trial.group.leads:
            return {}
        if self._args.metrics is not None and self._folder is not None:
            return in_file(self._folder / self._args.metrics)
        if not self._printed.result:
            what = "JSON object" if self._args.pattern is None else "line that fits `pattern`"
            raise ObjectiveError(
                f"the program has printed no {what}: have it print its metrics, as "
                '{"loss": 0.1} in a line, or see `pattern` and `metrics` of [objective_args]'
            )
        return self._printed.result

    # -- what it says ------------------------------------------------------------------------------

    def _hear(self, limit_s: float) -> bool:
        """Wait for what it says, or its end; tell whether anything has come."""
        if not (self._open or self._ends):
            limit_s = min(limit_s, END_LOOK_S)
        ready = await_any([*self._open, *self._ends], limit_s=limit_s)
        for descriptor in ready & self._open.keys():
            chunk = os.read(descriptor, CHUNK_BYTES)
            self._take_in(descriptor, chunk)
            if not chunk:
                del self._open[descriptor]
        return bool(ready & self._open.keys())

    def _take_in(self, descriptor: int, chunk: bytes) -> None:
        """Pass it on to the log, and note what it means; nothing is the end of the last line."""
        is_out = descriptor == self._out
        with contextlib.suppress(OSError):  # a full disk
            files.write((sys.stdout if is_out else sys.stderr).fileno(), chunk)
        if not is_out:
            self._errors = (self._errors + chunk)[-TAIL_BYTES:]
        if is_out or self._args.pattern is not None:
            for line in self._open[descriptor].add(chunk or b"\n"):
                self._printed.hear(line)

    def _mishap(self, code: int) -> Mishap:
        """Say why it has come to nothing: the last line of its errors with a word in it, first."""
        kind, error = cause(code, taken=False)
        text = self._errors.decode(errors="replace").strip()
        lines = [line.strip() for line in text.splitlines() if any(map(str.isalpha, line))]
        said = f"; it said: {lasting(lines[-1])[:MOST_OF_A_LINE]}" if lines else ""
        return Mishap(kind, f"{error}{said}{OUTPUT}\n{text}" if text else error)

    # -- what it saves -----------------------------------------------------------------------------

    def _look(self) -> None:
        self._look_at = time.monotonic() + LOOK_EVERY_S
        if self._args.signal is None or self._is_signalled or not self._trial.drains():
            self._save()
            return
        self._is_signalled = True
        with contextlib.suppress(Suspend):  # it may have more to save
            self._save()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.Signals[f"SIG{self._args.signal}"])

    def _save(self) -> None:
        """Take what it has saved, if that is new, and it is time for it."""
        version = self._version_saved()
        if version is None or version == self._version:
            return
        resource = self._resource_saved()
        if resource is None or not self._is_between(resource):
            return
        if self._trial.is_due(resource):
            self._version = version
            self._copy(resource)

    def _leave(self, code: int) -> None:
        """Suspend a job whose program has ended at a signal, unless that has come to `stop`."""
        resource = self._resource_saved()
        told = [at for at in (resource, self._printed.resource) if at is not None]
        if code == 0 and max(told, default=0) >= self._trial.stop:
            return
        if self._args.saved is not None:
            has_saved = self._version_saved() not in (None, self._version)
        else:
            has_saved = (
                code == 0 and self._folder is not None and has_state(self._folder, self._args)
            )
        if has_saved and resource is not None and self._is_between(resource):
            self._copy(resource)
        self._trial.suspend()

    def _copy(self, resource: int) -> None:
        assert self._folder is not None, "something is saved in it"
        try:
            with self._trial.checkpoint(resource) as place:
                copy_whole(self._folder, place)
                self._saved_at = resource
        except TornError as error:
            sys.stderr.write(f"left out a checkpoint at {resource}: {error}\n")

    def _is_between(self, resource: int) -> bool:
        return self._saved_at < resource < self._trial.stop

    def _version_saved(self) -> int | None:
        """Tell when it has touched the file that says so; None where it has not."""
        if self._folder is None or self._args.saved is None:
            return None
        try:
            return (self._folder / self._args.saved).stat().st_mtime_ns
        except OSError:
            return None

    def _resource_saved(self) -> int | None:
        if self._folder is not None and self._args.saved is not None:
            with contextlib.suppress(OSError, ValueError):
                return whole(float((self._folder / self._args.saved).read_text()))
        return self._printed.resource

    # -- its end -----------------------------------------------------------------------------------

    def _has_ended(self) -> bool:
        """Look whether it has; its number stays its own until it is waited for."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._pid, flags) is not None

    def _bury(self) -> int:
        """End it, and what it has left running, and hear the last of it; return its exit code."""
        self._signal(signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        self._code = os.waitstatus_to_exitcode(status)
        for _ in range(MOST_CHUNKS):
            if not self._hear(0.0):
                break
        return self._code

    def _stop(self) -> None:
        """End it in order, as long as there is time; nobody waits for what it says."""
        self._printed = Printed(ProgramArgs(), "", lambda *_: None)
        self._signal(signal.SIGTERM)
        ends_at = time.monotonic() + ORDER_S
        while not self._has_ended() and (left_s := ends_at - time.monotonic()) > 0:
            self._hear(left_s)
        self._bury()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, number)


def started(words: list[str], env: Mapping[bytes, bytes]) -> tuple[int, int, int]:
    """Start a program; return its number, and where its output and its errors can be read."""
    (out, its_out), (errors, its_errors) = os.pipe(), os.pipe()
    try:
        pid = os.posix_spawn(
            words[0],
            words,
            env,
            file_actions=[(os.POSIX_SPAWN_DUP2, its_out, 1), (os.POSIX_SPAWN_DUP2, its_errors, 2)],
            setpgroup=0,
            setsigdef=[signal.SIGPIPE],  # which Python ignores
        )
    except (OSError, ValueError):  # a word may have a NUL
        os.close(out)
        os.close(errors)
        raise
    finally:
        os.close(its_out)
        os.close(its_errors)
    return pid, out, errors


def has_state(folder: Path, args: ProgramArgs) -> bool:
    """Tell whether a program has left something to go on from."""
    told = {CONFIGURATION, args.metrics, args.saved}
    return any(each.name not in told for each in folder.iterdir())


def copy_whole(source: Path, target: Path) -> None:
    """Copy what is in a folder; raises TornError where that changes meanwhile."""
    try:
        before = list(marks(source))
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        changed = list(marks(source)) != before
    except OSError as error:
        raise TornError(str(error)) from error
    if changed:
        raise TornError("its files changed while they were copied")


def marks(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    """List what a file differs by when it has changed."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = f"{place}/{name}"
            seen = os.lstat(path)
            yield path, seen.st_ino, seen.st_size, seen.st_mtime_ns
