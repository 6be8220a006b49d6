"""What came of a run, from its folder: finished or not, read once and changed by nobody."""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from hpmpi.api import folders
from hpmpi.errors import StoreError
from hpmpi.history.progress import share_done
from hpmpi.history.tables import TABLES
from hpmpi.master.seeds import seed_of
from hpmpi.model.trial import Config, Metrics
from hpmpi.study.settings import Settings
from hpmpi.views import run_view, show
from hpmpi.views.frames import frame_of
from hpmpi.views.run_view import Summary
from hpmpi.worker import checkpoints


class Best(NamedTuple):
    """The best trial at the highest rung reached, trained with `resource`.

    `config` is what the objective was given, and `seed` its trial.seed; `checkpoint` is the folder
    of the trial's newest checkpoint, or None where it has saved none.
    """

    trial: int
    config: Config
    metrics: Metrics
    resource: int
    checkpoint: Path | None
    seed: int


class Results:
    """What a run has come to; `run` and `load` return one.

    Tables are pandas DataFrames, with the columns that `run.h5` has: text is text, and what a trial
    does not have is missing.
    """

    def __init__(self, folder: Path, summary: Summary) -> None:
        """Have what was read of a folder."""
        self.folder = folder
        self._summary = summary
        self._history = summary.history

    @property
    def state(self) -> str:
        """How the run stands: complete, drained, running, interrupted, failed, ..."""
        return show.state(self._summary)

    @property
    def share_done(self) -> float:
        """How much of the study is done, from 0 to 1; 0 where nothing limits it."""
        return share_done(self._history, self._summary.at) or 0.0

    @property
    def study(self) -> Settings:
        """The study as it ran last, defaults included."""
        return self._summary.study

    @property
    def notes(self) -> list[str]:
        """What was said of the data and the study."""
        return list(self._history.notes)

    @property
    def best(self) -> Best:
        """The best trial; raises StoreError where none has succeeded."""
        found = self._history.incumbent
        if found is None:
            raise StoreError(f"no trial of {self.study.name} has succeeded: there is no best one")
        checkpoint = checkpoints.newest(self.folder, found.trial)
        seed = seed_of(self.study.seed, found.trial)
        return Best(found.trial, found.config, found.metrics, found.resource, checkpoint, seed)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """All trials, best first: place, trial, status, metrics, hyperparameters, last error."""
        return self._table("trials")

    @cached_property
    def results(self) -> pd.DataFrame:
        """The results of all rungs, as they came in; times in seconds since the study began."""
        return self._table("results")

    @cached_property
    def curves(self) -> pd.DataFrame:
        """The points that objectives have reported, by trial and resource."""
        return self._table("curves")

    @cached_property
    def failures(self) -> pd.DataFrame:
        """The attempts that came to nothing, and why."""
        return self._table("failures")

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """The ranks: host, jobs, seconds busy, times lost."""
        return self._table("ranks")

    def _table(self, name: str) -> pd.DataFrame:
        return frame_of(TABLES[name](self._history))

    def __repr__(self) -> str:
        """Say what `hpmpi show` does."""
        return show.text(self._summary, top=10)


def load(folder: str | Path) -> Results:
    """Read what a run has come to, finished or not, and disturb nothing.

    Raises StoreError where `folder` is none of a run.
    """
    found = folders.run_at(Path(folder))
    return Results(found.absolute(), run_view.look(found))
