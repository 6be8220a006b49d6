"""The requeue of an allocation: when it is asked for, and which broken nodes are left out."""

import logging
import signal
import time
from pathlib import Path

from hpmpi.errors import HpmpiError
from hpmpi.launch import signals
from hpmpi.launch.placement import Placement, named
from hpmpi.leader.run import TRY_AGAIN
from hpmpi.slurm import allocation
from hpmpi.views.run_view import look

REQUEUE_S = 120.0
"""How long Slurm may take to end what it requeues."""

log = logging.getLogger("hpmpi")


def requeue(whole: Placement, folder: Path) -> int:
    """Have the allocation start anew, if that is possible and wanted; return the exit code."""
    ours = whole.allocation
    found = allocation.look(ours) if ours is not None and ours.is_ours_to_requeue else None
    if ours is None or found is None:
        log.warning("launch: drained; the same command, without --fresh, goes on from here")
        return TRY_AGAIN
    if found.is_ending or found.restarts > ours.restarts:
        log.warning("launch: Slurm ends allocation %s, and decides what becomes of it", ours.name)
        return TRY_AGAIN
    broken = broken_nodes(whole, folder)
    excluded = allocation.excluded(ours.name) if broken else []  # it has seconds after a requeue
    with signals.held():  # Slurm ends all that is here, and is to hear us out
        refused = allocation.requeue(ours.name)
        if refused:
            log.error("launch: Slurm does not requeue %s (%s): sbatch it again", ours.name, refused)
            return TRY_AGAIN
        log.info("launch: allocation %s is requeued, and will go on from here", ours.name)
        if broken:
            leave_out(ours.name, excluded, broken)
        for number in signals.ENDINGS:
            signal.signal(number, signal.SIG_DFL)
    time.sleep(REQUEUE_S)  # Slurm ends this process
    return TRY_AGAIN


def broken_nodes(whole: Placement, folder: Path) -> list[str]:
    """List the nodes whose ranks have failed what others did, as the run says in the end."""
    try:
        return named(whole, look(folder).history.ranks.broken_hosts)
    except HpmpiError:  # nothing was decided yet
        return []


def leave_out(name: str, excluded: list[str], broken: list[str]) -> None:
    """Have an allocation that is requeued start without some nodes; say how to have them again.

    `excluded` it was to start without before.
    """
    nodes, before = ", ".join(broken), ",".join(excluded)
    undo = f"scontrol update JobId={name} ExcNodeList={before}"
    if refused := allocation.exclude(name, [*excluded, *broken]):
        log.error("launch: Slurm does not leave out %s, which is broken: %s", nodes, refused)
    else:
        log.warning("launch: without %s, which is broken; `%s` takes that back", nodes, undo)
