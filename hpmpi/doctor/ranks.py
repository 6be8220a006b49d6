"""What starts ranks: the MPI, its launcher, Slurm; and two ranks, really."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hpmpi.doctor.finding import Finding, Verdict
from hpmpi.errors import HpmpiError, SettingsError
from hpmpi.launch import launchers, placement
from hpmpi.launch.launch import end, ended, environment
from hpmpi.launch.launchers import Launcher, Mpi
from hpmpi.launch.placement import Placement
from hpmpi.slurm import allocation, squeue
from hpmpi.slurm.squeue import Allocation
from hpmpi.views.layout import count_of, time_of

START_S = 60.0
"""How long two ranks may take to meet."""

MEET = """
import json, os, sys
del sys.path[0]  # the current folder, which may have modules of any name
from mpi4py import MPI
met = MPI.COMM_WORLD.gather((os.uname().nodename, os.path.exists(sys.argv[1])))
if met: print("met: " + json.dumps(met), flush=True)
"""
"""Has the ranks meet, and say where they are and whether they see a file."""

MET = "met: "

IN_AN_ALLOCATION = "ask where ranks will be: salloc -N 2 -n 2 hpmpi doctor"


class Meeting(NamedTuple):
    """How many ranks met, on which hosts, whether all saw the file; or what was said instead."""

    ranks: int = 0
    hosts: tuple[str, ...] = ()
    saw: bool = False
    said: str = ""


def findings(probe: Path | None) -> Iterator[Finding]:
    """Look at each; `probe` is a file in the run folder's place, where one can be written."""
    mpi: Mpi | None = None
    try:
        mpi = launchers.find_mpi()
        yield Finding("MPI", Verdict.WELL, mpi.name)
    except SettingsError as error:
        seen, _, todo = str(error).partition("; ")
        yield Finding("MPI", Verdict.WRONG, seen, todo)
    version = " ".join(squeue.answer(["squeue", "--version"]) or [])
    has_slurm = bool(version)
    yield from slurm(version, mpi) if has_slurm else [no_slurm()]
    ours = None
    try:
        ours = allocation.find() if has_slurm else None
        if has_slurm:
            yield of_allocation(ours)
    except HpmpiError as error:
        yield Finding("allocation", Verdict.WRONG, str(error), "try again; Slurm may be busy")
    if mpi is not None:
        yield from starts(ours, probe, in_login=has_slurm and ours is None)


def no_slurm() -> Finding:
    """Say that there is none, or programs of one that is not set up."""
    lost = shutil.which("squeue") is not None
    seen = "its programs are here, but know of no cluster" if lost else "none is here"
    return Finding("Slurm", Verdict.ABSENT, seen)


def slurm(version: str, mpi: Mpi | None) -> Iterator[Finding]:
    """Ask Slurm whether it answers, and how srun can start ranks."""
    if squeue.known(f"--user={os.getuid()}") is None:
        seen = f"{version}, whose squeue does not answer"
        yield Finding("Slurm", Verdict.WRONG, seen, "ask who runs it: scontrol ping says more")
        return
    yield Finding("Slurm", Verdict.WELL, version)
    if mpi is None:
        return
    kinds = launchers.answer(["srun", "--mpi=list"]).replace(",", " ").split()
    kind = next((it for it in launchers.spoken(mpi) if it in kinds), None)
    if kind is not None:
        yield Finding("PMI", Verdict.WELL, f"srun --mpi={kind} starts ranks of {mpi.name}")
        return
    wanted = " or ".join(launchers.spoken(mpi)) or "what I_MPI_PMI_LIBRARY names, which is not set"
    seen = f"srun does not have {wanted}, as {mpi.name} wants: mpirun starts the ranks"
    yield Finding("PMI", Verdict.NOTE, seen, "a node that dies then ends a start, and not a rank")


def of_allocation(ours: Allocation | None) -> Finding:
    """Say in which allocation this is."""
    if ours is None:
        return Finding("allocation", Verdict.ABSENT, "this is in none, but on a login node, maybe")
    nodes = placement.hostnames(allocation.nodes(ours))
    seen = f"{ours.name}: {count_of(ours.tasks, 'task')} on {', '.join(nodes)}"
    if ours.tasks > 1:
        return Finding("allocation", Verdict.WELL, seen)
    todo = "rank 0 leads, the others work: ask for more tasks (-n 2)"
    return Finding("allocation", Verdict.WRONG, seen, todo)


def starts(ours: Allocation | None, probe: Path | None, *, in_login: bool) -> Iterator[Finding]:
    """Start two ranks by each launcher that may do, until they meet."""
    wrong = Verdict.NOTE if in_login else Verdict.WRONG
    way_out = IN_AN_ALLOCATION if in_login else launchers.WAY_OUT
    try:
        team = placement.gather(ours, 2, ())
        there = launchers.choose(team, None)
    except SettingsError as error:
        yield Finding("launcher", wrong, str(error).partition("; ")[0], way_out)
        return
    yield Finding("launcher", Verdict.WELL, ", else ".join(it.name for it in there))
    for number, launcher in enumerate(there, start=1):
        began_at = time.monotonic()
        met = meet(launcher, team, probe)
        if met.ranks == team.ranks:
            yield seen_together(met, time.monotonic() - began_at, asked=probe is not None)
            return
        seen = f"{launcher.name} brings no two together: {met.said}"
        is_last = number == len(there)
        yield Finding("two ranks", wrong if is_last else Verdict.NOTE, seen, way_out * is_last)


def seen_together(met: Meeting, took_s: float, *, asked: bool) -> Finding:
    """Say that ranks have met, and whether all saw the run folder's place."""
    seen = f"met on {' and '.join(dict.fromkeys(met.hosts))}, in {time_of(took_s)}"
    if not asked or met.saw:
        return Finding("two ranks", Verdict.WELL, seen)
    seen += ", but not all of them see the run folder"
    todo = "name a folder that all nodes share: hpmpi doctor DIR, and --out DIR of a run"
    return Finding("two ranks", Verdict.WRONG, seen, todo)


def meet(launcher: Launcher, team: Placement, probe: Path | None) -> Meeting:
    """Start ranks, and see what they say until they have ended or their time is over."""
    steps = f"hpmpi-{secrets.token_hex(4)}"
    start = launcher.start(team, steps)
    words = [*start.words, sys.executable, "-c", MEET, str(probe)]
    with tempfile.TemporaryFile("w+", errors="replace") as output:  # a pipe may be kept open
        try:
            process = subprocess.Popen(
                words,
                env=environment(team) | start.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return Meeting(said=str(error))
        try:
            code = ended(process, START_S)
        finally:
            end(process, team.allocation, steps)
        output.seek(0)
        return heard(output.read(), code)


def heard(text: str, code: int | None) -> Meeting:
    """Read what ranks have said, each of those that were alone for itself.

    >>> heard('met: [["node1", true], ["node2", false]]', 0)
    Meeting(ranks=2, hosts=('node1', 'node2'), saw=False, said='')
    >>> heard('met: [["node1", true]]', 0).said
    'each was alone, as under a launcher of another MPI'
    >>> heard('no route to host', 255).said, heard('', None).said
    ('no route to host', 'nothing was said for 60 s')
    """
    lines = [line for line in text.splitlines() if line.strip()]
    met = [json.loads(it.partition(MET)[2]) for it in lines if it.startswith(MET)]
    if met and len(met[0]) > 1:
        hosts, saw = zip(*met[0], strict=True)
        return Meeting(len(met[0]), hosts, all(saw))
    if met:
        return Meeting(said="each was alone, as under a launcher of another MPI")
    ending = f"nothing was said for {START_S:g} s" if code is None else f"exit code {code}"
    return Meeting(said=lines[-1].strip() if lines else ending)
