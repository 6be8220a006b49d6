"""Searchers: which configuration next? One algorithm a file, found by name.

A searcher is a class whose constructor takes `space`, `seed`, `first` and, as keywords with types,
the settings of its `[searcher]` table; it raises SettingsError where they do not go together. It is
pure: no clock, no file, no global randomness, and the same calls in the same order give the same
answers. `Searcher` has its methods. One that learns from learning curves has another,
`observe(trial, points)`: the points that were reported of a trial since the last call, as pairs of
a resource and metrics; `tell` comes after the last of them.

One that learns from earlier runs has `learn(config, rung, resource, loss, metrics)`. Where a study
names such in `[searcher] learn_from`, it is called before all else, once for each result that they
have in common with it; and again, with the same in the same order, at each start that goes on, as
these are in the journal. The configuration is whole, and one of this study's space. `resource` is
what was trained to, whether or not that is a rung here; `rung` is the highest one that this comes
to, of those known at a start, and -1 where it comes to none. `loss` is by this study's metric and
mode, less is better, None for what was no number; the metrics are those that are numbers. A
configuration may come several times, at different resources. None of it is a trial.

Where its constructor names them, it is given `rungs`, a tuple of the resources of the scheduler's
rungs, lowest first, as far as they are known at a start; `ranks`, on how many worker ranks the
study starts; and `goal`, the metrics that are studied (hpmpi.model.trial.Goal). None is a setting.
Of several metrics, `loss` is that of the first, and there is none where any of them is no number;
`goal.losses(metrics)` are all of them, each turned so that less is better. `ranks` may be another
at the next start, and is 1 where nothing is started: a study is checked by making its searcher
once.

Nothing of it is stored. A start that goes on with a run builds it anew, and tells it what was:
`adopt` stands for each `ask` that had a configuration, `tell` and `observe` for themselves, in
order.

One of the user's, and one of ours with an attribute `thinks` that is true, has a process of its
own, so that rank 0 hears and records while it thinks. What it has not thought of yet comes LATER:
rank 0 does what else there is to do, and asks again. Beside a scheduler of the user's, which may
know nothing of LATER, it thinks in rank 0, and all wait for it. One that says LATER itself is asked
again when it was told or shown something; somebody must be in work then.

One of the user's, and one of ours with an attribute `learns` that is true, is asked only when a
rank is idle; others are asked earlier, too, where jobs are short ([run] short_s).

One with an attribute `works_ahead` that is true is asked for several ahead, up to a quarter of the
worker ranks. Where one of these is more than that many results behind when it is due, or would be,
that trial is asked for again: what was suggested for it, and for those after it, is forgotten then.
Others are asked for one ahead, and never again.

One that comes to an end may say so beforehand, by an attribute `size: int`: how many configurations
it gives in all. A study has no more trials than that, and one without `[stop]` runs until it has
given them, unless an attribute `exhaustive` is false: then 100 will do. Where it takes
`candidates`, a study may name a file that has them.

A configuration has what is active in it and nothing else, and fulfils the constraints: `space.at`
sees to the one, `space.holds` tells the other, and `space.draw` does both (hpmpi.model.space).

What it suggests is brought into the types of the space: numpy's numbers, tuples for lists, and
tables in tables for names with dots are welcome. What is not in the space ends the run. So does
None, which is what a forgotten `return` gives: OVER says that there is no other configuration.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, Protocol

from hpmpi.errors import SpaceError
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Metrics


class Later(Enum):
    """An answer that is still thought about."""

    LATER = "later"


class Over(Enum):
    """The answer that there is no other configuration."""

    OVER = "over"


LATER: Final = Later.LATER
OVER: Final = Over.OVER


class Searcher(Protocol):
    """Choose configurations, and learn from what became of them."""

    def ask(self, trial: int) -> Config | Later | Over:
        """Choose the configuration of a trial, the next by number.

        LATER: there is none before more results are told; OVER: there is no other.
        """

    def adopt(self, trial: int, config: Config) -> None:
        """Have chosen this configuration for a trial, whatever `ask` would say."""

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn that a trial reached a loss with a resource.

        There is no loss where it failed until it was given up, or came to what is no number.
        """


class Checked:
    """A searcher by its method, whose suggestions are brought into the space."""

    def __init__(self, searcher: Searcher, space: Space, method: str) -> None:
        """Take any searcher, of ours or the user's."""
        self._searcher = searcher
        self._space = space
        self._method = method
        self.adopt = searcher.adopt
        self.tell = searcher.tell
        self._observe = getattr(searcher, "observe", None)
        self._learn = getattr(searcher, "learn", None)

    @property
    def size(self) -> object:
        """How many configurations it says that it gives."""
        return getattr(self._searcher, "size", None)

    @property
    def exhaustive(self) -> bool:
        """Whether it is to give them all."""
        return bool(getattr(self._searcher, "exhaustive", True))

    def learn(
        self, config: Config, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn a result of another study, if it learns from such."""
        if self._learn is not None:
            self._learn(config, rung, resource, loss, metrics)

    def observe(self, trial: int, points: Sequence[tuple[int, Metrics]]) -> None:
        """Show points of a trial's learning curve, if it learns from such."""
        if self._observe is not None:
            self._observe(trial, points)

    def ask(self, trial: int) -> Config | Later | Over:
        """Choose a configuration; raises SpaceError for a suggestion that is none of the space."""
        suggestion = self._searcher.ask(trial)
        if isinstance(suggestion, Later | Over):
            return suggestion
        said = f"searcher.method = {self._method!r} suggested what can't be tried"
        if suggestion is None:
            raise SpaceError(f"{said}: None; where there is no other, return {__name__}.OVER")
        if not isinstance(suggestion, Mapping):
            raise SpaceError(f"{said}: {suggestion!r} is no configuration, as a dictionary is")
        try:
            return self._space.whole(suggestion)
        except SpaceError as error:
            raise SpaceError(f"{said}: {error}") from error
