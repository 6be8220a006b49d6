"""Other people's searchers as ours: in `optuna:TPESampler`, `optuna` is an adapter here.

An adapter is a module with a function `adapted(name, load)`, which gives a class of searchers, as
`hpmpi.master.searchers` has it, for what stands behind the colon, and raises SettingsError where
there is no such thing; `load` imports what an import path names. The library is imported then, and
by its adapter alone. Settings are the keywords of the class that is adapted, as far as a study file
can say them; the others keep their defaults.

What was suggested before, or breaks a constraint, is asked for again, a few times; then a random
configuration is suggested, which the other searcher is told of as if it had come from it. A restart
has it suggest again what it suggested, so that it goes on with the same random numbers: that costs
what it cost then. It is where it was if all comes out as it was, and knows what was if it does not.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from inspect import Parameter, Signature, formatannotation, signature
from operator import or_
from typing import Any, ClassVar

from hpmpi.errors import SettingsError
from hpmpi.master.proposals import Proposer
from hpmpi.master.searchers import LATER, Later
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Goal, Metrics

Load = Callable[[str], Any]

ONE_METRIC = (
    "searcher.method: other people's searchers are told of one metric; for several there are "
    "random, grid, list, sobol, evolution and gp"
)

TRIES = 16
"""How often one is asked for a configuration that may be tried."""

SAYABLE: dict[str, Any] = {
    "None": None,
    "bool": bool,
    "dict[str, Any]": dict[str, Any],
    "float": float,
    "int": int,
    "str": str,
}
"""The types of what a study file can say."""


class Adapted(Proposer):
    """Suggest what another searcher does; those of `first` come first."""

    kind: ClassVar[Callable[..., Any]]
    """The class that is adapted."""

    def __init__(
        self,
        space: Space,
        seed: int,
        first: list[Config],
        *,
        rungs: tuple[int, ...] = (),
        goal: Goal | None = None,
        **settings: Any,
    ) -> None:
        """Start it, with its own `settings`; raises SettingsError where there are several metrics.

        It raises itself where it can't do with such a space, or such settings.
        """
        if goal is not None and goal.others:
            raise SettingsError([ONE_METRIC])
        super().__init__(space, seed, first)
        self._first = len(first)
        self._top = len(rungs) - 1
        self._asked: tuple[Config, Any] | None = None
        self._begun: dict[int, Any] = {}
        self._start(settings)

    def adopt(self, trial: int, config: Config) -> None:
        """Have the other searcher know of a trial, and have been asked for it."""
        if self._asked is None:
            self._proposal(trial)
        super().adopt(trial, config)
        (proposal, theirs), self._asked = self._asked or (None, None), None
        if proposal is not None and proposal != config:
            self._drop(theirs)
        self._begun[trial] = theirs if proposal == config else self._given_by_us(config)

    def learn(
        self, config: Config, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn a result of another study, as that of a trial before the first."""
        if rung < 0:  # it was trained for less than any trial is
            return
        trial = self._number(config)
        if trial not in self._begun:
            self._begun[trial] = self._given_by_us(config)
        self.tell(trial, rung, resource, loss, metrics)

    def _proposal(self, trial: int) -> Config | Later | None:
        """Ask, but for those that are first; None where nothing that comes may be tried."""
        if trial < self._first:
            return None
        for _ in range(TRIES):
            asked = self._suggest()
            if asked is None:
                return LATER
            if self._is_new(asked[0]):
                self._asked = asked
                return asked[0]
            self._drop(asked[1])
        return None

    def _start(self, settings: dict[str, Any]) -> None:
        """Make one of its `kind`."""
        raise NotImplementedError

    def _suggest(self) -> tuple[Config, Any] | None:
        """Ask for a configuration, and what the other searcher has for it; None for none yet."""
        raise NotImplementedError

    def _given_by_us(self, config: Config) -> Any:
        """Tell it of a configuration that is not its own; return what it has for that."""
        raise NotImplementedError

    def _drop(self, theirs: Any) -> None:
        """Tell it that what it suggested comes to nothing."""
        raise NotImplementedError


def settings_of(kind: Callable[..., Any], others: Sequence[str]) -> list[Parameter]:
    """List the parameters of a class that a study file can say, as keywords."""
    parameters = signature(kind).parameters.values()
    return [
        it.replace(kind=it.KEYWORD_ONLY)
        for it in parameters
        if it.kind in (it.KEYWORD_ONLY, it.POSITIONAL_OR_KEYWORD)
        and it.name not in others
        and type_of(it) is not None
    ]


def type_of(parameter: Parameter) -> Any:
    """Tell the type of a parameter, which may be anything; None where no file can say it."""
    said = parameter.annotation
    if said is parameter.empty:
        return Any
    words = (said if isinstance(said, str) else formatannotation(said)).split(" | ")
    return reduce(or_, map(SAYABLE.get, words)) if SAYABLE.keys() >= set(words) else None


def adapt(adapted: type[Adapted], kind: Callable[..., Any], settings: list[Parameter]) -> Any:
    """Make the class of searchers that adapts a class, and that has its settings."""
    own = [it for it in signature(adapted).parameters.values() if it.kind is not it.VAR_KEYWORD]

    def init(self: Adapted, *given: Any, **keywords: Any) -> None:
        adapted.__init__(self, *given, **keywords)

    init.__annotations__ = {it.name: type_of(it) for it in settings}
    attributes = {"kind": kind, "__init__": init, "__signature__": Signature([*own, *settings])}
    return type(adapted.__name__, (adapted,), attributes)
