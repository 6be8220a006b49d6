"""Successive halving by real ranks in groups, which train data-parallel and may grow.

mpirun -n W python scripts/grouped_ranks.py MODEL HIDDEN TRIALS REPETITIONS

All layouts train the same configurations: half of the trials go on to each rung, of twice the
epochs. Rank 0 writes a line of JSON: by layout, the seconds of each repetition until the best trial
is known; the layouts take turns.
"""

import json
import sys
from pathlib import Path

from mpi4py import MPI

sys.path.insert(0, str(Path(__file__).parents[1]))

from hpmpi.model.trial import Config
from hpmpi.trainables.data_parallel import train
from hpmpi.trainables.given import Given
from hpmpi.trainables.joint import JointState, Setting, begun

RUNGS = (1, 2, 4)
"""Epochs; eta is 2."""

WORLD = MPI.COMM_WORLD


def layouts() -> dict[str, list[int]]:
    """Say how many ranks a trial has at each rung."""
    sizes = [size for size in (1, 2, 4) if WORLD.size % size == 0]
    fixed = {f"{WORLD.size // size} x {size}": [size] * len(RUNGS) for size in sizes}
    return fixed | {"grown": [min(2**rung, WORLD.size) for rung in range(len(RUNGS))]}


def halved(args: dict[str, object], configs: list[Config], sizes: list[int]) -> int:
    """Find the best of the configurations; return its number."""
    states: dict[int, JointState] = {}
    left = [*range(len(configs))]
    for resource, size in zip(RUNGS, sizes, strict=True):
        group, groups = WORLD.rank // size, WORLD.size // size
        members = WORLD.Split(group)
        mine = {}
        for trial in left[group::groups]:
            given = Given(args, Path(), None, seed=trial)
            setting = train.setting(args, configs[trial], given, members)
            mine[trial] = trained(setting, states.get(trial) or begun(setting, trial), resource)
        members.Free()
        states = {trial: it for each in WORLD.allgather(mine) for trial, it in each.items()}
        left = sorted(states, key=lambda trial: -states[trial].accuracy)[: max(len(left) // 2, 1)]
    return left[0]


def trained(setting: Setting, state: JointState, stop: int) -> JointState:
    """Train up to so many epochs."""
    while state.resource < stop:
        state = train.step(setting, state)
    return state


def main() -> None:
    """Measure."""
    model, hidden, trials, repetitions = sys.argv[1], *map(int, sys.argv[2:])
    args: dict[str, object] = {"model": model, "hidden": hidden, "batch_size": 128}
    configs: list[Config] = [{"learning_rate": 0.02 * 1.5**number} for number in range(trials)]
    halved(args, configs[:1], [WORLD.size] * len(RUNGS))  # so that all is loaded
    took: dict[str, list[float]] = {name: [] for name in layouts()}
    best = set()
    for _ in range(repetitions):
        for name, sizes in layouts().items():
            WORLD.Barrier()
            began_s = MPI.Wtime()
            best.add(halved(args, configs, sizes))
            WORLD.Barrier()
            took[name].append(MPI.Wtime() - began_s)
    assert len(best) == 1, "the layouts train the same"
    if WORLD.rank == 0:
        print(json.dumps(took))


if __name__ == "__main__":
    main()
