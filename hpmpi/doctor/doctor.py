"""`hpmpi doctor`: one thing after the other, each told as soon as it is known.

Rules: whatever does not answer in time is told so; nothing that was started stays, and nothing is
left behind. On a login node, where ranks may not start, that is a note: nothing there is wrong.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from hpmpi.doctor import machine, ranks
from hpmpi.doctor.finding import Finding, Verdict
from hpmpi.doctor.run_place import RunPlace
from hpmpi.views.layout import count_of

SICK = 1
"""The exit code where something is wrong that matters."""


def examine(folder: Path, say: Callable[[str], None]) -> int:
    """Say what is found of this machine, runs being to go into a folder; return the exit code."""
    wrong = 0
    for finding in findings(folder):
        say(str(finding))
        wrong += finding.verdict is Verdict.WRONG
    say(f"\n{count_of(wrong, 'thing')} to mend" if wrong else "\nall that matters is well")
    return SICK if wrong else 0


def findings(folder: Path) -> Iterator[Finding]:
    """Look at one thing after the other."""
    yield from machine.findings()
    place = RunPlace(folder)
    try:
        yield from place.findings()
        yield from ranks.findings(place.probe)
    finally:
        place.clean()
