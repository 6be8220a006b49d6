"""How much memory an objective and all that it has started have."""

from collections.abc import Iterable


def memory_of(pids: Iterable[int]) -> int:
    """Sum the memory, in bytes, that processes have for themselves.

    Shared pages count for nobody: the proportional share (PSS) would be right, and costs the kernel
    a walk through all of a process's pages.
    """
    import psutil  # noqa: PLC0415 - only those who set a limit pay for it

    total = 0
    for pid in pids:
        try:
            used = psutil.Process(pid).memory_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        total += used.rss - getattr(used, "shared", 0)
    return total
