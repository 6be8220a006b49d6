"""What the end of a launcher means, and what follows from it: two tables, no clock and no file.

What a launcher says of the end means little: 0 was seen of one that had aborted, 137 of one whose
ranks did well. What counts is the status in the run folder, of a start that was not there before.
"""

import signal
from collections.abc import Collection
from enum import Enum

from hpmpi.leader.run import NO_WORLD, TRY_AGAIN
from hpmpi.master.retries import MAX_LOSSES
from hpmpi.storage.run_folder import UNWRITTEN, RunStatus
from hpmpi.worker.entry import BAD_INPUT

MOST_BARREN = MAX_LOSSES + 1
"""Starts in a row that may bring nothing new - a result, a checkpoint, a job that is given up: one
more than it takes to give up a job that takes each of them along."""


class Ending(Enum):
    """How the ranks of a start have ended: as the status says, or without a word."""

    COMPLETE = "complete"
    FAILED = "failed"
    UNFIT = "unfit"
    DRAINED = "drained"
    DESERTED = "deserted"
    LOST = "lost"
    APART = "apart"


class Judgement(Enum):
    """What follows: how to leave, or not at all."""

    DONE = "with the ranks' code"
    INTERRUPTED = "as whoever is here wants"
    REQUEUE = "for the allocation to start anew"
    GIVE_UP = "with a message"
    START_AGAIN = "not at all: the ranks are started again, where nodes answer"


OF_STATE = {each.value: each for each in Ending} | {UNWRITTEN: Ending.COMPLETE}


def ending(before: RunStatus, after: RunStatus, code: int | None) -> Ending:
    """Tell how ranks have ended, by the status before and after, and their launcher's exit code.

    The code is None of a launcher that had to be ended.

        status after               code    ending
        -------------------------  ------  ------------------------------------------------
        the start from before      2       UNFIT: the input is bad, and was said to be
                                   69      APART: the ranks do not know of each other
                                   others  LOST: no rank 0 came so far as to say anything
        a new one, running         75      DRAINED: rank 0 could not go on, its disk is full
                                   others  LOST
        a new one, unwritten       any     COMPLETE, without a results file
        a new one, any other       any     what it says
    """
    if after.start == before.start:
        return {BAD_INPUT: Ending.UNFIT, NO_WORLD: Ending.APART}.get(code or 0, Ending.LOST)
    if after.state == "running":
        return Ending.DRAINED if code == TRY_AGAIN else Ending.LOST
    return OF_STATE.get(after.state, Ending.LOST)


def verdict(came_to: Ending, signals: Collection[signal.Signals], barren: int) -> Judgement:
    """Tell what follows from an ending, with the signals that were heeded, and the barren starts.

    The first line that fits counts.

        ending                     signals  barren       verdict
        -------------------------  -------  -----------  -----------------------------------------
        COMPLETE, FAILED, UNFIT    any      any          DONE: another start would not change it
        others                     SIGINT   any          INTERRUPTED: who interrupts has no requeue
        APART                      any      any          GIVE_UP: no launcher is left to be tried
        others                     any      MOST_BARREN  GIVE_UP
        DRAINED                    any      fewer        REQUEUE
        LOST, DESERTED             some     fewer        REQUEUE: they were told to drain
                                   none     fewer        START_AGAIN
    """
    if came_to in (Ending.COMPLETE, Ending.FAILED, Ending.UNFIT):
        return Judgement.DONE
    if signal.SIGINT in signals:
        return Judgement.INTERRUPTED
    if came_to is Ending.APART or barren >= MOST_BARREN:
        return Judgement.GIVE_UP
    if came_to is Ending.DRAINED or signals:
        return Judgement.REQUEUE
    return Judgement.START_AGAIN
