"""Between a rank and its child that the fork server has forked: the hands of the rank.

A child's supervisor must be its parent, and adopt what it leaves behind; a rank can't be that of a
child that another process forks. So the fork server forks a keeper, and that the child. It does to
the child's family what the rank says, tells it of the child's end, and ends when nobody of the
family is left: when the rank wants that, or has ended. Whatever becomes of the fork server is
nothing to it.
"""

import os
import socket

import msgspec

from hpmpi.guard import process_tree
from hpmpi.transports.framing import Frames, await_any
from hpmpi.worker import spawn
from hpmpi.worker.child_events import Act
from hpmpi.worker.kept import Born, Ended
from hpmpi.worker.process import KILL_S, OwnHold
from hpmpi.worker.spawn import ForkedHead

LOOK_S = 5.0
"""How often orphans are buried where nothing happens."""

CODE_LOOK_S = 0.05
"""How often it is looked for the child's end where the kernel does not tell."""

DECODE = msgspec.msgpack.Decoder(Act).decode


def fork(control: socket.socket) -> int:
    """Have a keeper that forks a child; return its number, and 0 in the child.

    The child begins when the rank has been told of it: so whatever it says, its rank knows of whom.
    """
    if keeper := os.fork():
        return keeper
    name = process_tree.rename(process_tree.KEEPER)
    os.setsid()
    process_tree.adopt()
    begun, begin = os.pipe()
    pid = os.fork()
    if pid:
        frames = Frames(control)
        frames.send(msgspec.msgpack.encode(Born(pid, os.getpid())))
        spawn.close_all_but({control.fileno()})  # `begin`, too
        keep(OwnHold(ForkedHead(pid)), frames)
    process_tree.die_with_parent()
    os.close(begin)
    os.read(begun, 1)
    os.close(begun)
    process_tree.rename(name)
    os.setsid()
    control.close()
    return 0


def keep(hold: OwnHold, control: Frames) -> None:
    """Do what the rank says until nobody is left; then end."""
    keeper = Keeper(hold, control)
    try:
        while keeper.goes_on():
            pass
    finally:
        os._exit(0)  # no hook of the objective's is for this process


class Keeper:
    """What there is of a child, and of the connection with its rank."""

    def __init__(self, hold: OwnHold, control: Frames) -> None:
        """Look after one that the rank has been told of."""
        self._hold = hold
        self._control = control
        self._ends = process_tree.end_of(hold.pid)
        self._tells = self._stays = True

    def goes_on(self) -> bool:
        """Wait for news, and do what is due; false once nobody is left."""
        if self._stays:
            waits_s = LOOK_S if self._ends or not self._tells else CODE_LOOK_S
            await_any([self._control.fileno(), *self._ends], limit_s=waits_s)
        for act in map(DECODE, self._control.receive()):
            self._stays = self._stays and act is not Act.KILL
            if self._stays:
                self._hold.do(act)
        self._stays = self._stays and not self._control.closed
        self._look()
        return self._stays or not self._hold.kill(KILL_S)

    def _look(self) -> None:
        """Tell of the child's end, and bury orphans."""
        if self._tells and (code := self._hold.poll()) is not None:
            self._tells, self._ends = False, []
            self._control.send(msgspec.msgpack.encode(Ended(code, self._hold.waited_s)))
        process_tree.bury_orphans()
