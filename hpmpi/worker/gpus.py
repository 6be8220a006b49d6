"""The GPUs of a rank, as NVIDIA's library sees them: how much memory jobs have there, how busy.

It is loaded when a job is first looked at, in ranks that see GPUs. The library tells memory by
process, but from within a container not always by numbers that are known there: then what is on a
rank's GPUs is taken for its job's. How busy a GPU is it says of the last fraction of a second.
"""

from collections.abc import Collection
from functools import cached_property
from typing import Any

from hpmpi.model.usage import GpuUsage
from hpmpi.transports.resources import CUDA, Share, lists, variables


class Gpus:
    """The GPUs that a rank's jobs see."""

    def __init__(self, share: Share, gpus_per_trial: int | None) -> None:
        """Know which; nothing is loaded yet."""
        self._share = share
        self._gpus_per_trial = gpus_per_trial

    def look(self, pids: Collection[int]) -> GpuUsage | None:
        """Say what processes use of them now; None where that can't be known."""
        if not self._devices:
            return None
        import pynvml  # noqa: PLC0415 - it is there, as there are devices

        try:
            used = sum(memory_on(device, pids) for device in self._devices)
            busy = sum(pynvml.nvmlDeviceGetUtilizationRates(it).gpu for it in self._devices)
        except pynvml.NVMLError:
            return None
        return GpuUsage(used, busy / 100 / len(self._devices))

    @cached_property
    def _devices(self) -> list[Any]:
        names = self._names()
        if not names:
            return []
        try:
            import pynvml  # noqa: PLC0415 - an extra, and loaded for jobs that are looked at
        except ImportError:
            return []
        try:
            pynvml.nvmlInit()
            return [
                pynvml.nvmlDeviceGetHandleByIndex(int(name))
                if name.isdecimal()
                else pynvml.nvmlDeviceGetHandleByUUID(name)
                for name in names
            ]
        except pynvml.NVMLError:
            return []

    def _names(self) -> list[str]:
        chosen = variables(self._share, self._gpus_per_trial).get(CUDA)
        named = chosen.split(",") if chosen else lists(self._share).get(CUDA, ())
        return [name for name in named if name not in ("", "-1")]


def memory_on(device: Any, pids: Collection[int]) -> int:
    """Say how much memory, in bytes, processes have on a device: all that is in use, if unsure."""
    import pynvml  # noqa: PLC0415 - as above

    running = pynvml.nvmlDeviceGetComputeRunningProcesses(device)
    ours = [it.usedGpuMemory or 0 for it in running if it.pid in pids]
    return sum(ours) if ours else int(pynvml.nvmlDeviceGetMemoryInfo(device).used)
