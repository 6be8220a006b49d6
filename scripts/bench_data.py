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

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parent.parent

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
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--ranks", type=int, default=8)
    options.add_argument("--mb", type=int, default=1000)
    options.add_argument("--launcher", choices=["mpirun", "none"], default="mpirun")
    options.add_argument("--apart", action="store_true")
    options.add_argument("--json", type=Path)
    asked = options.parse_args()
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
    if asked.json:
        asked.json.write_text(json.dumps(row) + "\n")


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
        process = subprocess.Popen(
            command(folder, ranks, launcher),
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        began_to_read_at = read_at = 0.0
        nodes = ranks if apart else 1
        while len(list(folder.glob("mapped.*"))) < ranks:
            if not began_to_read_at and list(Path(node).rglob("read-*")):
                began_to_read_at = time.monotonic()
            if not read_at and len(list(Path(node).rglob("data"))) == nodes:
                read_at = time.monotonic()
            if process.poll() is not None:
                sys.exit(process.communicate()[1].decode())
            time.sleep(0.005)
        took_s = time.monotonic() - began_at
        pids = list(processes_of(folder))
        read = sum(number(pid, "io", "rchar:") for pid in pids)
        pss = sum(number(pid, "smaps_rollup", "Pss:") << 10 for pid in pids)
        lying = sum(path.stat().st_blocks * 512 for path in Path(node).rglob("*.npy"))
        mapped = sum(mapped_share(pid, node) for pid in pids)
        (folder / "gate").touch()
        process.communicate()
        left = list(Path(node).rglob("hpmpi-*"))
        if process.returncode != 0 or left:
            sys.exit(f"exit code {process.returncode}; left: {left}")
        return Seen(pss, lying - mapped, read, took_s, read_at - began_to_read_at)


def command(folder: Path, ranks: int, launcher: str) -> list[str]:
    """Say how to run the study."""
    words = [sys.executable, "-m", "hpmpi", "run", str(folder / "study.toml")]
    words += ["--out", str(folder / "out")]
    if launcher == "none":
        return [*words, "--workers", str(ranks)]
    mpirun = Path(sys.executable).parent / "mpirun"
    flags = []
    if shutil.which("ompi_info", path=str(mpirun.parent)):
        flags = ["--oversubscribe", "--allow-run-as-root", "--bind-to", "none"]
    return [str(mpirun), *flags, "-n", str(ranks + 1), *words]


def processes_of(folder: Path) -> Iterator[int]:
    """Find the processes of a run: those that name its folder, and all that they have started."""
    parents = {}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (process / "stat").read_text().rpartition(")")[2].split()
            parents[int(process.name)] = int(stat[1])
            if os.fsencode(folder) in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    for pid in found:  # grows meanwhile
        found += [
            child for child, parent in parents.items() if parent == pid and child not in found
        ]
    return iter(found)


def mapped_share(pid: int, node: str) -> int:
    """Sum a process's share of what lies in a folder."""
    total, ours = 0, False
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
            words = line.split()
            if not words[0].endswith(":"):
                ours = words[-1].startswith(node)
            elif ours and words[0] == "Pss:":
                total += int(words[1]) << 10
    return total


def number(pid: int, file: str, name: str) -> int:
    """Read a number that the kernel has of a process; 0 if it has just ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            words = line.split()
            if words[0] == name:
                return int(words[1])
    return 0


if __name__ == "__main__":
    main()
