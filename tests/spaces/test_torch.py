"""The PyTorch script of spaces/torch: stopped, killed, drained, it trains the same, bit by bit."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hpmpi.model.messages import Assign, Failed, Finished, Progress
from hpmpi.model.records import Failure, Suspension
from hpmpi.model.trial import AttemptId, Config, Metrics
from hpmpi.transports.resources import Share
from tests.harness.drive import ChildRig, child_of, welcome
from tests.harness.run_journal import RunJournal
from tests.harness.runs import ROOT, Study, finish

SPACES = ROOT / "spaces" / "torch"

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="PyTorch is not installed: pip install -e '.[torch]'",
)

SEED = 7
SMALL: Config = {"channels": 8, "batch-size": 128}
SGD: Config = {**SMALL, "optimizer": "sgd", "lr": 0.05, "momentum": 0.8}
EPOCHS = 4

HELD_AT = 5
"""The epoch at which watched.py waits to be killed, or drained."""


class Trained(NamedTuple):
    """What became of a trial: its curve, and its newest checkpoint."""

    curve: dict[int, Metrics]
    metrics: Metrics
    checkpoint: Path


class Trainer:
    """Trains one trial after the other in a child process, up to one rung after the other."""

    def __init__(self, rig: ChildRig, folder: Path) -> None:
        """Have a child do it."""
        self._rig = rig
        self._folder = folder
        self._trials = 0

    def train(self, config: Config, *stops: int) -> Trained:
        """Train another trial, with the same seed, and stop so often."""
        trial, self._trials = self._trials, self._trials + 1
        curve: dict[int, Metrics] = {}
        metrics: Metrics = {}
        for rung, stop in enumerate(stops):
            self._rig.passed.clear()
            self._rig.assign(Assign(AttemptId(trial, rung, 1), stop, config, SEED))
            answer = self._rig.until(Finished, Failed)
            assert isinstance(answer, Finished), answer
            metrics = answer.metrics
            points = curve_of(self._rig.passed)
            assert min(points) == len(curve) + 1, "it went on, and did not begin again"
            curve |= points
        name = f"{stops[-1]}-{len(stops) - 1}.1"
        checkpoint = self._folder / "checkpoints" / str(trial) / name / "last.pt"
        return Trained(curve, metrics, checkpoint)


def curve_of(reports: list[Any]) -> dict[int, Metrics]:
    """Read a learning curve."""
    told = [each for each in reports if isinstance(each, Progress)]
    return {point.resource: point.metrics for each in told for point in each.points}


def copied(folder: Path) -> Path:
    """Copy what a run needs that watches the script."""
    shutil.copy(SPACES / "with_hpmpi.py", folder)
    shutil.copy(Path(__file__).with_name("watched.py"), folder)
    return folder


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    """Start a child, that imports PyTorch once for all tests."""
    folder = copied(tmp_path_factory.mktemp("trainer"))
    told = welcome(folder, "watched.py:train", args={"epochs": EPOCHS}, keep_all=True)
    with child_of(told) as rig:
        yield Trainer(rig, folder)


def bits(saved: Any) -> Any:
    """Turn what PyTorch has saved into something that is equal where all bits are."""
    if isinstance(saved, dict):
        return {key: bits(value) for key, value in saved.items()}
    if isinstance(saved, list | tuple):
        return [bits(value) for value in saved]
    return (saved.dtype, saved.numpy().tobytes()) if hasattr(saved, "numpy") else saved


def read(checkpoint: Path) -> Any:
    """Read a checkpoint of the script."""
    import torch  # noqa: PLC0415 - takes seconds, and is not everywhere

    return bits(torch.load(checkpoint, weights_only=True))


@needs_torch
@pytest.mark.parametrize(
    "config",
    [SMALL, SGD, {**SGD, "workers": 2}, {**SMALL, "amp": True}],
    ids=["adam", "sgd", "data loader's workers", "bfloat16"],
)
def test_a_stop_at_each_rung_changes_no_bit(trainer: Trainer, config: Config) -> None:
    at_once, in_parts = trainer.train(config, EPOCHS), trainer.train(config, 1, 2, EPOCHS)
    assert in_parts.curve == at_once.curve
    assert in_parts.metrics == at_once.metrics
    assert read(in_parts.checkpoint) == read(at_once.checkpoint)


@needs_torch
def test_nothing_that_is_saved_or_seeded_can_be_left_out(trainer: Trainer) -> None:
    at_once = trainer.train(SGD, EPOCHS)
    for part in ("model", "optimizer", "scheduler", "seed_all"):
        in_parts = trainer.train({**SGD, "without": part}, 2, EPOCHS)
        assert read(in_parts.checkpoint) != read(at_once.checkpoint), part


@needs_torch
def test_it_is_the_training_of_the_script_as_it_was(trainer: Trainer, tmp_path: Path) -> None:
    """With as many threads: sums are rounded otherwise by more of them."""
    tuned = trainer.train(SGD, 2, EPOCHS).checkpoint
    middle = tuned.parent.with_name("2-1.1") / "last.pt"
    for more in [], ["--resume", str(middle)]:
        options = {**SGD, "seed": SEED, "epochs": EPOCHS, "checkpoints": tmp_path}
        words = [f"--{name}={value}" for name, value in options.items()]
        command = [sys.executable, str(SPACES / "plain.py"), *words, *more]
        subprocess.run(command, check=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"})
        assert read(tmp_path / "last.pt") == read(tuned)
        (tmp_path / "last.pt").unlink()


@needs_torch
@pytest.mark.parametrize("threads", [1, 2])
def test_pytorch_has_as_many_threads_as_its_rank_has_cpus(tmp_path: Path, threads: int) -> None:
    (tmp_path / "count.py").write_text(
        "import torch\n\ndef train(config):\n    return torch.get_num_threads()\n"
    )
    with child_of(welcome(tmp_path, "count.py:train"), Share(threads=threads)) as rig:
        assert rig.succeed().metrics == {"loss": threads}


STUDY = """
objective = "watched.py:train"
metric = "accuracy"
mode = "max"

[space]
lr = { type = "float", low = 1e-3, high = 1e-1, log = true }
optimizer = { type = "choice", values = ["adam", "sgd"] }
momentum = { type = "float", low = 0.0, high = 0.99, when = { optimizer = "sgd" } }

[scheduler]
max_resource = 9

[stop]
max_trials = 5

[limits]
patience_s = 5
grace_s = 60

[run]
keep = "all"

[objective_args]
channels = 8
batch-size = 128
epochs = 9
"""


def run_of(folder: Path, args: str = "") -> Study:
    """Make a study of the script, that is watched."""
    folder.mkdir()
    study = Study(copied(folder))
    study.file.write_text(STUDY + args)
    return study


def undisturbed(folder: Path) -> Study:
    """Run all trials of the study to the end at once."""
    study = run_of(folder)
    done = study.run(study.command("--workers", "2"))
    assert done.returncode == 0, done.stderr
    return study


def points(journal: RunJournal) -> list[tuple[AttemptId, int, Metrics]]:
    """List all points that were reported, each with its attempt."""
    told = [report for _, report in journal.heard(Progress)]
    return [(it.attempt, point.resource, point.metrics) for it in told for point in it.points]


def went_on(journal: RunJournal, attempt: AttemptId) -> int:
    """Tell from which epoch the next attempt went on."""
    following = attempt._replace(number=attempt.number + 1)
    return min(epoch for which, epoch, _ in points(journal) if which == following) - 1


def checkpoints(study: Study) -> dict[int, Any]:
    """Read the checkpoints of the trials that came to the end, by trial."""
    found = (study.out / "checkpoints").glob("*/9-*/last.pt")
    return {int(path.parents[1].name): read(path) for path in found}


@needs_torch
def test_a_killed_rank_and_a_drain_change_no_bit(tmp_path: Path) -> None:
    study = run_of(tmp_path / "disturbed", f'folder = "{tmp_path}"\n')
    rungs = ("--set", "scheduler.method=asha", "--set", "scheduler.min_resource=3")
    command = study.command("--workers", "4", *rungs)
    process = study.start(command)
    killed, drained = tmp_path / "until killed", tmp_path / "until drained"
    study.until(lambda: killed.exists() and killed.read_text().endswith("\n"), process)
    os.kill(int(killed.read_text()), signal.SIGKILL)
    study.until(drained.exists, process)
    process.send_signal(signal.SIGTERM)
    done = finish(process)
    assert (done.returncode, study.left()) == (75, []), done.stderr
    suspended = next(each for each in study.decided(Suspension) if each.saved == HELD_AT)
    done = study.run(command)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    (lost,) = study.decided(Failure)
    assert went_on(study, lost.attempt) == 3, "the rung below"
    assert went_on(study, suspended.attempt) == HELD_AT

    calm = undisturbed(tmp_path / "calm")
    curves = {(it.trial, epoch): metrics for it, epoch, metrics in points(calm)}
    assert len(curves) == 5 * 9
    for attempt, epoch, metrics in points(study):
        assert metrics == curves[attempt.trial, epoch]
    ended, calmly_ended = checkpoints(study), checkpoints(calm)
    assert ended.keys() >= {lost.attempt.trial, suspended.attempt.trial}
    assert ended == {trial: calmly_ended[trial] for trial in ended}


@needs_torch
@pytest.mark.mpi
def test_the_study_runs_under_mpirun(tmp_path: Path) -> None:
    small = ("stop.max_trials=3", "scheduler.max_resource=3", "space.channels.high=9")
    study = Study(tmp_path)
    study.file = SPACES / "convnet.toml"
    done = study.run(study.mpirun(3, *(word for each in small for word in ("--set", each))))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert "convnet: complete; 3 trials" in done.stdout
    assert "given up" not in done.stdout
