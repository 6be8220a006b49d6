"""Who is taken by the kernel's OOM killer: a child before its rank; and whether anybody was."""

import contextlib
from pathlib import Path

EXPENDABLE = 500
"""How much sooner than its rank the kernel takes a child when memory is out: in 1/1000 of it."""


def offer_to_kernel(pid: int) -> None:
    """Have the kernel take a child, and all it starts, before its rank if memory is out."""
    with contextlib.suppress(OSError):  # not Linux, or it has ended
        file = Path(f"/proc/{pid}/oom_score_adj")
        file.write_text(str(min(int(file.read_text()) + EXPENDABLE, 1000)))


def taken_by_kernel() -> int:
    """Count what the kernel has killed on this machine because memory was out; 0 if unknown."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0
