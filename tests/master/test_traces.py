"""Plays of the master, one story a file, each line as `tests/harness/play.py` has it.

A play begins with what it is about and with its study. Lines with `>` happen to the master; below
each stands what it decides, and what is to be done. `> 5 start ranks 2` kills the master and starts
it again from its journal, which must lead to where it was. In the end, all that was decided is
decided once more, from the journal alone.

    python -m tests.master.test_traces     writes the plays anew: read the difference first
"""

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hpmpi.master.restart import redo
from hpmpi.model.records import Line, Started
from tests.harness.build import Study
from tests.harness.insides import insides
from tests.harness.play import event_line, reaction_lines, read_event
from tests.harness.rederive import rederive
from tests.harness.simulate import WORLDS, simulate

PLAYS = sorted(Path(__file__).with_name("traces").glob("*.txt"))


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.stem)
def test_the_master_plays_as_written(play: Path) -> None:
    text = play.read_text()
    assert perform(text) == text


@pytest.mark.parametrize("world", WORLDS)
def test_an_event_is_read_as_it_was_written(world: str) -> None:
    lines: list[str] = []
    simulate(world, 1, lines.append)
    events = [line for line in lines if line.startswith("> ") and "start" not in line]
    assert events
    assert [event_line(*read_event(line)) for line in events] == events


def perform(text: str) -> str:
    """Play the events of a play anew, and write all of it down."""
    written = []
    for line in text.splitlines():
        if line.startswith("study "):
            study = read_study(line.split()[1:])
            stage = Stage(study)
        if line.startswith(("#", "study ")) or not line:
            written.append(line)
        elif line.startswith(">"):
            written += [line, *stage.happen(line)]
    stage.check()
    return "\n".join(written) + "\n"


def read_study(words: list[str]) -> Study:
    """Read the fields of a study."""
    fields: dict[str, Any] = dict(zip(words[::2], words[1::2], strict=True))
    return msgspec.convert(fields, Study, strict=False)


class Stage:
    """A master and its journal."""

    def __init__(self, study: Study) -> None:
        """Start the study."""
        self._study = study
        self._master = study.master()
        self._journal: list[Line] = []

    def happen(self, line: str) -> list[str]:
        """Let something happen; return what is to be done."""
        if " start ranks " in line:
            _, at, _, _, ranks = line.split()
            self._start(float(at), int(ranks))
            return []
        reaction = self._master.handle(*read_event(line))
        if reaction.entry is not None:
            self._journal.append(reaction.entry)
        if self._master.outcome is not None:
            self._master.jobs.end(self._master.outcome)
        return reaction_lines(reaction)

    def check(self) -> None:
        """Assert that all of it follows from what has happened."""
        rederive(self._study, self._journal)

    def _start(self, now: float, ranks: int) -> None:
        again = self._study.master(ranks, now)
        for line in self._journal:
            redo(again.jobs, line)
        assert insides(again.jobs) == insides(self._master.jobs)
        started = Started(now, "", "", "", ranks)
        redo(again.jobs, started)
        self._journal.append(started)
        self._master = again


def main() -> None:
    """Write all plays anew."""
    for play in PLAYS:
        play.write_text(perform(play.read_text()))
        sys.stdout.write(f"{play}\n")


if __name__ == "__main__":
    main()
