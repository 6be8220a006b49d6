"""All that a process has started, however it hid: in a session of its own, or orphaned as a daemon.

    rank --- head ---> pool ---> worker        the family of `head`
      |        +-----> x                       x has ended, and left an orphan;
      +- - - - - - - - - - - - > daemon        the rank has asked the kernel for it: `adopt`

So all of a family stays below the process that started its head. Rules:

- A head leads a session of its own. So a child of ours in another session than ours, which we have
  not started, is an orphan of some family; the helpers of an MPI library are in ours.
- Signals go to whole process groups: the kernel lets nobody escape by a fork meanwhile, and nobody
  hears a signal twice. A group never reaches across sessions, so all in it are of the family.
- A family has ended when it was looked for LOOKS times and nobody was there: processes that hand
  over to each other may hide from a single look, which takes a while.
- Who tidies up after others goes last: Python's resource trackers, and loky's, end by themselves
  when all whom they serve have, and then remove what those have left in /dev/shm. They are killed,
  too, where they don't. What no tracker knows of stays: nobody can tell whose it is.
- Orphans are buried one by one: waitpid(-1) would take from `subprocess` what it waits for.
- Who works for other ranks is nobody's orphan: a node's fork server and its keepers (worker/) may
  come to any rank or guard above them. Each ends by itself with the ranks that it works for.

The kernel is asked by prctl and /proc, so all this is for Linux; elsewhere an orphan that has left
the head's process group is out of reach. A guard loads this module before anything else: it
imports next to nothing.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Protocol

LINUX = sys.platform == "linux"

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

LEAST_PAUSE_S = 1e-3
MOST_PAUSE_S = 2e-2
"""How long the killed have before they are looked for again; twice as long each time."""

LOOKS = 3
"""How often in a row nobody must have been seen of a family that has ended."""

TIDIERS = (b"resource_tracker", b"torch_shm_manager")
"""What the command lines of those have who tidy up after others."""

TIDY_S = 1.0
"""How long they have for it, from when the others are killed."""

FORK_SERVER = b"hpmpi-forks"
KEEPER = b"hpmpi-keeper"
"""What those call themselves, for the kernel, who work for other ranks than the one above them."""

SERVE_S = 6.0
"""How long they have to end with their ranks, where all of the run ends."""

_others: set[int] = set()
"""Our children in sessions of their own that are no orphans: heads, and those from before."""


class Head(Protocol):
    """What of a subprocess.Popen is needed here."""

    pid: int

    def poll(self) -> int | None:
        """Take note of its end."""


class Family:
    """A process that leads a session, what it has started, and the orphans that came to us.

    Orphans don't tell whose they are: a process should have one family at a time.
    """

    def __init__(self, head: Head | None, *, serving: bool = False) -> None:
        """Look after a head that was just started; without one, after the orphans alone.

        `serving`: and after those who work for other ranks, where none of these lives any more.
        """
        self._head = head
        self._serving = serving
        self._tidy_until: float | None = None
        if head is not None:
            _others.add(head.pid)

    def members(self) -> list[int]:
        """List those who live, parents before their children."""
        return descendants(os.getpid(), self._is_ours)

    def at_hand(self) -> list[int]:
        """List those who live as far as the kernel tells fast, parents before their children."""
        return below([pid for pid in children() if self._is_ours(pid)])

    def signal(self, number: signal.Signals) -> bool:
        """Send all of them a signal; true if anybody was there."""
        return self._signal(number, self.members())

    def kill(self, limit_s: float) -> bool:
        """Kill them, generation by generation, for some time; true once nobody is left."""
        gives_up_at = time.monotonic() + limit_s
        pause_s = LEAST_PAUSE_S
        if self._tidy_until is None:
            self._tidy_until = time.monotonic() + TIDY_S
        while any(self._strike() for _ in range(LOOKS)):
            if time.monotonic() > gives_up_at:
                return False
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, MOST_PAUSE_S)
        if self._head is not None:
            _others.discard(self._head.pid)
        return True

    def _signal(self, number: int, members: Collection[int], spared: Collection[int] = ()) -> bool:
        """Signal the groups of members, or one by one those who share a group with the spared."""
        groups = {group for member in members if (group := _group(member)) is not None}
        found = bool(groups)
        if self._head is not None and not LINUX:
            groups.add(self._head.pid)
        mixed = {_group(each) for each in spared}
        for group in groups - mixed - {os.getpgrp()}:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
        for member in set(members) - set(spared) if mixed else ():
            if _group(member) in mixed:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(member, number)
        return found

    def _is_ours(self, child: int) -> bool:
        is_head = self._head is not None and child == self._head.pid
        return is_head or _is_orphan(child) or (self._serving and serves_others(child))

    def _strike(self) -> bool:
        """Kill who is next to us, which is fast, and only where nobody is look for the others."""
        near = [pid for pid in children() if self._is_ours(pid)]
        found = self._slay(near) or self._slay(self.members())
        if self._head is not None:
            self._head.poll()
        bury_orphans()
        return found

    def _slay(self, members: list[int]) -> bool:
        assert self._tidy_until is not None, "who is being killed has begun to be"
        has_time = time.monotonic() < self._tidy_until
        spared = [pid for pid in below(members) if tidies(pid)] if has_time else []
        return self._signal(signal.SIGKILL, members, spared)


def adopt() -> None:
    """Become the parent of every orphan below this process."""
    _adopt(os.getpid())


@cache
def _adopt(_pid: int) -> None:
    if LINUX:
        _others.update(children())
        prctl(PR_SET_CHILD_SUBREAPER, 1)


def know(pid: int) -> None:
    """Take a child of ours, which was started in a session of its own, for no orphan."""
    _others.add(pid)


def bury_orphans() -> None:
    """Take note of the end of orphans, so that the kernel can forget them."""
    if LINUX and not has_ended():
        return
    for pid in _dead_or_alive():
        if pid not in _others and (_is_orphan(pid) or serves_others(pid)):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def has_ended() -> bool:
    """Tell whether any child has ended that nobody has waited for; it costs next to nothing."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # there is none
        return False


def children() -> list[int]:
    """List this process's children that live, those adopted too."""
    if LINUX:
        return [pid for pid in _dead_or_alive() if _parent(pid) is not None]
    return children_of(os.getpid())


def tidies(pid: int) -> bool:
    """Tell whether a process is there to tidy up after others."""
    with contextlib.suppress(OSError):  # it has ended, or there is no /proc
        words = _read(f"/proc/{pid}/cmdline")
        return any(each in words for each in TIDIERS)
    return False


def serves_others(pid: int) -> bool:
    """Tell whether a process works for other ranks than the one that it has come to."""
    with contextlib.suppress(OSError):  # it has ended, or there is no /proc
        return _read(f"/proc/{pid}/comm").rstrip(b"\n") in (FORK_SERVER, KEEPER)
    return False


def grace_s(pid: int) -> float:
    """Tell how long a process may take to end by itself when the others are killed."""
    return SERVE_S if serves_others(pid) else TIDY_S if tidies(pid) else 0.0


def descendants(root: int, is_meant: Callable[[int], bool] = lambda _: True) -> list[int]:
    """List those who live below a process, or below those of its children that are meant."""
    children: dict[int, list[int]] = {}
    for pid, parent in _living():
        children.setdefault(parent, []).append(pid)
    found = [pid for pid in children.get(root, []) if is_meant(pid)]
    for pid in found:  # grows meanwhile
        found += children.get(pid, [])
    return found


def children_of(pid: int) -> list[int]:
    """List the children of a process that live."""
    return [child for child, parent in _living() if parent == pid]


def die_with_parent() -> None:
    """Let the kernel end this process with the one that started it; Linux only."""
    if LINUX:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def outlive_parent() -> None:
    """Live on when the one that started this process ends; Linux only."""
    if LINUX:
        prctl(PR_SET_PDEATHSIG, 0)


def wake_with_parents_end() -> None:
    """Go on, if stopped, when the process that started this one ends; Linux only."""
    if LINUX:
        prctl(PR_SET_PDEATHSIG, signal.SIGCONT)


def prctl(option: int, value: int) -> None:
    """Set what the kernel does when a parent dies; man 2 prctl."""
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def end_of(pid: int) -> list[int]:
    """Open what can be waited on for the end of a process; nothing where the kernel has no such."""
    with contextlib.suppress(OSError, AttributeError):
        return [os.pidfd_open(pid)]
    return []


def rename(name: bytes) -> bytes:
    """Have the kernel call this process by another name; return the one before; on Linux."""
    before = Path("/proc/self/comm").read_bytes().rstrip(b"\n")
    Path("/proc/self/comm").write_bytes(name)
    return before


def _is_orphan(child: int) -> bool:
    try:
        strange = LINUX and child not in _others and os.getsid(child) != os.getsid(0)
    except ProcessLookupError:
        return False
    return strange and not serves_others(child)


def _group(pid: int) -> int | None:
    """Find the process group of a process; None if it lives no more."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def below(members: list[int]) -> list[int]:
    """List members and what they have started, as far as the kernel tells that fast."""
    found = list(dict.fromkeys(members))
    for pid in found:  # grows meanwhile
        with contextlib.suppress(OSError):
            found += [each for each in _children_of(str(pid)) if each not in found]
    return found


def _dead_or_alive() -> list[int]:
    """List this process's children, those that nobody has waited for yet included; on Linux."""
    if not LINUX:
        return []
    try:
        return _children_of("self")
    except OSError:  # a kernel that does not tell
        return children_of(os.getpid())


def _children_of(process: str) -> list[int]:
    """List the children of a process, a name in /proc; raises OSError."""
    folder = f"/proc/{process}/task"
    tasks = [f"{folder}/{task}/children" for task in os.listdir(folder)]  # noqa: PTH208 - twice as fast
    return [int(pid) for task in tasks for pid in _read(task).split()]


def _living() -> Iterator[tuple[int, int]]:
    """Find every process that lives, and its parent."""
    if not LINUX:
        yield from _listed()
        return
    for name in os.listdir("/proc"):  # noqa: PTH208 - twice as fast
        if name.isdigit() and (parent := _parent(int(name))) is not None:
            yield int(name), parent


def _read(path: str) -> bytes:
    """Read a file of the kernel's: a Path takes longer than the kernel; raises OSError."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as said
        return file.read()


def _parent(pid: int) -> int | None:
    """Find the parent of a process; None if it lives no more."""
    with contextlib.suppress(OSError):  # it has just ended
        stat = _read(f"/proc/{pid}/stat")
        state, parent, *rest = stat.rpartition(b")")[2].split(None, 18)
        threads = int(rest[15])  # the first thread may have ended, and others live
        if state not in b"ZX" or threads > 1:
            return int(parent)
    return None


def _listed() -> Iterator[tuple[int, int]]:
    """Find them where there is no /proc."""
    import subprocess  # noqa: PLC0415 - not for a guard

    command = ["ps", "-A", "-o", "pid=,ppid=,stat="]
    for line in subprocess.check_output(command, text=True).splitlines():
        pid, parent, state = line.split()
        if not state.startswith("Z"):
            yield int(pid), int(parent)
