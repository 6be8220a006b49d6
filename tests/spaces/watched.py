"""The objective of spaces/torch/with_hpmpi.py, that also says what was drawn, and can be held up.

Beside the metrics it reports, as a number, in which order the data came in an epoch, and how all
generators of random numbers stand. Some hyperparameters are not the script's:

    without     a part that is not read from a checkpoint, or `seed_all`
    amp         bfloat16 where PyTorch's autocast has it

Where `[objective_args]` name a `folder`, the first attempt that comes to epoch 5 stays there until
its rank is killed, and the next until the run drains.
"""

import hashlib
import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import with_hpmpi

HELD_AT = 5

indices: list[int] = []
"""The order of the data in this epoch, as far as it is drawn in this process."""

load, seed_all, built = with_hpmpi.load, with_hpmpi.seed_all, with_hpmpi.build


class Watched(with_hpmpi.Varied):  # type: ignore[misc]  # the script's are not checked
    """The script's data, that remember what was asked for."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Return an image and its label."""
        indices.append(index)
        item: tuple[Any, Any] = super().__getitem__(index)
        return item


class WatchedTrial:
    """A trial, that reports more."""

    def __init__(self, trial: Any, folder: Path | None) -> None:
        """Watch a trial."""
        self._trial = trial
        self._folder = folder

    def __getattr__(self, name: str) -> Any:
        """Have all that the trial has."""
        return getattr(self._trial, name)

    def report(self, epoch: int, **metrics: object) -> None:
        """Report what was drawn, too."""
        self._trial.report(epoch, drawn=drawn(), **metrics)
        indices.clear()
        if epoch == HELD_AT and self._folder is not None:
            self._hold(self._folder)

    def _hold(self, folder: Path) -> None:
        if first_here(folder / "until killed"):
            while True:
                time.sleep(1)
        if first_here(folder / "until drained"):
            while not self._trial.drains():
                time.sleep(0.01)


def first_here(file: Path) -> bool:
    """Be the first who writes a file: with the process of the rank."""
    try:
        with file.open("x") as opened:
            opened.write(f"{os.getppid()}\n")
    except FileExistsError:
        return False
    return True


def seed_once(seed: int, epoch: int) -> None:
    """Seed as most scripts do: when they begin."""
    if epoch == 0:
        seed_all(seed, epoch)


def build(args: Any, *, amp: bool) -> Any:
    """Make what is trained; autocast is around each forward pass, as it remembers the weights."""
    parts = built(args)
    if amp:
        parts["model"].forward = torch.autocast("cpu", torch.bfloat16)(parts["model"].forward)
    return parts


def drawn() -> int:
    """Digest the order of the data, and all generators."""
    states = (random.getstate(), np.random.get_state(), torch.get_rng_state().tolist())  # noqa: NPY002
    with np.printoptions(threshold=10_000):
        digest = hashlib.sha256(repr((indices, states)).encode()).digest()
    return int.from_bytes(digest[:6], "big")


def train(config: dict[str, Any], trial: Any) -> Any:
    """Train as the script does."""
    without, amp = config.pop("without", ""), config.pop("amp", False)
    folder = trial.args.pop("folder", None)
    indices.clear()
    with_hpmpi.Varied = Watched
    with_hpmpi.seed_all = seed_once if without == "seed_all" else seed_all
    with_hpmpi.load = lambda path, parts: load(
        path, {name: part for name, part in parts.items() if name != without}
    )
    with_hpmpi.build = lambda args: build(args, amp=amp)
    return with_hpmpi.train(config, WatchedTrial(trial, folder and Path(folder)))
