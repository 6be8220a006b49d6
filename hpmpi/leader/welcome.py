"""What each rank is told first: all that it must know of the study."""

from pathlib import Path

import msgspec

from hpmpi.master.roster import beat_s
from hpmpi.model.messages import Welcome
from hpmpi.study.settings import Settings
from hpmpi.study.space_table import make_space


def welcome_to(study: Settings, origin: Path, folder: Path, start: str, ranks: int) -> Welcome:
    """Take from a study what a rank must know; `origin` is the study file's folder.

    `folder` is that of the run, and `start` names this start of it, on so many `ranks`.
    """
    limits = study.limits
    return Welcome(
        objective=study.objective,
        origin=str(origin),
        metric=study.metric,
        folder=str(folder.absolute()),
        args=study.objective_args,
        start=start,
        patience_s=limits.patience_s,
        beat_s=beat_s(ranks, limits.patience_s),
        keep_all=study.run.keep == "all",
        time_s=limits.trial_time_s,
        memory_mb=limits.trial_memory_mb,
        gpus_per_trial=study.run.gpus_per_trial,
        isolated=study.run.isolation == "process",
        own_folder=study.run.folder == "own",
        examples=space.examples() if (space := make_space(study.space, [])) else (),
        source=msgspec.to_builtins(study.data),
    )
