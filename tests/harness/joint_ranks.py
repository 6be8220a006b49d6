"""Train in ranks that mpirun has started, without hpmpi: FOLDER STOP ATTEMPT [DIES].

Each rank has a folder of its own for each training, FOLDER/NAME/RANK, as if it had a trial alone;
what counts is what rank 0 saves. Rank 1 kills itself once it is at DIES.
"""

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from mpi4py import MPI

from hpmpi.model.messages import Assign, Point
from hpmpi.model.trial import AttemptId, Config
from hpmpi.trainables import data_parallel, federated
from hpmpi.trainables.joint import Joint
from hpmpi.trainables.members import members_of
from hpmpi.worker.handle import Trial, open_trial
from tests.harness.build import never
from tests.harness.drive import welcome

TRAININGS: dict[str, tuple[Joint, Config]] = {
    "federated": (federated.train, {"clients": 7, "share": 0.7, "hidden": 16, "deal": "shards"}),
    "data_parallel": (data_parallel.train, {"batch_size": 100, "hidden": 16, "decay": 0.9}),
}


def main() -> None:
    """Do all trainings, one after the other."""
    folder, stop, attempt, *dies = Path(sys.argv[1]), *map(int, sys.argv[2:])
    world = MPI.COMM_WORLD
    members = members_of(cast("Trial", SimpleNamespace(size=world.size)))

    def publish(point: Point) -> None:
        if world.rank == 1 and point.resource in dies:
            os.kill(os.getpid(), signal.SIGKILL)

    for name, (model, config) in TRAININGS.items():
        told = welcome(folder / name / str(world.rank), args={"dataset": "digits"})
        order = Assign(AttemptId(7, 0, attempt), stop, config, seed=7)
        trial, _ = open_trial(told, order, publish, never)
        model.train(config, trial, members)


if __name__ == "__main__":
    main()
