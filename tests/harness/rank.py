"""Lead a worker rank, started as on a laptop, and hear what it says: this process is rank 0."""

import msgspec

from hpmpi.model.messages import Beat, Goodbye, Order, Ready, Report, Stop, Welcome
from hpmpi.transports import local
from tests.harness.drive import Listener

RANK = 1

decode = msgspec.msgpack.Decoder(Report).decode


class RankRig(Listener):
    """A worker rank, led by this process."""

    def __init__(self, transport: local.LocalTransport) -> None:
        """Lead the one rank of a transport."""
        super().__init__()
        self.transport = transport
        self.process = transport._started[0]
        self.beating = False

    def hear(self) -> list[Report]:
        """Listen for a moment; say that rank 0 is there, if it should."""
        if self.beating:
            self.tell(Beat())
        return [decode(message) for _, message in self.transport.poll(0.05)]

    def tell(self, *orders: Order) -> None:
        """Give orders."""
        for each in orders:
            self.transport.send(RANK, msgspec.msgpack.encode(each))

    def begin(self, told: Welcome) -> int:
        """Welcome the rank; return the pid of its child."""
        self.tell(told)
        return self.until(Ready).pid

    def stop(self) -> int:
        """Tell the rank to leave; return its exit code."""
        self.tell(Stop())
        self.until(Goodbye)
        return self.process.wait()

    def beats(self, number: int) -> None:
        """Hear so many beats."""
        for _ in range(number):
            self.until(Beat)
