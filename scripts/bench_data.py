"""Count how often a study's data lie in a node's memory, and how often they are read.

    python scripts/bench_data.py [--ranks 8] [--mb 1000] [--launcher mpirun] [--apart] [--json FILE]

Runs a study of so many worker ranks, whose trials sum up an array, and looks at the whole run while
each of them has it mapped. `copies` is what all processes have in memory together (the sum of their
PSS, which shares pages out) over the array's size, less what the same run takes with next to no
data; pages that no process has mapped are in no PSS, so what lies in the node's folder and is in
nobody's share is added. `reads` is what they have read of the array's file, over its size: as
counted by the kernel for each process, with its children that have ended (rchar in /proc/PID/io),
where the other run's is taken off. `read_mb_s` says how fast what lies in the folders came there,
from the first process that began to read to the last that was done. With `--apart` (MPICH), each
rank has a folder of its own, as if it were on another node: then each reads the file for itself.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import harness
import numpy as np
import psutil

OBJECTIVE = """
import os, time
from pathlib import Path

HERE = Path(__file__).parent

def train(config, trial):
    total = float(trial.data["data"].sum())
    (HERE / f"mapped.{os.getpid()}").touch()
    while not (HERE / "gate").exists():
        time.sleep(0.02)
    return total
"""

STUDY = """
objective = "train.py:train"
space.x = {{ type = "float", low = 0.0, high = 1.0 }}
stop.max_trials = {ranks}
data.source = "all.npy"
data.folder = "{node}"
"""


class Seen(NamedTuple):
    """What a run took: memory in bytes, bytes read, seconds until all had the data.

    And seconds in which the source was read, by whichever rank of whichever node.
    """

    pss: int
    unmapped: int
    read: int
    took_s: float
    read_s: float


def main() -> None:
    """Compare a run with the data with one that has next to none."""
    options = harness.Options(__doc__)
    add, count = options.add_argument, harness.count()
    add("--ranks", type=count, default=8, metavar="N", help="that work; default: 8")
    add("--mb", type=count, default=1000, metavar="N", help="of data; default: 1000")
    add("--launcher", choices=["mpirun", "none"], default="mpirun")
    add("--apart", action="store_true", help="a folder for each rank, as on a node of its own")
    asked = options.read()
    size = asked.mb * 1_000_000
    without = measure(asked.ranks, 8000, asked.launcher, apart=asked.apart)
    seen = measure(asked.ranks, size, asked.launcher, apart=asked.apart)
    row = {
        "ranks": asked.ranks,
        "launcher": asked.launcher,
        "data_mb": asked.mb,
        "pss_mb": round(seen.pss / 1e6),
        "pss_without_data_mb": round(without.pss / 1e6),
        "copies": round((seen.pss + seen.unmapped - without.pss) / size, 3),
        "reads": round((seen.read - without.read) / size, 3),
        "all_have_it_s": round(seen.took_s, 2),
        "without_data_s": round(without.took_s, 2),
        "read_mb_s": round(asked.mb * (asked.ranks if asked.apart else 1) / seen.read_s),
    }
    for name, value in row.items():
        print(f"{name:20} {value}")
    harness.write(asked.json, row)


def measure(ranks: int, size: int, launcher: str, *, apart: bool) -> Seen:
    """Run a study whose data have so many bytes, and look at it while all have them."""
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory(dir="/dev/shm") as node:
        folder = Path(name)
        (folder / "train.py").write_text(OBJECTIVE)
        for rank in range(ranks + 1):
            (Path(node) / str(rank)).mkdir()
        own = f"{node}/$PMI_RANK" if apart else node
        (folder / "study.toml").write_text(STUDY.format(ranks=ranks, node=own))
        array = np.lib.format.open_memmap(
            folder / "all.npy", mode="w+", dtype=np.float64, shape=(size // 8,)
        )
        array[:] = 1.0
        array.flush()
        began_at = time.monotonic()
        began_to_read_at = read_at = 0.0
        nodes = ranks if apart else 1

        def all_have_it() -> bool:
            nonlocal began_to_read_at, read_at
            if not began_to_read_at and list(Path(node).rglob("read-*")):
                began_to_read_at = time.monotonic()
            if not read_at and len(list(Path(node).rglob("data"))) == nodes:
                read_at = time.monotonic()
            return len(list(folder.glob("mapped.*"))) >= ranks

        with closing(harness.Program(command(folder, ranks, launcher), folder)) as program:
            program.wait_until(all_have_it)
            took_s = time.monotonic() - began_at
            processes = program.processes()
            read = sum_over(processes, lambda it: int(it.io_counters().read_chars))
            pss = sum_over(processes, lambda it: int(it.memory_full_info().pss))
            lying = sum(path.stat().st_blocks * 512 for path in Path(node).rglob("*.npy"))
            mapped = sum_over(processes, lambda it: mapped_share(it, node))
            (folder / "gate").touch()
            program.wait()
        if left := list(Path(node).rglob("hpmpi-*")):
            sys.exit(f"left: {left}")
        return Seen(pss, lying - mapped, read, took_s, read_at - began_to_read_at)


def command(folder: Path, ranks: int, launcher: str) -> list[str]:
    """Say how to run the study."""
    study = folder / "study.toml"
    if launcher == "none":
        return harness.hpmpi_run(study, "--workers", str(ranks))
    return [*harness.mpirun(ranks + 1), *harness.hpmpi_run(study)]


def sum_over(processes: list[psutil.Process], number_of: Callable[[psutil.Process], int]) -> int:
    """Sum what the kernel knows of processes; of one that has just ended, that is nothing."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += number_of(process)
    return total


def mapped_share(process: psutil.Process, node: str) -> int:
    """Sum a process's share of what lies in a folder."""
    maps = process.memory_maps(grouped=False)
    return sum(each.pss for each in maps if each.path.startswith(node))


if __name__ == "__main__":
    main()
