"""A study whose trials take several ranks, in each of the worlds; its members may be killed."""

import importlib.util
import json
from pathlib import Path

import pytest

from tests.harness.runs import IS_OPEN_MPI, Study

has_torch = importlib.util.find_spec("torch") is not None

WORLDS = [
    "none",
    pytest.param("mpi", marks=pytest.mark.skipif(IS_OPEN_MPI, reason="MPICH's wire")),
    pytest.param("torch", marks=pytest.mark.skipif(not has_torch, reason="no torch")),
]

OBJECTIVE = """
import os, signal, time
from contextlib import contextmanager
from pathlib import Path

@contextmanager
def none(trial):
    yield lambda number: number * trial.size

@contextmanager
def mpi(trial):
    from mpi4py import MPI
    assert (MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size) == (trial.index, trial.size)
    yield MPI.COMM_WORLD.allreduce

@contextmanager
def torch(trial):
    import torch
    from torch import distributed
    distributed.init_process_group("gloo")
    def allreduce(number):
        tensor = torch.tensor([number])
        distributed.all_reduce(tensor)
        return tensor.item()
    yield allreduce
    distributed.destroy_process_group()

def train(config, trial):
    killed = Path(trial.args["marks"], str(trial.number))
    assert len(trial.hosts) == trial.size
    with globals()[trial.args["world"]](trial) as allreduce:
        for epoch in range(trial.start, trial.stop):
            time.sleep(trial.args["epoch_s"])
            victim = trial.number % trial.size
            if trial.args["kills"] and epoch == 2 and trial.index == victim and not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            assert allreduce(1) == trial.size
            trial.report(epoch + 1, loss=config["x"])
            if trial.should_save(epoch + 1) or epoch == 1:
                with trial.checkpoint(epoch + 1) as folder:
                    (folder / "epoch").write_text(str(epoch + 1))
    return config["x"] if trial.index == 0 else None
"""


def study_of_groups(folder: Path, world: str, *, kills: bool, epoch_s: float = 0.01) -> Study:
    """Write a study whose trials grow: one rank, then two, then three."""
    study = Study(folder)
    (folder / "train.py").write_text(OBJECTIVE)
    (folder / "marks").mkdir()
    text = study.file.read_text().replace("max_resource = 9", "max_resource = 4\neta = 2")
    head, _, _ = text.partition("[run]")
    run = f'[run]\nranks_per_trial = [1, 2, 3]\nworld = "{world}"\n'
    args = {"marks": str(folder / "marks"), "world": world, "kills": kills, "epoch_s": epoch_s}
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in args.items())
    study.file.write_text(f"{head}{run}[objective_args]\n{lines}")
    return study
