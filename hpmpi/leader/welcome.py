"""What each rank is told first: all that it must know of the study."""

from pathlib import Path

import msgspec

from hpmpi.master.roster import beat_s
from hpmpi.model.messages import Welcome
from hpmpi.study.command import PROGRAM
from hpmpi.study.methods import max_resource_of, space_of
from hpmpi.study.settings import Settings


def welcome_to(study: Settings, origin: Path, folder: Path, start: str, ranks: int) -> Welcome:
    """Take from a study what a rank must know; `origin` is the study file's folder.

    `folder` is that of the run, and `start` names this start of it, on so many `ranks`.
    """
    limits, space = study.limits, space_of(study)
    return Welcome(
        objective=study.objective or PROGRAM,
        origin=str(origin),
        metric=study.metric,
        folder=str(folder.absolute()),
        args=args_of(study),
        start=start,
        patience_s=limits.patience_s,
        beat_s=beat_s(ranks, limits.patience_s),
        keep_all=study.run.keep == "all",
        time_s=limits.trial_time_s,
        memory_mb=limits.trial_memory_mb,
        gpus_per_trial=study.run.gpus_per_trial,
        isolated=study.run.isolation == "process",
        # What has begun MPI, as an import does, can't be forked; and a world is its process's own.
        forks=study.run.start == "fork" and study.command is None and study.run.world != "mpi",
        own_folder=study.run.folder == "own",
        examples=space.examples(),
        source=msgspec.to_builtins(study.data),
        baseline=study.baseline,
        hyperparameters={name: name not in space.conditions for name in space.dimensions},
        max_resource=max_resource_of(study),
        world=study.run.world or "none",
    )


def args_of(study: Settings) -> dict[str, object]:
    """Say what an objective is handed: of a program's, its words as well."""
    if study.command is None:
        return study.objective_args
    return {**study.objective_args, "command": study.command, "resume": study.resume}
