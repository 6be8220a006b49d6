"""What the searcher has suggested: facts, which are noted, and never asked for again.

A scheduler is given this in place of its searcher. What the journal has of a trial is what it gets
for it, though the searcher would say otherwise by now; for the rest the searcher is asked. One that
thought ahead has it adopted where it was asked for, between the same results.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from hpmpi.master.schedulers import Seen
from hpmpi.master.searchers import LATER, OVER, Later, Over, Searcher
from hpmpi.model.events import Observation
from hpmpi.model.records import AT_ONCE, Suggestion
from hpmpi.model.trial import Config, Metrics


class Suggestions:
    """Stands between a scheduler and its searcher."""

    def __init__(self, searcher: Searcher) -> None:
        """Know of no suggestion yet."""
        self._searcher = searcher
        self._known: dict[int, Config] = {}
        self._noted: list[Suggestion] = []
        self._is_over = False
        self._ahead: deque[Suggestion] = deque()
        self._early: set[int] = set()
        self._told = 0
        self._observe = getattr(searcher, "observe", None)
        self._learn = getattr(searcher, "learn", None)

    def ask(self, trial: int) -> Config | Later | Over:
        """Give what is known of a trial, or ask; nobody is asked again who had no other."""
        if trial in self._known:
            config = self._known[trial]
            self.adopt(trial, config)
            return config
        if self._is_over:
            return OVER
        answer = self._searcher.ask(trial)
        if answer is LATER:
            return LATER
        self._is_over = answer is OVER
        suggested = None if isinstance(answer, Over | Later) else answer
        after = getattr(self._searcher, "asked_after", AT_ONCE)
        self._noted.append(Suggestion(trial, suggested, after))
        return answer

    def adopt(self, trial: int, config: Config) -> None:
        """Have suggested this, whatever the searcher would."""
        self._known.pop(trial, None)
        self._adopt_ahead()
        if trial in self._early:
            self._early.remove(trial)
        else:
            self._searcher.adopt(trial, config)

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Pass on what came of a trial."""
        self._adopt_ahead()
        self._told += 1
        self._searcher.tell(trial, rung, resource, loss, metrics)

    def observe(self, trial: int, points: Sequence[Seen]) -> None:
        """Pass on points of a learning curve, to a searcher that wants them."""
        if self._observe is not None:
            self._observe(trial, [(point.resource, point.metrics) for point in points])

    def teach(self, observations: Iterable[Observation]) -> None:
        """Pass on results of other studies, to a searcher that learns from such."""
        if self._learn is not None:
            for observation in observations:
                self._learn(*observation)

    def expect(self, suggestions: Iterable[Suggestion]) -> None:
        """Know what will be adopted, all that a journal has: what was thought of ahead is early."""
        self._ahead = deque(
            it for it in suggestions if it.config is not None and it.after > AT_ONCE
        )

    def _adopt_ahead(self) -> None:
        """Have adopted what the searcher was asked for before it was told any more."""
        while self._ahead and self._ahead[0].after <= self._told:
            trial, config, _ = self._ahead.popleft()
            if config is not None:
                self._early.add(trial)
                self._searcher.adopt(trial, config)

    def learn(self, suggestions: Iterable[Suggestion]) -> None:
        """Take what the journal has for what was suggested; that there was no other may change."""
        self._known |= {it.trial: it.config for it in suggestions if it.config is not None}

    def known(self, trial: int) -> Config | None:
        """Tell what the journal has of a trial that has not begun."""
        return self._known.get(trial)

    def take_noted(self) -> tuple[Suggestion, ...]:
        """Return what was suggested since the last call."""
        if not self._noted:
            return ()
        noted, self._noted = tuple(self._noted), []
        return noted
