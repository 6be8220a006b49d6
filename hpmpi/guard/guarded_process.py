"""A child that is looked after to its end, and cleared away with all that it leaves behind."""

import contextlib
import os
import signal
import time

from hpmpi.guard import process_tree

FORWARDED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
SIGNALS = FORWARDED | {signal.SIGCHLD}

KILL_S = 10.0
"""How long the killed may take to end."""

STRIKE_S = 0.1
"""How often those are killed that each death brings."""


class LauncherGone(Exception):  # noqa: N818  (a case, not an error)
    """Nobody waits for this run any more."""


class GuardedProcess:
    """A child that is looked after: `code` is what it ended with, 128 + n if by signal n.

    `cleared`: whether it was looked for what it has left behind.
    """

    def __init__(self, pid: int, parent: int) -> None:
        """Look after a child, for a parent; adopt what it leaves behind."""
        self.code: int | None = None
        self.stopped = False
        self.cleared = False
        self._pid = pid
        self._parent = parent
        process_tree.prctl(process_tree.PR_SET_CHILD_SUBREAPER, 1)

    def heed_parent(self, number: signal.Signals) -> None:
        """Get a signal when the parent dies, or just its thread; raises LauncherGone."""
        process_tree.prctl(process_tree.PR_SET_PDEATHSIG, number)
        if os.getppid() != self._parent:  # it died before it was asked for, and no signal comes
            raise LauncherGone

    def wait(self, limit_s: float) -> None:
        """Sleep until something happens; pass signals on; raises LauncherGone."""
        # They are blocked: what has come since the last call waits here.
        caught = signal.sigtimedwait(SIGNALS, limit_s)
        if os.getppid() != self._parent:  # its death comes as a SIGCHLD, too
            raise LauncherGone
        self._reap()  # a number that was reaped may be another's, which must get no signal
        if caught and caught.si_signo != signal.SIGCHLD and self.code is None:
            os.kill(self._pid, caught.si_signo)

    def kill(self, *, alone: bool = False) -> None:
        """Kill it and what it left behind, generation by generation: each death brings the next.

        `alone`: but not what works for other ranks, too, which go on.
        """
        began_at = time.monotonic()
        # The children of the dead become ours: there are some until all are dead.
        while self._reap() and (took_s := time.monotonic() - began_at) < KILL_S:
            left = process_tree.children()
            if alone and all(map(process_tree.serves_others, left)):
                break
            for child in left:
                if took_s < process_tree.grace_s(child):
                    continue  # it ends by itself after the others, and removes what they left
                with contextlib.suppress(PermissionError):  # another user's by now
                    os.kill(child, signal.SIGKILL)
            signal.sigtimedwait({signal.SIGCHLD}, STRIKE_S)
        if self.code is None:  # not even that ends what hangs in the kernel
            self.code = 128 + signal.SIGKILL
        self.cleared = True

    def _reap(self) -> bool:
        """Take note of children that ended or stopped; true if some are left."""
        with contextlib.suppress(ChildProcessError):  # there are none
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
                if pid == 0:  # none of them has news
                    return True
                if pid == self._pid:
                    self.stopped = os.WIFSTOPPED(status)
                    if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                        code = os.waitstatus_to_exitcode(status)
                        self.code = code if code >= 0 else 128 - code
        return False
