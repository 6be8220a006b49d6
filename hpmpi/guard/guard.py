r"""Stand between the launcher and the rank, so that the launcher never sees a rank die.

Every launcher ends the whole run when one rank dies, and waits for ever for one that hangs. So what
it starts is not the rank but this guard: launcher -> front -> guard -> rank -> the objective's
process. The guard never imports MPI, sleeps in one system call, and opens no port.

      +------ exits with 0 -----------------------------+
      |                                                 v
    alive --- dies --> waiting --- the run is over --> gone: finalized in its name, exit 0
     ^ |                                                ^
     | +--- the run is over --> 6 s --> SIGKILL --------+
     v                                    ^
    stopped --- the run is over ----------+

Rules:

- A rank that dies before it told of its run spoils the start, and rank 0 spoils a run that is not
  over: then the guard leaves with the rank's code, and the launcher ends the others.
- Otherwise the launcher sees rank 0's exit code, zeros from the others, and all of them finalized.
  So a rank may leave by `os._exit`, the only way that waits for nobody.
- A rank that rank 0 has lost may be on a host that is cut off, whose guard can tell the launcher
  nothing: then rank 0's guard has MPICH's launcher end it all, with rank 0's code.
- The run is over when its status file (one line, `<start id> <state>`, renamed into place by rank
  0) names another start or another state than `running`, or when the file's folder is gone.
- Nothing outlives the run. The guard adopts what its rank leaves behind, and kills it. Launchers
  SIGKILL what they started, but that is only a front: the guard sees it end, and cleans up; and if
  the guard is killed, the front does. If both are at once, the kernel kills the rank, and the
  objective's process if that asked for the same; what that one has started is out of reach then.
"""

import _socket  # what `socket` is made of, which is large
import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

from hpmpi.guard import variables
from hpmpi.guard.process_tree import PR_SET_CHILD_SUBREAPER, TIDY_S, children, prctl, tidies

FD = "HPMPI_GUARD"
HELD = "HPMPI_HELD"
"""Name the pipe on which a rank tells its guard things, and the socket by which it gives some."""

END = "\0"
"""Ends what is told: a path may have anything else, line breaks too."""

LOOK_S = 1.0
HEALTHY_LOOK_S = 30.0
"""How often to read the status file, where the rank needs it and where it may only be hung."""

GRACE_S = 6.0
LEAVE_S = 2.0
KILL_S = 10.0
ANSWER_S = 60
"""How long a rank may take to end, whose objective's process has some seconds for it; how long the
others may when they have said goodbye, and when they are killed; and a launcher to answer."""

HOLD_BYTES = _socket.CMSG_SPACE(4)
"""What goes with a connection that is given."""

FORWARDED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
SIGNALS = FORWARDED | {signal.SIGCHLD}
PR_SET_PDEATHSIG = 1


class LauncherGone(Exception):  # noqa: N818  (a case, not an error)
    """Nobody waits for this run any more."""


class Told(NamedTuple):
    """What a rank has told its guard: its run's status file and start, Open MPI's PMIx library.

    And rank 0, whether some ranks are `lost` at the end.
    """

    status: str = ""
    start: str = ""
    pmix: str = ""
    lost: str = ""

    def is_over(self) -> bool:
        """Whether the status file says so; what can't be read says nothing."""
        if not self.status:
            return False
        status = Path(self.status)
        try:
            start, _, state = status.read_text(errors="replace").strip().partition(" ")
        except FileNotFoundError:
            return not status.parent.is_dir()
        except OSError:  # a file server has its moods
            return False
        return bool(state) and (start, state) != (self.start, "running")


def needed() -> bool:
    """Whether this process is what a launcher of MPICH or Open MPI started in a rank's place.

    Not under srun: it outlives dead ranks by itself, and its PMI can't be spoken here. It sets
    PMI_FD too, but not MPI_LOCALRANKID, which is hydra's.
    """
    hydra = {"PMI_FD", "MPI_LOCALRANKID"} <= os.environ.keys()
    launched = hydra or "OMPI_COMM_WORLD_RANK" in os.environ
    return launched and FD not in os.environ and sys.platform == "linux"


def watch() -> int | None:
    """Fork the rank, and stay until it or the run ends; return the code to leave with.

    And None in the rank. Launchers kill what they have started, without a word: that is this
    process, with the guard behind it, in a session of its own, left to clean up.
    """
    launcher, front = os.getppid(), os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    pid = os.fork()
    if pid == 0:
        return _guard(front)
    guard = Process(pid, launcher)
    try:
        guard.heed_parent(signal.SIGCHLD)
        while guard.code is None:
            guard.wait(HEALTHY_LOOK_S)
    except LauncherGone:
        return 128 + signal.SIGKILL
    guard.kill()
    return guard.code


def bind_to_guard() -> None:
    """Let the kernel end this rank with its guard; does nothing where there is none."""
    if FD not in os.environ:
        return
    pipe = int(os.environ[FD])
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    poll = select.poll()
    poll.register(pipe, 0)
    if poll.poll(0):  # nobody reads: the guard died before it could take us along
        os.kill(os.getpid(), signal.SIGKILL)


def die_with_parent() -> None:
    """Let the kernel end this process with the one that started it; Linux only."""
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wake_with_parents_end() -> None:
    """Go on, if stopped, when the process that started this one ends; Linux only."""
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, signal.SIGCONT)


def tell_mpi() -> None:
    """Tell the guard what finalizes this rank in its name, as soon as MPI is up."""
    maps = os.fsdecode(Path("/proc/self/maps").read_bytes()) if FD in os.environ else ""
    lines = [line for line in maps.split("\n") if "/libpmix.so" in line]
    _tell(pmix=lines[0].split(maxsplit=5)[5] if lines else "")


def tell_guard(status: Path, start: str) -> None:
    """Tell the guard where to see that this start is over; rank 0's, too.

    After rank 0 has put the file in place: what an earlier start left there means "over".
    """
    tell_mpi()
    _tell(status=str(status.absolute()), start=start)


def tell_of_lost() -> None:
    """Tell rank 0's guard that there are ranks that may never say goodbye to the launcher."""
    _tell(lost="yes")


def _tell(**words: str) -> None:
    if FD in os.environ:
        said = "".join(f"{name}={word}{END}" for name, word in words.items())
        os.write(int(os.environ[FD]), os.fsencode(said))


class Process:
    """A child that is looked after: `code` is what it ended with, 128 + n if by signal n."""

    def __init__(self, pid: int, parent: int) -> None:
        """Look after a child, for a parent; adopt what it leaves behind."""
        self.code: int | None = None
        self.stopped = False
        self._pid = pid
        self._parent = parent
        prctl(PR_SET_CHILD_SUBREAPER, 1)

    def heed_parent(self, number: signal.Signals) -> None:
        """Get a signal when the parent dies, or just its thread; raises LauncherGone."""
        prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != self._parent:
            raise LauncherGone

    def wait(self, limit_s: float) -> None:
        """Sleep until something happens; pass signals on; raises LauncherGone."""
        caught = signal.sigtimedwait(SIGNALS, limit_s)
        if os.getppid() != self._parent:
            raise LauncherGone
        self._reap()
        if caught and caught.si_signo != signal.SIGCHLD and self.code is None:
            os.kill(self._pid, caught.si_signo)

    def kill(self) -> None:
        """Kill it and what it left behind, generation by generation: each death brings the next."""
        give_up, tidy_until = (time.monotonic() + limit_s for limit_s in (KILL_S, TIDY_S))
        while self._reap() and (now := time.monotonic()) < give_up:
            for child in children():
                if now < tidy_until and tidies(child):
                    continue
                with contextlib.suppress(PermissionError):  # another user's by now
                    os.kill(child, signal.SIGKILL)
            signal.sigtimedwait({signal.SIGCHLD}, LOOK_S / 10)
        if self.code is None:  # not even that ends what hangs in the kernel
            self.code = 128 + signal.SIGKILL

    def _reap(self) -> bool:
        """Take note of children that ended or stopped; true if some are left."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
                if pid == 0:
                    return True
                if pid == self._pid:
                    self.stopped = os.WIFSTOPPED(status)
                    if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                        code = os.waitstatus_to_exitcode(status)
                        self.code = code if code >= 0 else 128 - code
        return False


class Rank(Process):
    """The rank, which tells things."""

    def __init__(self, pid: int, parent: int, hear: int, hold: _socket.socket) -> None:
        """Look after it, `hear` what it tells, and `hold` what it gives."""
        super().__init__(pid, parent)
        os.set_blocking(hear, False)
        hold.setblocking(False)  # noqa: FBT003  (positional only)
        self._hear, self._hold = hear, hold
        self._told = Told()
        self._heard = b""

    @property
    def told(self) -> Told:
        """What it has told so far."""
        with contextlib.suppress(BlockingIOError):
            self._heard += os.read(self._hear, 4 * select.PIPE_BUF)
            *said, self._heard = self._heard.split(os.fsencode(END))
            words = dict(os.fsdecode(each).split("=", 1) for each in said)
            self._told = self._told._replace(**words)
        with contextlib.suppress(BlockingIOError):  # what comes is open here, and stays so
            while self._hold.recvmsg(1, HOLD_BYTES)[0]:
                pass
        return self._told


def _guard(front: int) -> int | None:
    """Fork the rank, outlast it, and leave nothing of it; return what `watch` does."""
    os.setsid()
    hear, tell = os.pipe()
    hold, give = _socket.socketpair()
    pid = os.fork()
    if pid == 0:
        os.close(hear)
        hold.close()
        told = {FD: str(tell), HELD: str(give.detach())}
        variables.set_defaults()
        os.environ.update(told)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return None
    os.close(tell)
    give.close()
    rank = Rank(pid, front, hear, hold)
    try:
        rank.heed_parent(signal.SIGCHLD)
        leads = os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK")) == "0"
        return _outlast(rank, leads=leads)
    except LauncherGone:
        return 128 + signal.SIGKILL
    finally:
        rank.kill()


def _outlast(rank: Rank, *, leads: bool) -> int:
    """Stay while there is a reason to; return the code to leave with."""
    while rank.code is None and (leads or not rank.told.is_over()):
        rank.wait(LOOK_S if rank.stopped else HEALTHY_LOOK_S)
    give_up = time.monotonic() + GRACE_S
    while rank.code is None and not rank.stopped and (left_s := give_up - time.monotonic()) > 0:
        rank.wait(left_s)
    rank.kill()
    assert rank.code is not None
    spoils = rank.code != 0 and (leads or not rank.told.start) and not rank.told.is_over()
    while rank.code and not spoils and not rank.told.is_over():
        rank.wait(LOOK_S)
    code = rank.code if leads or spoils else 0
    rank.heed_parent(signal.SIGKILL)  # nothing is left to clean up, and PMIx may hang
    _leave(rank.told, code, spoils=spoils)
    return code


def _leave(told: Told, code: int, *, spoils: bool) -> None:
    """Say in the rank's name that it finalizes, or aborts so that the launcher ends the others."""
    signal.alarm(ANSWER_S)
    hydra = "PMI_FD" in os.environ
    with contextlib.suppress(OSError):  # it said so itself, or nobody listens any more
        if not spoils and (told.lost if hydra else code):  # let the others end by themselves
            time.sleep(LEAVE_S)
        if hydra:
            _leave_hydra(code, aborts=spoils or bool(told.lost))
        elif told.pmix:
            _leave_pmix(told.pmix, code)
    signal.alarm(0)


def _leave_hydra(code: int, *, aborts: bool) -> None:
    """Finalize, or abort with a code; what dies without a word loses its code, and has a banner."""
    wire = int(os.environ["PMI_FD"])
    os.write(wire, f"cmd=abort exitcode={code}\n".encode() if aborts else b"cmd=finalize\n")
    os.read(wire, 1024)


def _leave_pmix(library: str, code: int) -> None:
    """Finalize, or abort with a code: without a banner (Open MPI 4), or with a smaller one (5)."""
    pmix, none = ctypes.CDLL(library), ctypes.c_size_t(0)
    pmix.PMIx_Init(ctypes.create_string_buffer(1024), None, none)
    if code:
        pmix.PMIx_Abort(code, b"", None, none)
    else:
        pmix.PMIx_Finalize(None, none)
