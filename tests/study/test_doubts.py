"""What may not be meant in a study that is sound."""

import msgspec
import pytest

from hpmpi.study.doubts import doubts
from hpmpi.study.settings import RunTable, Settings

ALL = ["fit", "{lr}", "{depth}", "{stop}", "{folder}"]
SPACE = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in ("lr", "depth")}
RESUME = ["{previous}/state"]


def told(command: list[str], resume: list[str], rungs: tuple[int, ...], **run: object) -> list[str]:
    """Say what is doubted of a study that tunes lr and depth."""
    table = msgspec.convert(run, RunTable)
    study = Settings(name="it", command=command, resume=resume, space=SPACE, run=table)
    return list(doubts(study, rungs))


@pytest.mark.parametrize(
    ("command", "resume", "rungs", "expected"),
    [
        (["fit", "0.1", "{depth}"], [], (1,), "no word of the command has {lr}"),
        (["fit"], [], (1,), "the program has to read HPMPI_LR, HPMPI_DEPTH"),
        ([*ALL[:3], "{folder}"], RESUME, (1, 3), "no word of the command has {stop}"),
        (ALL, [], (1, 3), "no word has {previous}"),
    ],
)
def test_what_a_program_may_not_be_told_is_doubted(
    command: list[str], resume: list[str], rungs: tuple[int, ...], expected: str
) -> None:
    [doubt] = told(command, resume, rungs)
    assert expected in doubt


def test_ranks_that_have_no_world_are_doubted() -> None:
    [doubt] = told(ALL, RESUME, (1, 3), ranks_per_trial=2)
    assert "starts the program by itself" in doubt
    assert told(ALL, RESUME, (1, 3), ranks_per_trial=2, world="mpi") == []


@pytest.mark.parametrize("words", [ALL, ["fit", "{config}", "{stop}"]])
def test_who_is_told_all_is_not_doubted(words: list[str]) -> None:
    assert told(words, RESUME, (1, 3)) == []
    assert told(words[:3], [], (1,)) == []


def test_functions_are_not_doubted() -> None:
    study = Settings(name="it", objective="train.py:train", space=SPACE)
    assert list(doubts(study, (1, 3))) == []
