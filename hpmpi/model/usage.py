"""What ranks have, and what their jobs use of it: facts that travel with answers."""

import msgspec


class GpuUsage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What jobs have used of a rank's GPUs: memory at most, and their time, as was seen."""

    memory_bytes: int = 0
    busy_share: float = 0.0
    looks: int = 1

    def beside(self, other: "GpuUsage") -> "GpuUsage":
        """Sum up both."""
        looks = self.looks + other.looks
        busy = self.busy_share * self.looks + other.busy_share * other.looks
        return GpuUsage(max(self.memory_bytes, other.memory_bytes), busy / looks, looks)


class Usage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the attempts have used that a rank has made in `span_s` seconds: of several, the last.

    `memory_bytes`: at most at a time, `shared_bytes` of which others of the node have as well, most
    times what all were forked with; `read_bytes` and `written_bytes`: by system calls.
    """

    span_s: float
    cpu_s: float = 0.0
    memory_bytes: int = 0
    shared_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    gpu: GpuUsage | None = None

    @property
    def own_bytes(self) -> int:
        """The memory that nobody else has."""
        return max(0, self.memory_bytes - self.shared_bytes)

    def beside(self, other: "Usage") -> "Usage":
        """Sum up what two ranks have used; the memory and the GPUs are those of each."""
        larger = max(self, other, key=lambda usage: usage.own_bytes)
        gpu = self.gpu.beside(other.gpu) if self.gpu and other.gpu else self.gpu or other.gpu
        return Usage(
            span_s=self.span_s + other.span_s,
            cpu_s=self.cpu_s + other.cpu_s,
            memory_bytes=larger.memory_bytes,
            shared_bytes=larger.shared_bytes,
            read_bytes=self.read_bytes + other.read_bytes,
            written_bytes=self.written_bytes + other.written_bytes,
            gpu=gpu,
        )


class Provision(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a rank has: CPUs, GPUs, and the memory that all processes of its node have together."""

    cpus: int = 0
    gpus: int = 0
    node_bytes: int = 0
