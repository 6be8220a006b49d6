"""Build what the tests need: studies small enough to be read, and their masters."""

from collections.abc import Callable
from random import Random as Generator
from typing import Literal

import msgspec

from hpmpi.master.jobs import Jobs
from hpmpi.master.master import Master
from hpmpi.master.roster import Roster
from hpmpi.master.rules import Rules
from hpmpi.master.schedulers import Scheduler
from hpmpi.master.schedulers.asha import Asha
from hpmpi.master.schedulers.full import Full
from hpmpi.master.searchers import LATER, Later, Searcher
from hpmpi.master.searchers.random import Random
from hpmpi.model.dimensions import Choice, Float, Int
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Goal, Metrics

SPACE = Space(
    {
        "x": Float(0.0, 1.0),
        "rate": Float(1e-4, 1.0, log=True),
        "layers": Int(1, 4),
        "units": Int(8, 512, log=True),
        "solver": Choice(["sgd", "1", "true", "nan", 1, 1.5, True]),
    }
)


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """All that a master is built from; `limit` is the most trials."""

    ranks: int = 2
    method: Literal["asha", "full"] = "asha"
    low: int = 1
    high: int = 9
    eta: int = 3
    limit: int | None = 9
    failures: int = 3
    grace_s: float = 5.0
    max_concurrent: int | None = None
    time_s: float | None = None
    target_loss: float | None = None
    target_resource: int | None = None
    patience_s: float = 10.0
    start_s: float = 10.0
    mode: Literal["min", "max"] = "min"
    seed: int = 0

    @property
    def goal(self) -> Goal:
        """What is studied: losses, or scores."""
        return Goal("loss" if self.mode == "min" else "score", self.mode)

    def metrics(self, loss: float) -> Metrics:
        """Say a loss in the words of the goal."""
        return {self.goal.metric: loss if self.mode == "min" else -loss}

    def scheduler(self, searcher: Searcher | None = None) -> Scheduler:
        """Start the scheduler."""
        searcher = searcher or Random(SPACE, self.seed, [])
        if self.method == "full":
            return Full(searcher, max_resource=self.high)
        return Asha(searcher, min_resource=self.low, max_resource=self.high, eta=self.eta)

    def rules(self) -> Rules:
        """Say when the study ends."""
        return Rules(
            max_trials=self.limit,
            time_s=self.time_s,
            target_loss=self.target_loss,
            grace_s=self.grace_s,
            max_concurrent=self.max_concurrent,
            target_resource=self.target_resource,
        )

    def jobs(self, searcher: Searcher | None = None) -> Jobs:
        """Start the jobs."""
        return Jobs(self.scheduler(searcher), self.goal, self.failures)

    def master(
        self, ranks: int | None = None, now: float = 0.0, searcher: Searcher | None = None
    ) -> Master:
        """Start the master of ranks 1, 2, ..."""
        numbers = list(range(1, (ranks or self.ranks) + 1))
        roster = Roster(numbers, self.patience_s, self.start_s, now)
        return Master(self.jobs(searcher), roster, self.rules(), self.seed)


class Elsewhere:
    """Random search on another processor, or with a mistake: what it says is its own.

    `cpu` says which processor; with `raises_at`, it raises when it is called for that time; where
    `thinks` says so, it has no answer yet.
    """

    def __init__(
        self,
        seed: int,
        cpu: int = 0,
        raises_at: int | None = None,
        thinks: Callable[[], bool] = lambda: False,
    ) -> None:
        """Start."""
        self._thinks = thinks
        self._random = Random(SPACE, seed, [])
        self._cpu = cpu
        self._raises_at = raises_at
        self._calls = 0

    @property
    def stands_for(self) -> Random:
        """What it is but for that."""
        return self._random

    def ask(self, trial: int) -> Config | Later:
        """Round as this processor does."""
        self._call()
        if self._thinks():
            return LATER
        config = self._random.ask(trial)
        assert config is not None, "the space is not finite"
        return config | {"x": float(config["x"]) * (1 + self._cpu * 2**-52)}

    def adopt(self, trial: int, config: Config) -> None:
        """Note what another has said."""
        self._call()
        self._random.adopt(trial, config)

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Learn what the other learns."""
        self._call()
        self._random.tell(trial, rung, resource, loss, metrics)

    def _call(self) -> None:
        self._calls += 1
        if self._calls == self._raises_at:
            raise LookupError("as told")


def never() -> bool:
    """Say that nothing drains."""
    return False


def draw_study(random: Generator, seed: int) -> Study:
    """Draw a small study."""
    others = Generator(f"{seed}/most")  # noqa: S311 - not for secrets
    eta = random.randint(2, 4)
    low = random.randint(1, 3)
    return Study(
        method="full" if random.random() < 0.1 else "asha",
        low=low,
        high=low * eta ** random.randint(0, 3) + random.randint(0, 1),
        eta=eta,
        limit=random.randint(1, 40),
        failures=random.randint(1, 3),
        grace_s=random.choice([0.0, 1.0, 5.0]),
        max_concurrent=others.choice([None, None, None, None, 1, 3]),
        time_s=random.uniform(1, 100) if random.random() < 0.1 else None,
        target_loss=0.1 if random.random() < 0.1 else None,
        patience_s=random.choice([5.0, 10.0, 20.0]),
        start_s=random.choice([20.0, 40.0]),
        mode=random.choice(["min", "max"]),
        seed=seed,
    )
