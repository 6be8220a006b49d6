"""What of an earlier run a study can learn: its results, where the two have enough in common.

Rules:

- Each hyperparameter of the study must have been one of the same type there, and have a value that
  is in the space now. What else was tuned there is left away.
- A result must have the metrics that are studied now.
- Results of all rungs count, in the order in which they came in; what failed, or was stopped, has
  none. The baseline is no trial, and not learnt from.
"""

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

from hpmpi.errors import SpaceError
from hpmpi.history.attempts import Attempt, Fate
from hpmpi.history.history import History
from hpmpi.model.events import Observation
from hpmpi.model.space import Space
from hpmpi.model.trial import WORST, Config, Goal
from hpmpi.study.space_table import make_space


class Lessons(msgspec.Struct):
    """What can be learnt from a run; how many results can't, by why; and what was left away."""

    observations: list[Observation]
    left_out: Counter[str]
    left_away: list[str]


def lessons(history: History, space: Space, goal: Goal, rungs: Sequence[int]) -> Lessons:
    """Take from a run what a study can learn that has this space, goal, and these rungs."""
    before = make_space(history.study.space, []) or Space({})
    unlike = difference(space, before)
    learnt = Lessons([], Counter(), [it for it in before.dimensions if it not in space.dimensions])
    for attempt in history.answers:
        if attempt.fate is not Fate.RESULT:
            continue
        config = unlike or shared(space, history.trials[attempt.id.trial].config)
        lacking = [name for name in goal.names if name not in attempt.metrics]
        if not isinstance(config, str) and lacking:
            config = f"there is no {lacking[0]} in it"
        if isinstance(config, str):
            learnt.left_out[config] += 1
        else:
            learnt.observations.append(observation(attempt, config, goal, rungs))
    return learnt


def difference(space: Space, before: Space) -> str:
    """Say what keeps all results of a run from being ones of a space, if so."""
    for name, dimension in space.dimensions.items():
        there = before.dimensions.get(name)
        if there is None:
            return f"{name} was not tuned there"
        if type(there) is not type(dimension):
            kinds = type(there).__name__.lower(), type(dimension).__name__.lower()
            return f"{name} was of type {kinds[0]} there, and is of type {kinds[1]}"
    return ""


def shared(space: Space, config: Config) -> Config | str:
    """Bring a configuration into a space that has no more dimensions; or say why it is not in it.

    >>> from hpmpi.model.dimensions import Int
    >>> space = Space({"layers": Int(1, 4)})
    >>> shared(space, {"layers": 2, "units": 9}), shared(space, {"layers": 5, "units": 9})
    ({'layers': 2}, 'layers is out of its range')
    """
    known = {name: value for name, value in config.items() if name in space.dimensions}
    for name, value in known.items():
        try:
            space.dimensions[name].fit(value)
        except SpaceError:
            return f"{name} is out of its range"
    try:
        return space.whole(known)
    except SpaceError as error:
        return str(error)


def observation(attempt: Attempt, config: Config, goal: Goal, rungs: Sequence[int]) -> Observation:
    """Take a result as one of a study that has other rungs, maybe."""
    loss = goal.loss(attempt.metrics)
    metrics = {name: value for name, value in attempt.metrics.items() if math.isfinite(value)}
    rung = sum(known <= attempt.resource for known in rungs) - 1
    return Observation(config, rung, attempt.resource, None if loss == WORST else loss, metrics)
