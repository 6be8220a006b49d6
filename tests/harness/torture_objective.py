"""The objective of scripts/torture.py: mostly honest, and else all that an objective can be.

What an attempt does follows from its trial's seed and from how often the job was tried. A model is
the number of epochs that it was trained for. A checkpoint that is not what it should be raises an
error that has OURS in it: those are never in a good journal.
"""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from hpmpi.model.trial import Config
from hpmpi.worker.handle import Trial

ETA = 3
OURS = "a fault of hpmpi:"


def train(config: Config, trial: Trial) -> dict[str, float]:
    """Train a model, epoch by epoch, if nothing comes between."""
    trained = load(trial)
    dice = Random(f"{trial.seed} {trial.stop} {tries(trial)}")  # noqa: S311 - no secret
    trouble = dice.choices(list(TROUBLES), [weight for weight, _ in TROUBLES.values()])[0]
    trouble_at = trial.start + int(dice.random() * (trial.stop - trial.start))
    for epoch in range(trial.start, trial.stop):
        time.sleep(0.01)
        trained += 1
        if epoch == trouble_at:
            TROUBLES[trouble][1](trial)
        if dice.random() < 0.1:
            trial.report(epoch + 1, loss=loss(config, trained))
        if trial.should_save(epoch + 1) or (dice.random() < 0.1 and trial.size == 1):
            with trial.checkpoint(epoch + 1) as folder:
                save(folder, trained)
    wild = float("nan") if trouble == "return NaN" else loss(config, trained)
    return {"loss": wild, "trained": trained}


def loss(config: Config, trained: int) -> float:
    """Grow better with time."""
    return float(config["x"]) + 1 / trained


def load(trial: Trial) -> int:
    """Take the model from the checkpoint; a promoted trial must have one."""
    below = trial.stop // ETA
    if trial.start < below:
        raise AssertionError(f"{OURS} starts at {trial.start}, and {below} was reached before")
    if trial.previous is None or trial.index:  # the first may be done with it by now
        return trial.start
    parts = [int((trial.previous / name).read_text()) for name in ("first", "second")]
    if parts != [trial.start, trial.start]:
        raise AssertionError(f"{OURS} starts at {trial.start}, and {parts} is in the checkpoint")
    return trial.start


def save(folder: Path, trained: int) -> None:
    """Write a model that takes a moment to be whole."""
    (folder / "first").write_text(str(trained))
    time.sleep(0.002)
    (folder / "second").write_text(str(trained))


def tries(trial: Trial) -> int:
    """Count the attempts at this job, this one included."""
    name = f"{trial.number}-{trial.stop}.{trial.index}"
    with (Path(str(trial.args["tries"])) / name).open("ab") as file:
        file.write(b".")
        return file.tell()


# -- troubles --------------------------------------------------------------------------------------


def nothing(_trial: Trial) -> None:
    """Go on."""


def fail(trial: Trial) -> None:
    """Raise, sometimes with the same words."""
    raise ValueError(f"as told, at {trial.stop if trial.number % 2 else time.time()}")


def segfault(_trial: Trial) -> None:
    """Read where nothing is."""
    ctypes.string_at(0)


def leave(_trial: Trial) -> None:
    """Take the process along."""
    os._exit(3)


def run_over(trial: Trial) -> None:
    """Run for longer than allowed; every other time without heeding TERM."""
    if trial.number % 2:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(1000)


def leave_daemon(trial: Trial) -> None:
    """Leave a process behind that belongs to nobody, and go on."""
    forked = os.fork()
    if forked:
        os.waitpid(forked, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.execvp("tail", ["tail", "-f", str(trial.args["study"])])  # noqa: S606


TROUBLES: dict[str, tuple[int, Callable[[Trial], None]]] = {
    "no trouble": (880, nothing),
    "raise": (30, fail),
    "segfault": (15, segfault),
    "leave": (15, leave),
    "run over its time": (8, run_over),
    "return NaN": (30, nothing),
    "leave a daemon": (15, leave_daemon),
}
"""What an attempt may do, with how often of 1,000 or so."""
