"""Stand between the launcher and the rank, so that the launcher never sees a rank die.

Every launcher ends the whole run when one rank dies, and waits for ever for one that hangs. So what
it starts is not the rank but this guard: launcher -> front -> guard -> rank -> the objective's
process. The guard never imports MPI, sleeps in one system call, and opens no port. What it does
next is a table, ENDINGS, of what has become of its rank and of the run.

- A rank that dies before it told of its run spoils the start, and rank 0 spoils a run that is not
  over: it is missed, its guard leaves with its code, and the launcher ends the others.
- Otherwise the launcher sees rank 0's exit code, zeros from the others, and all of them finalized.
  So a rank may leave by `os._exit`, the only way that waits for nobody.
- A rank that rank 0 has lost may be on a host that is cut off, whose guard can tell the launcher
  nothing: then rank 0's guard has MPICH's launcher end it all, with rank 0's code.
- The run is over when its status file (one line, `<start id> <state>`, renamed into place by rank
  0) names another start or another state than `running`, or when the file's folder is gone; but not
  for rank 0 while it lives: it has results to write.
- Nothing outlives the run. The guard adopts what its rank leaves behind, and kills it. Launchers
  SIGKILL what they started, but that is only a front: the guard sees it end, and cleans up; and if
  the guard is killed, the front does. If both are at once, the kernel kills the rank, and the
  objective's process if that asked for the same; what that one has started is out of reach then.
"""

import _socket  # what `socket` is made of, which is large
import contextlib
import os
import select
import signal
import sys
import time
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from hpmpi.guard import farewell, process_tree, variables
from hpmpi.guard.guarded_process import SIGNALS, GuardedProcess, LauncherGone

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
ANSWER_S = 60
"""How long a rank may take to end, whose objective's process has some seconds for it; how long the
others may when they have said goodbye; and a launcher to answer."""

Condition = Enum("Condition", "LIVES STOPPED ENDED LEFT DIED MISSED")
"""What has become of a rank. It has ENDED until what it left behind is cleared away; then it had
left with 0 or died, and is MISSED where the run can't do without it."""

Action = Enum("Action", "SLEEP LOOK CLEAR FINALIZE ABORT")
"""What to do next: sleep for long, or look again soon; kill the rank and what it left behind; or,
at the end, tell the launcher that it is done, or have that end the others."""

ENDINGS = {
    # while the run goes on; when it is over; when it has been for GRACE_S
    Condition.LIVES: (Action.SLEEP, Action.SLEEP, Action.CLEAR),
    Condition.STOPPED: (Action.LOOK, Action.CLEAR, Action.CLEAR),
    Condition.ENDED: (Action.CLEAR, Action.CLEAR, Action.CLEAR),
    Condition.LEFT: (Action.FINALIZE, Action.FINALIZE, Action.FINALIZE),
    Condition.DIED: (Action.LOOK, Action.FINALIZE, Action.FINALIZE),
    Condition.MISSED: (Action.ABORT, Action.FINALIZE, Action.FINALIZE),
}


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
    guard = GuardedProcess(pid, launcher)
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
    process_tree.die_with_parent()
    poll = select.poll()
    poll.register(pipe, 0)
    if poll.poll(0):  # nobody reads: the guard died before it could take us along
        os.kill(os.getpid(), signal.SIGKILL)


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


def tell_of_no_run() -> None:
    """Tell the guard that another run may come: who dies before that ends all, as at the start."""
    _tell(status="", start="")


def tell_of_lost() -> None:
    """Tell rank 0's guard that there are ranks that may never say goodbye to the launcher."""
    _tell(lost="yes")


def _tell(**words: str) -> None:
    if FD in os.environ:
        said = "".join(f"{name}={word}{END}" for name, word in words.items())
        os.write(int(os.environ[FD]), os.fsencode(said))


class GuardedRank(GuardedProcess):
    """The rank, which tells things; `leads`: it is rank 0."""

    def __init__(self, pid: int, parent: int, hear: int, hold: _socket.socket) -> None:
        """Look after it, `hear` what it tells, and `hold` what it gives."""
        super().__init__(pid, parent)
        os.set_blocking(hear, False)
        hold.setblocking(False)  # noqa: FBT003  (positional only)
        self.told = Told()
        self.leads = os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK")) == "0"
        self._hear, self._hold = hear, hold
        self._heard = b""

    def wait(self, limit_s: float) -> None:
        """Do that, and take what the rank has told and given; if it has ended, all of it."""
        super().wait(limit_s)
        with contextlib.suppress(BlockingIOError):  # nothing was told
            self._heard += os.read(self._hear, 4 * select.PIPE_BUF)
            *said, _ = os.fsdecode(self._heard).split(END)  # the last may be told in part
            self.told = Told(**dict(each.split("=", 1) for each in said))
        with contextlib.suppress(BlockingIOError):  # what comes is open here, and stays so
            while self._hold.recvmsg(1, _socket.CMSG_SPACE(4))[0]:
                pass

    @property
    def condition(self) -> Condition:
        """What has become of it."""
        if self.code is None:
            return Condition.STOPPED if self.stopped else Condition.LIVES
        if not self.cleared:
            return Condition.ENDED
        if self.code == 0:
            return Condition.LEFT
        return Condition.MISSED if self.leads or not self.told.start else Condition.DIED


def _guard(front: int) -> int | None:
    """Fork the rank, outlast it, and leave nothing of it; return what `watch` does."""
    os.setsid()  # what kills the front's whole session leaves us to clean up
    hear, tell = os.pipe()
    hold, give = _socket.socketpair()
    pid = os.fork()
    if pid == 0:
        os.close(hear)
        hold.close()
        variables.set_defaults()
        os.environ.update({FD: str(tell), HELD: str(give.detach())})
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return None
    os.close(tell)
    give.close()
    rank = GuardedRank(pid, front, hear, hold)
    try:
        rank.heed_parent(signal.SIGCHLD)
        return _outlast(rank)
    except LauncherGone:
        return 128 + signal.SIGKILL
    finally:
        rank.kill()


def _outlast(rank: GuardedRank) -> int:
    """Do what the table says, until it says how to leave; return the code to leave with."""
    over_at: float | None = None
    over = ""
    while True:
        asks = rank.code is not None or not rank.leads
        if rank.told.start != over:  # of a script, there is another run
            over_at = None
        if over_at is None and asks and rank.told.is_over():
            over_at = time.monotonic()  # for good, even if the file can't be read any more
            over = rank.told.start
        left_s = HEALTHY_LOOK_S if over_at is None else over_at + GRACE_S - time.monotonic()
        column = 0 if over_at is None else 1 if left_s > 0 else 2
        action = ENDINGS[rank.condition][column]
        match action:
            case Action.SLEEP:
                rank.wait(left_s)
            case Action.LOOK:
                rank.wait(LOOK_S)
            case Action.CLEAR:
                rank.kill(alone=over_at is None)
            case Action.FINALIZE | Action.ABORT:
                return _leave(rank, aborts=action is Action.ABORT)


def _leave(rank: GuardedRank, *, aborts: bool) -> int:
    """Say in the rank's name that it finalizes, or aborts; return the code to leave with."""
    assert rank.code is not None
    code = rank.code if rank.leads or aborts else 0
    rank.heed_parent(signal.SIGKILL)  # nothing is left to clean up, and PMIx may hang
    signal.alarm(ANSWER_S)
    hydra = "PMI_FD" in os.environ
    with contextlib.suppress(OSError):  # it said so itself, or nobody listens any more
        if not aborts and (rank.told.lost if hydra else code):
            time.sleep(LEAVE_S)  # let the others end by themselves: these words end them
        if hydra:
            farewell.to_hydra(code, aborts=aborts or bool(rank.told.lost))
        elif rank.told.pmix:
            farewell.to_pmix(rank.told.pmix, code)
    signal.alarm(0)
    return code
