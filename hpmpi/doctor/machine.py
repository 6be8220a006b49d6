"""What a machine has: Python, CPUs, threads, GPUs, room on the node."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec

from hpmpi import __version__
from hpmpi.data.scratch import PARENTS, free_bytes, is_memory, places, told
from hpmpi.doctor.finding import Finding, Verdict
from hpmpi.transports import control_groups, resources
from hpmpi.transports.resources import Place
from hpmpi.views.layout import count_of

NEEDED = ("h5py", "mpi4py", "msgspec", "numpy", "pandas", "scipy", "sklearn", "skops")
"""What is imported, and may be missing where hpmpi was copied and not installed."""

ROOM_BYTES = 10**9
"""With less on a node, a larger data set finds no place there."""

LIMIT_S = 60.0
"""How long a program may take to answer: PyTorch may have to be read from a slow disk."""

TORCH = "import torch; print(torch.cuda.device_count(), torch.version.cuda or torch.version.hip)"


def findings() -> Iterator[Finding]:
    """Look at each."""
    yield python()
    place = resources.here()
    yield cpus(place)
    yield threads(place.cpus)
    yield from gpus(place)
    yield scratch()


def python() -> Finding:
    """See whether all is there that hpmpi imports."""
    seen = f"{sys.version.split()[0]} with hpmpi {__version__}, at {sys.executable}"
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        seen, todo = f"{seen}, without {', '.join(missing)}", "install hpmpi by pip, which has them"
        return Finding("Python", Verdict.WRONG, seen, todo)
    return Finding("Python", Verdict.WELL, seen)


def cpus(place: Place) -> Finding:
    """Count the CPUs that are this process's, and the time that its control groups leave it."""
    seen = f"{place.cpus} of {count_of(os.cpu_count() or 1, 'CPU')}"
    quota = min(quotas(), default=float(place.cpus))
    if quota >= place.cpus:
        return Finding("CPUs", Verdict.WELL, seen)
    todo = f"start no more than {max(1, int(quota))} workers, or ask for more CPUs"
    seen += f", but a control group gives them the time of {quota:g}"
    return Finding("CPUs", Verdict.NOTE, seen, todo)


def quotas() -> Iterator[float]:
    """Find how many CPUs' time the control groups of this process allow."""
    for folder, _ in control_groups.above("cpu"):
        limit, _, period = control_groups.text_of(folder / "cpu.max").partition(" ")
        if limit.isdecimal():
            yield int(limit) / int(period)


def threads(cpus: int) -> Finding:
    """See whether somebody has said how many threads a trial is to have."""
    said = {name: os.environ[name] for name in resources.THREADS if name in os.environ}
    seen = ", ".join(f"{name}={value}" for name, value in said.items())
    if any(value.isdecimal() and int(value) > cpus for value in said.values()):
        seen += f" is for each trial, and there is {count_of(cpus, 'CPU')} for all"
        todo = f"unset {' '.join(said)}: each trial is then given its share"
        return Finding("threads", Verdict.WRONG, seen, todo)
    return Finding("threads", Verdict.WELL, seen or "each trial is given its share of the CPUs")


def gpus(place: Place) -> Iterator[Finding]:
    """Count the GPUs that are seen, and ask their driver and PyTorch for them, where these are."""
    number = resources.number_of(place.visible) or place.nvidia
    if not number:
        yield Finding("GPUs", Verdict.ABSENT, "none is seen here")
        return
    names = [line for line in output(["nvidia-smi", "-L"]).splitlines() if "GPU" in line]
    if place.nvidia and not names:
        seen = f"{number} in /dev, but nvidia-smi names none"
        yield Finding("GPUs", Verdict.WRONG, seen, "have the driver mended, or take another node")
        return
    kind = f": {names[0].partition(': ')[2].partition(' (')[0]}" if names else ""
    yield Finding("GPUs", Verdict.WELL, f"{number}{kind}")
    if find_spec("torch") is not None:
        yield pytorch(number)


def pytorch(number: int) -> Finding:
    """Ask PyTorch, in another process, how many GPUs it can use."""
    counted, _, built_for = output([sys.executable, "-P", "-c", TORCH]).strip().partition(" ")
    if counted.isdecimal() and int(counted) > 0:
        return Finding("PyTorch", Verdict.WELL, f"it can use {counted} of them")
    seen = f"it can use none of {number}, and is built for {built_for or 'what it does not say'}"
    todo = "install the PyTorch for this driver, whose CUDA version nvidia-smi names"
    return Finding("PyTorch", Verdict.WRONG, seen, todo)


def output(command: list[str]) -> str:
    """Ask a program; nothing where it does not answer in time, or fails."""
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout if asked.returncode == 0 else ""


def scratch() -> Finding:
    """See where data sets can lie on this node."""
    rooms = {it: free_bytes(it) for it in places(PARENTS) if os.access(it, os.W_OK)}
    seen = ", ".join(
        f"{told(size)} in {folder}{' (memory)' * is_memory(folder)}"
        for folder, size in rooms.items()
    )
    if max(rooms.values(), default=0) < ROOM_BYTES:
        todo = "a larger data set needs [data] folder = a folder of the nodes that has room"
        return Finding("node-local", Verdict.NOTE, seen or "no folder can be written", todo)
    return Finding("node-local", Verdict.WELL, seen)
