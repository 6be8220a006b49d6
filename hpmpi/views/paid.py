"""Where the paid time went, in words and for JSON."""

import math
from typing import Any

import msgspec

from hpmpi.history.history import History
from hpmpi.history.paid import Advice, Paid, RankTime, advice, paid
from hpmpi.views.layout import count_of, span

GIGA, MEGA, KIBI = 1e9, 1e6, 1024

NAMES = {
    "busy_s": "busy",
    "starting_s": "starting",
    "waiting_s": "waiting for a promotion",
    "lost_s": "lost",
    "aside_s": "put aside",
    "idle_s": "idle at the end",
}
"""What people call the seconds of a rank."""

MINUTES = 5
"""What a time limit is a multiple of."""


def lines(history: History) -> list[str]:
    """Say what was used of what was asked for, and what to ask for; nothing if nobody measured."""
    known = paid(history)
    if known is None:
        return []
    asked = options(advice(history, known))
    last = [f"ask for this next time: {' '.join(asked)}"] if asked else []
    return ["used / asked", *(f"  {name:<7}{told}" for name, told in parts(known)), *last, ""]


def parts(known: Paid) -> list[tuple[str, str]]:
    """Say it by what there is."""
    cores = of(known.cores, known.cpus, f"{count_of(known.cpus, 'core')} a rank")
    memory = of(known.node_bytes, known.node_has_bytes, size(known.node_has_bytes))
    found = [
        ("CPU", f"{known.cores:.1f}{cores} while busy, {span(known.cpu_s)} in all"),
        ("memory", f"{size(known.node_bytes)}{memory} on a node at most"),
    ]
    if known.gpu is not None:
        used = f"{known.gpu.busy_share:.0%} busy, {size(known.gpu.memory_bytes)} at most"
        found.append(("GPU", f"{used} ({count_of(known.gpus, 'GPU')} a rank)"))
    found.append(("files", f"{size(known.read_bytes)} read, {size(known.written_bytes)} written"))
    if known.asked_s is not None:
        told = f"{span(known.run_s)}{of(known.run_s, known.asked_s, span(known.asked_s))}"
        found.append(("time", told))
    found.append(("ranks", f"{known.ranks}: {shares(known.time)}"))
    return found


def of(used: float, asked: float, told: str) -> str:
    """Say of how much it was, where that is known.

    >>> of(1.0, 4.0, "4 cores"), of(1.0, 0.0, "")
    (' of 4 cores (25 %)', '')
    """
    return f" of {told} ({100 * used / asked:.0f} %)" if asked > 0 else ""


def shares(time: RankTime) -> str:
    """Say where the ranks' time went."""
    all_s = time.all_s or 1.0
    percent = {name: round(100 * getattr(time, name) / all_s) for name in NAMES}
    return ", ".join(f"{NAMES[name]} {it} %" for name, it in percent.items() if it)


def size(used: float) -> str:
    """Write a number of bytes as people read it.

    >>> size(3_100_000_000), size(52_000_000), size(0)
    ('3.1 GB', '52 MB', '0 MB')
    """
    return f"{used / GIGA:.1f} GB" if used >= GIGA else f"{used / MEGA:.0f} MB"


def options(asked: Advice) -> list[str]:
    """Write what to ask for as sbatch takes it.

    >>> options(Advice(mem_bytes=3 << 30, cpus_per_task=2, time_s=4000.0, ntasks=9))
    ['--mem=3072M', '--cpus-per-task=2', '--time=01:10:00', '--ntasks=9']
    """
    found = []
    if asked.mem_bytes is not None:
        found.append(f"--mem={math.ceil(asked.mem_bytes / KIBI**2)}M")
    if asked.cpus_per_task is not None:
        found.append(f"--cpus-per-task={asked.cpus_per_task}")
    if asked.time_s is not None:
        minutes = MINUTES * math.ceil(asked.time_s / 60 / MINUTES)
        found.append(f"--time={minutes // 60:02}:{minutes % 60:02}:00")
    if asked.ntasks is not None:
        found.append(f"--ntasks={asked.ntasks}")
    return found


def as_object(history: History) -> dict[str, Any] | None:
    """Say it for JSON: seconds and bytes, as the names say; what nobody has said is null."""
    known = paid(history)
    if known is None:
        return None
    next_time: dict[str, Any] = msgspec.structs.asdict(advice(history, known))
    return {**msgspec.to_builtins(known), "next_time": next_time}
