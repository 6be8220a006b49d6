"""The control groups that this process is in, which limit what it may have; as Linux shows them."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

TOP = Path("/sys/fs/cgroup")


def above(controller: str) -> Iterator[tuple[Path, bool]]:
    """List the folders of the groups that count for a controller, from the innermost outwards.

    And whether they are of version 1, where each controller has a tree, and its files other names.
    """
    for line in text_of(Path("/proc/self/cgroup")).split("\n")[:-1]:
        _, controllers, path = line.split(":", 2)
        is_first = controllers == controller
        if controllers and not is_first:
            continue
        top = TOP / controllers
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            yield folder, is_first
            if folder == top:
                break


def text_of(path: Path) -> str:
    """Read a file of the kernel's; nothing where it has none."""
    with contextlib.suppress(OSError):
        return os.fsdecode(path.read_bytes())
    return ""
