"""Whole runs of studies whose command is a program: local processes, real signals."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from hpmpi.model.messages import Progress
from hpmpi.model.records import Assigned, Suspension
from tests.harness.programs import STUDY, ProgramStudy, needs_cc
from tests.harness.runs import Study, finish

pytestmark = needs_cc


def test_promoted_trials_go_on_from_their_checkpoints(tmp_path: Path) -> None:
    study = ProgramStudy(tmp_path)
    done = study.run(study.command("--workers", "2"))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert {trial for trial, rung in study.results if rung == 0} == set(range(12))
    epochs = study.log.read_text().splitlines()
    assert len(epochs) == len(set(epochs))
    assert max(int(line.split()[1]) for line in epochs) == 9
    assert sum(len(points.points) for _, points in study.heard(Progress)) == len(epochs)


def test_a_drained_program_saves_and_goes_on_and_no_epoch_is_trained_twice(tmp_path: Path) -> None:
    study = ProgramStudy(tmp_path, epoch_s=0.2)
    command = study.command("--workers", "2", "--set", "limits.grace_s=60")
    process = study.start(command)
    study.until(lambda: any(each.attempt.rung == 2 for each in study.decided(Assigned)), process)
    process.send_signal(signal.SIGTERM)
    done = finish(process)
    assert (done.returncode, study.left()) == (75, []), done.stderr
    assert study.decided(Suspension) != []
    done = study.run(command)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    epochs = Counter(study.log.read_text().splitlines())
    assert set(epochs.values()) == {1}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('"./fit"', '"./fitt"', "command[0] = './fitt': there is no file"),
        ('"./fit"', '"fit"', "there is no program 'fit' in PATH (write './fit' for the one there)"),
        ('"./fit"', '"./log.txt"', "log.txt can't be run: chmod +x it"),
        ("{{x}}", "{{y}}", "{y} is no placeholder; there is: x, start, stop, previous, folder"),
        ("{{stop}}", "{{stp}}", "did you mean {stop}? there is: x, start"),
        ("metric =", "objective = 'a.py:a'\nmetric =", "objective and command are both given"),
    ],
)
def test_what_can_not_be_run_is_said_before_anything_starts(
    tmp_path: Path, before: str, after: str, expected: str
) -> None:
    study = ProgramStudy(tmp_path)
    (tmp_path / "log.txt").touch()
    assert before in STUDY
    text = STUDY.replace(before, after).format(log=study.log, epoch_us=0)
    study.file.write_text(text)
    done = study.run(study.command("--workers", "1"))
    assert (done.returncode, expected in done.stderr) == (2, True), done.stderr
    assert ("Traceback" in done.stderr, study.out.exists()) == (False, False)


BASH = """#!/bin/bash
# One epoch a line, as a script would do that knows nothing of us but its environment.
epoch=$(cat "$HPMPI_PREVIOUS/epoch" 2>/dev/null || echo 0)
while [ "$epoch" -lt "$HPMPI_STOP" ]; do
    epoch=$((epoch + 1))
    echo "{\\"epoch\\": $epoch, \\"loss\\": $HPMPI_X}"
    echo "$HPMPI_TRIAL $epoch" >>epochs.log
    echo $epoch >"$1/epoch"
done
"""


def test_a_script_goes_by_its_environment(tmp_path: Path) -> None:
    study = Study(tmp_path)
    (tmp_path / "fit.sh").write_text(BASH)
    (tmp_path / "fit.sh").chmod(0o755)
    text = study.file.read_text().partition("[objective_args]")[0]
    study.file.write_text(
        text.replace('objective = "train.py:train"', 'command = ["./fit.sh", "{folder}"]')
    )
    done = study.run(study.command("--workers", "2"))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    epochs = study.log.read_text().splitlines()
    assert len(epochs) == len(set(epochs))
    assert max(int(line.split()[1]) for line in epochs) == 9
