"""Build what the tests need: studies small enough to be read, and their masters."""

from collections.abc import Callable, Sequence
from random import Random as Generator
from typing import Any, Literal

import msgspec

from hpmpi.master.jobs import Jobs
from hpmpi.master.master import Master
from hpmpi.master.roster import Roster
from hpmpi.master.rules import Plateau, Rules, Sizes
from hpmpi.master.schedulers import Scheduler, Seen
from hpmpi.master.schedulers.asha import Asha
from hpmpi.master.schedulers.full import Full
from hpmpi.master.schedulers.hyperband import Hyperband
from hpmpi.master.schedulers.median import Median
from hpmpi.master.schedulers.pasha import Pasha
from hpmpi.master.schedulers.sha import Sha
from hpmpi.master.schedulers.top import Top
from hpmpi.master.searchers import LATER, OVER, Later, Over, Searcher
from hpmpi.master.searchers.random import Random
from hpmpi.master.suggestions import Suggestions
from hpmpi.model.dimensions import Choice, Float, Int
from hpmpi.model.messages import Point
from hpmpi.model.space import Space
from hpmpi.model.trial import Config, Goal, Job, Metrics

SPACE = Space(
    {
        "x": Float(0.0, 1.0),
        "rate": Float(1e-4, 1.0, log=True),
        "layers": Int(1, 4),
        "units": Int(8, 512, log=True),
        "solver": Choice(["sgd", "1", "true", "nan", 1, 1.5, True]),
    }
)


Method = Literal[
    "asha", "full", "stopping", "delayed", "hyperband", "median", "pasha", "sha", "top"
]

OTHERS: list[Method] = ["delayed", "hyperband", "sha", "top"]
"""What is not ASHA as it is in the paper, and draws no conclusions from curves."""

TOP_K = 3
MIN_TRIALS = 3


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """All that a master is built from.

    `limit` is the most trials; `size` how many configurations the searcher gives, which nobody
    knows before; `baseline` the resource of the baseline, if there is one.
    """

    ranks: int = 2
    method: Method = "asha"
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
    max_resource_total: int | None = None
    plateau: Plateau | None = None
    patience_s: float = 10.0
    start_s: float = 10.0
    mode: Literal["min", "max"] = "min"
    baseline: int | None = None
    size: int | None = None
    seed: int = 0
    several: bool = False
    quarantine: int = 0
    sizes: Sizes = Sizes()
    short_s: float = 0.0

    @property
    def goal(self) -> Goal:
        """What is studied: losses, or scores; and sizes, where it is several metrics."""
        others = (Goal("bytes", "min"),) if self.several else ()
        return Goal("loss" if self.mode == "min" else "score", self.mode, others)

    @property
    def most_trials(self) -> int | None:
        """How many trials there can be."""
        return min((it for it in (self.limit, self.size) if it is not None), default=None)

    def metrics(self, loss: float, size: float = 0.0) -> Metrics:
        """Say a loss, and a size, in the words of the goal."""
        losses = {self.goal.metric: loss if self.mode == "min" else -loss}
        return {**losses, "bytes": size} if self.several else losses

    def scheduler(self, searcher: Searcher | None = None) -> Scheduler:
        """Start the scheduler."""
        searcher = searcher or Random(SPACE, self.seed, [])
        ladder: dict[str, Any] = {"min_resource": self.low, "max_resource": self.high}
        more = ladder | {"goal": self.goal}
        match self.method:
            case "full":
                return Full(searcher, max_resource=self.high, goal=self.goal)
            case "top":
                return Top(
                    searcher, **more | {"max_resource": max(self.high, self.low + 1)}, k=TOP_K
                )
            case "hyperband":
                return Hyperband(searcher, eta=self.eta, **more)
            case "sha":
                return Sha(searcher, eta=self.eta, **more)
            case "pasha":
                return Pasha(searcher, eta=self.eta, **ladder)
            case "median":
                return Median(searcher, min_trials=MIN_TRIALS, **ladder)
            case "stopping":
                return Stopping(searcher, eta=self.eta, **more)
            case "asha" | "delayed":
                return Asha(searcher, eta=self.eta, delay=self.method == "delayed", **more)

    @property
    def ladder(self) -> tuple[int, ...]:
        """The resource of each rung, as far as they may grow."""
        grown = self.method == "pasha"
        return (msgspec.structs.replace(self, method="asha") if grown else self).scheduler().rungs

    def rules(self) -> Rules:
        """Say when the study ends."""
        return Rules(
            max_trials=self.limit,
            time_s=self.time_s,
            target_loss=self.target_loss,
            grace_s=self.grace_s,
            max_concurrent=self.max_concurrent,
            target_resource=self.target_resource,
            max_resource_total=self.max_resource_total,
            plateau=self.plateau,
            quarantine=self.quarantine,
            sizes=self.sizes,
            short_s=self.short_s,
        )

    def jobs(self, searcher: Searcher | None = None) -> Jobs:
        """Start the jobs."""
        suggestions = Suggestions(searcher or Random(SPACE, self.seed, []))
        scheduler = self.scheduler(suggestions)
        return Jobs(scheduler, suggestions, self.goal, self.failures, self.baseline)

    def master(
        self, ranks: int | None = None, now: float = 0.0, searcher: Searcher | None = None
    ) -> Master:
        """Start the master of ranks 1, 2, ..."""
        numbers = list(range(1, (ranks or self.ranks) + 1))
        roster = Roster(numbers, self.patience_s, self.start_s, now)
        return Master(self.jobs(searcher), roster, self.rules(), self.seed)


STOPS_BEYOND = 0.8
"""Who reports more than this, up or down, is stopped where jobs are stopped at all."""


class Stopping(Asha):
    """ASHA that ends, too, a job in work whose curve goes too far."""

    def observe(self, job: Job, points: Sequence[Seen]) -> bool:
        """Stop it."""
        super().observe(job, points)
        return goes_too_far(points)


def goes_too_far(points: Sequence[Point | Seen]) -> bool:
    """Tell whether a job that reports this is stopped."""
    return any(abs(value) > STOPS_BEYOND for it in points for value in it.metrics.values())


class Elsewhere:
    """Random search on another processor, or with a mistake: what it says is its own.

    `cpu` says which processor; with `raises_at`, it raises when it is called for that time; where
    `thinks` says so, it has no answer yet; there are `most` configurations, or no end to them.
    """

    def __init__(
        self,
        seed: int,
        cpu: int = 0,
        raises_at: int | None = None,
        thinks: Callable[[], bool] = lambda: False,
        most: int | None = None,
    ) -> None:
        """Start."""
        self._most = most
        self._thinks = thinks
        self._random = Random(SPACE, seed, [])
        self._cpu = cpu
        self._raises_at = raises_at
        self._calls = 0

    @property
    def stands_for(self) -> Random:
        """What it is but for that."""
        return self._random

    def ask(self, trial: int) -> Config | Later | Over:
        """Round as this processor does."""
        self._call()
        if self._thinks():
            return LATER
        if trial == self._most:
            return OVER
        config = self._random.ask(trial)
        assert not isinstance(config, Over), "the space is not finite"
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


def draw_study(random: Generator, seed: int, method: Method = "asha") -> Study:
    """Draw a small study."""
    others = Generator(f"{seed}/most")  # noqa: S311 - not for secrets
    compares = Generator(f"{seed}/baseline").random() < 0.3  # noqa: S311 - not for secrets
    sizes = Generator(f"{seed}/size")  # noqa: S311 - not for secrets
    size = sizes.randint(1, 20) if sizes.random() < 0.15 else None
    eta = random.randint(2, 4)
    low = random.randint(1, 3)
    study = Study(
        method="full" if random.random() < 0.1 else method,
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
        size=size,
        seed=seed,
    )
    return msgspec.structs.replace(
        study,
        baseline=study.ladder[-1] if compares else None,
        max_resource_total=draw_budget(study),
        plateau=draw_plateau(study),
    )


def draw_budget(study: Study) -> int | None:
    """Draw how much resource there is, if that is limited."""
    random = Generator(f"{study.seed}/budget")  # noqa: S311 - not for secrets
    return random.randint(1, 10 * study.high) if random.random() < 0.15 else None


def draw_plateau(study: Study) -> Plateau | None:
    """Draw what is a plateau, if it is looked for; losses are tenths."""
    random = Generator(f"{study.seed}/plateau")  # noqa: S311 - not for secrets
    if random.random() >= 0.2:
        return None
    return Plateau(random.randint(1, 10), random.choice([0.0, 0.05, 0.25]))
