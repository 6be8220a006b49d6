"""The logs of the ranks: what their objectives print, and in front of each attempt a line of ours.

    [hpmpi: trial 7 rung 1 attempt 2, from 3 to 9: {"lr":0.01,"width":64}]

All that follows, up to the next such line, was printed while that attempt was in work: by it, or by
what an earlier one on that rank has left running. A log that has become too large loses what is
before its end (worker/log_file.py); what is then left of an attempt has its line in front again.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hpmpi.model.messages import Assign
from hpmpi.model.trial import BASELINE, DATA, AttemptId

NAMES = {BASELINE: b"the baseline", DATA: b"the data"}
"""What is no trial."""

ENCODE = msgspec.json.Encoder().encode

HEADING = re.compile(
    rb"\[hpmpi: (?:(?:the baseline|the data)|trial (\d+) rung (\d+) attempt (\d+), from \d+ to \d+)"
    rb": .*\]\n"
)


def path_of(folder: Path, rank: int) -> Path:
    """Name the log of a rank in the folder of a run."""
    return folder / "logs" / f"rank-{rank}.log"


def heading_of(order: Assign) -> bytes:
    r"""Write the line in front of what an attempt prints.

    >>> heading_of(Assign(AttemptId(7, 0, 1), 3, {"lr": 0.1}, seed=0))
    b'[hpmpi: trial 7 rung 0 attempt 1, from 0 to 3: {"lr":0.1}]\n'
    """
    trial, rung, number = order.attempt
    config = ENCODE(order.config)
    if trial in NAMES:
        return b"[hpmpi: %s: %s]\n" % (NAMES[trial], config)
    numbers = (trial, rung, number, order.saved, order.resource)
    return b"[hpmpi: trial %d rung %d attempt %d, from %d to %d: %s]\n" % (*numbers, config)


def parts_of(log: bytes) -> Iterator[tuple[AttemptId | None, bytes]]:
    """Divide a log into what attempts have printed; None is who was no trial's, or is not known."""
    attempt, start = None, 0
    for heading in HEADING.finditer(log):
        yield attempt, log[start : heading.start()]
        numbers = [int(it) for it in heading.groups() if it is not None]
        attempt, start = AttemptId(*numbers) if numbers else None, heading.end()
    yield attempt, log[start:]


def printed(path: Path, trial: int) -> dict[AttemptId, bytes]:
    """Read what the attempts at a trial have printed into a log; those that it has no word of lack.

    Raises OSError.
    """
    found: defaultdict[AttemptId, bytes] = defaultdict(bytes)
    for attempt, part in parts_of(path.read_bytes()):
        if attempt is not None and attempt.trial == trial:
            found[attempt] += part
    return found
