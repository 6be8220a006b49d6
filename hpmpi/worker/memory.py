"""How much memory an objective and all that it has started have.

What several of them share counts once: the kernel says of each process what its part is of a page
that others have, too (PSS). Memory that was made to be shared counts as well, whatever has made it:
memfd, shm_open, System V, anonymous and shared. Pages of files don't: the kernel can drop them. Nor
do the study's data, which lie in memory once for all.

The parts cost the kernel a walk through all pages of a process. So they are asked for only where
the sum of what each has, which it knows at once and which is never less, is too much.
"""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from hpmpi.guard.process_tree import LINUX

SHARED = (b"/dev/shm/", b"/memfd:", b"/dev/zero", b"/SYSV")
"""How the kernel names memory that is shared, as if it were of a file."""

KILO = 1024


def memory_of(pids: Iterable[int], enough: float, data: str | None = None) -> int:
    """Sum the memory, in bytes, that processes have, each page once.

    What comes to less than `enough` may be less still. `data`: the folder of the study's data.
    """
    family = list(pids)
    most = sum(map(most_of, family))
    return most if most <= enough else sum(part_of(pid, data) for pid in family)


def most_of(pid: int) -> int:
    """Say how much a process has, all that it shares included; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_bytes().splitlines()
    except OSError:  # it has ended, or there is no /proc
        return 0 if LINUX else resident(pid)
    return sum(int(line.split()[1]) for line in lines if line.startswith((b"RssA", b"RssS"))) * KILO


def shared_of(pid: int) -> int:
    """Say how much of it others have as well: what it was forked with, and has not written to.

    0 where nobody knows.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines()
    except OSError:  # it has ended, or there is no /proc
        return 0
    fields = {line.partition(b":")[0]: line.split()[1] for line in lines[1:]}
    own = int(fields.get(b"Private_Dirty", b"0"))
    return max(0, int(fields.get(b"Anonymous", b"0")) - own) * KILO


def resident(pid: int) -> int:
    """Ask for the same where there is no /proc, shared pages of files included."""
    command = ["ps", "-o", "rss=", "-p", str(pid)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return int(said or 0) * KILO


def part_of(pid: int, data: str | None) -> int:
    """Say what a process's part is of the memory that it has; 0 where it has ended."""
    folder = None if data is None else f"{data}/".encode()
    total = 0
    try:
        for name, pss, anonymous in mappings(pid):
            if folder is not None and name.startswith(folder):
                continue
            is_file = name.startswith(b"/") and not name.startswith(SHARED)
            # Of a file only what was written to is memory: a copy of the process's own.
            total += min(pss, anonymous) if is_file else pss
    except OSError:  # not ours to look into, or no Linux
        return most_of(pid)
    return total


def mappings(pid: int) -> Iterator[tuple[bytes, int, int]]:
    """List the name, the part and what is of no file, in bytes, of all that a process has mapped.

    As /proc/PID/smaps has it: a line for each, and below it fields, whose names are capitalised.
    """
    name, pss = b"", 0
    for line in Path(f"/proc/{pid}/smaps").read_bytes().splitlines():
        if line.startswith(b"Pss:"):
            pss = int(line.split()[1]) * KILO
        elif line.startswith(b"Anonymous:"):
            yield name, pss, int(line.split()[1]) * KILO
        elif not line[:1].isupper():
            name = (line.split(None, 5)[5:] or [b""])[0]
