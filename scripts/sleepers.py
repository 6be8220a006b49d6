"""Objectives that take their time and cost no core, for the other bench scripts."""

import os
import time
from pathlib import Path
from random import Random

from hpmpi.worker.handle import Trial

UNIT_S = 5e-3
MEAN_S = 50e-3


def expected(trial: int) -> float:
    """Tell how long a trial of the list sleeps, in seconds."""
    return Random(f"sleep/{trial}").expovariate(1 / MEAN_S)  # noqa: S311 - not for secrets


def loss(trial: int, resource: int) -> float:
    """Tell the loss of a trial: a fixed curve each, which cross each other here and there."""
    draw = Random(f"curve/{trial}")  # noqa: S311 - not for secrets
    return draw.random() + draw.random() / resource


def listed(_config: object, trial: Trial) -> dict[str, float]:
    """Sleep as long as this trial is due to."""
    return {"loss": 0.0, **slept(expected(trial.number))}


def climbing(_config: object, trial: Trial) -> dict[str, float]:
    """Sleep for the resource that is new; what is saved is that it is spent."""
    units = trial.stop - trial.start
    took = slept(units * UNIT_S)
    with trial.checkpoint(trial.stop):
        pass
    return {"loss": loss(trial.number, trial.stop), "units": units, **took}


def lasting(_config: object, trial: Trial) -> float:
    """Sleep for as long as the study says."""
    time.sleep(float(str(trial.args["s"])))
    return 0.0


def napping(_config: object, trial: Trial) -> dict[str, float]:
    """Sleep, and tell when."""
    began_at = time.monotonic()
    time.sleep(float(str(trial.args["s"])))
    return {"loss": 0.0, "began_at": began_at, "ended_at": time.monotonic()}


def counted(_config: object, trial: Trial) -> dict[str, float]:
    """Compute, and tell when."""
    began_at, ended_at = computing(int(str(trial.args["loops"])))
    return {"loss": 0.0, "began_at": began_at, "ended_at": ended_at}


def computing(loops: int) -> tuple[float, float]:
    """Keep a core busy; return when that began and ended."""
    began_at = time.monotonic()
    for _ in range(loops):
        pass
    return began_at, time.monotonic()


def slept(for_s: float) -> dict[str, float]:
    """Sleep, and tell for how long it was: it is no fault of ours if a clock is slow to wake."""
    began_at = time.perf_counter()
    time.sleep(for_s)
    return {"took_s": time.perf_counter() - began_at}


def resting(_config: object, trial: Trial) -> float:
    """Say who this is, in a folder, and sleep."""
    (Path(str(trial.args["folder"])) / str(os.getpid())).touch()
    time.sleep(1000)
    return 0.0
