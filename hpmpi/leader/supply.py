"""Rank 0's side of a study's data: read once, by a process beside it; sent to one rank of a node.

It stands before rank 0's transport, and keeps for itself what is said of data: the leader and the
master know nothing of them.

    rank --Need(node)--> [the first of a node] --Receive--> rank --Want--> Chunk--> rank ...

A rank that is lost, or has no room, is followed by the next of its node. Rank 0's own node has the
data from the process that reads them. One that is slow asks slowly, and nobody waits for it.
"""

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hpmpi.data import mapped, scratch
from hpmpi.data.scratch import PARENTS, Rooms
from hpmpi.model.messages import (
    Assign,
    Chunk,
    Failed,
    Finished,
    Need,
    NoData,
    Order,
    Receive,
    Report,
    Unfit,
    Want,
    Welcome,
)
from hpmpi.study.data_table import Source
from hpmpi.transports import Transport
from hpmpi.transports.resources import Share
from hpmpi.worker.source import Task
from hpmpi.worker.supervisor import Child

log = logging.getLogger("hpmpi")
decode = msgspec.msgpack.Decoder(Report | Need | Want).decode


def supplied(transport: Transport, source: Source, welcome: Welcome) -> tuple[Transport, Welcome]:
    """Have a run supplied with data, if its study has any; return what takes the places."""
    if source.source is None:
        return transport, welcome
    supply = Supply(transport, source, welcome)
    return supply, supply.welcome


class Supply:
    """A transport that supplies the ranks with data."""

    def __init__(self, transport: Transport, source: Source, welcome: Welcome) -> None:
        """Begin to read, before the ranks are welcomed."""
        self.rank = transport.rank
        self.size = transport.size
        self.share = transport.share
        self.name = transport.name
        self.traffic = transport.traffic
        self.underway = transport.underway
        self._transport = transport
        self._source = source.source
        parents = list(PARENTS) if source.folder is None else [source.folder]
        self._rooms = Rooms(parents, welcome.start)
        self._nodes: dict[str, list[int]] = {}
        self._sizes: dict[str, int] = {}
        self._error: str | None = None
        self._child: Child | None = None
        self.welcome = msgspec.structs.replace(welcome, rooms=parents)
        if self._rooms.home is None:
            self._error = f"{os.uname().nodename}: {self._rooms.trouble}"
            return
        self._folder = self._rooms.home / mapped.LINK
        self.welcome = msgspec.structs.replace(self.welcome, data=str(self._folder))
        self._read(Task(source, [str(each) for each in self._rooms.folders]))

    def send(self, rank: int, message: bytes) -> None:
        """Send a message."""
        self._transport.send(rank, message)

    def poll(self, timeout_s: float, wake: Sequence[int] = ()) -> list[tuple[int, bytes]]:
        """Return what has come in for the master; answer the rest."""
        if self._child is not None:
            wake = [*wake, *self._child.descriptors()]
        heard = self._transport.poll(timeout_s, wake)
        self.underway = self._transport.underway
        if self._child is not None:
            self._listen(self._child)
        return [(rank, message) for rank, message in heard if not self._takes(rank, message)]

    def forget(self, rank: int) -> None:
        """Have another rank receive in the place of one that is lost."""
        self._transport.forget(rank)
        self._pass_over(rank, may_come_back=True)

    def leave(self, timeout_s: float) -> None:
        """Send what waits; let the data go."""
        self._end_reading()
        self._transport.leave(timeout_s)
        self._rooms.leave()

    def _takes(self, rank: int, message: bytes) -> bool:
        """Take note of what is said of data; false where it is of something else."""
        match decode(message):
            case Need(node=node):
                self._nodes.setdefault(node, []).append(rank)
                if self._error is not None:
                    self._say(rank, NoData(self._error))
                elif self._nodes[node][0] == rank:
                    self._appoint(node)
            case Want(file=file, offset=offset):
                self._say(rank, self._chunk(file, offset))
            case Unfit():
                self._pass_over(rank, may_come_back=False)
                return False
            case _:
                return False
        return True

    def _appoint(self, node: str) -> None:
        """Have the first rank of a node receive, if there is something, and it can't be seen."""
        if self._sizes and self._nodes[node] and node != self._rooms.node:
            self._say(self._nodes[node][0], Receive(self._sizes))

    def _pass_over(self, rank: int, *, may_come_back: bool) -> None:
        for node, ranks in self._nodes.items():
            if rank in ranks:
                received = ranks[0]
                ranks.remove(rank)
                if may_come_back:
                    ranks.append(rank)
                if ranks and ranks[0] != received:
                    self._appoint(node)

    def _chunk(self, file: str, offset: int) -> Order:
        try:
            assert file in self._sizes, "ranks want what they were told of"
            with (self._folder / file).open("rb", buffering=0) as opened:
                return Chunk(file, offset, os.pread(opened.fileno(), mapped.CHUNK_BYTES, offset))
        except OSError as error:
            return NoData(f"{self._folder / file} can't be read: {error}")

    def _say(self, rank: int, order: Order) -> None:
        self._transport.send(rank, msgspec.msgpack.encode(order))

    def _read(self, task: Task) -> None:
        log.info("data: reading %s", self._source)
        told = msgspec.structs.replace(
            self.welcome,
            objective="hpmpi.worker.source:lay_down",
            metric=None,
            args=msgspec.to_builtins(task),
            data=None,
            time_s=None,
            memory_mb=None,
            gpus_per_trial=0,
            own_folder=False,
        )
        self._child = Child(told, Path(told.folder) / "logs" / "data.log", Share())
        now = time.monotonic()
        self._child.start(now)
        self._child.assign(Assign(0, 0, 1, 1, {}, seed=0), now)

    def _listen(self, child: Child) -> None:
        for report in child.poll(time.monotonic()):
            match report:
                case Finished():
                    files = self._folder.iterdir()
                    self._sizes = {file.name: file.stat().st_size for file in files}
                    log.info("data: %s are there", scratch.told(sum(self._sizes.values())))
                    self._end_reading()
                    for node in self._nodes:
                        self._appoint(node)
                case Failed(error=error) | Unfit(error=error):
                    self._error = f"data.source = {self._source!r}: {error}"
                    self._end_reading()
                    for rank in [rank for ranks in self._nodes.values() for rank in ranks]:
                        self._say(rank, NoData(self._error))
                case _:
                    pass

    def _end_reading(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None
