"""Laws of what a study is foreseen to take: its own scheduler's, in virtual time."""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest

from hpmpi.master.forecast import Forecast, Terms, forecast
from hpmpi.master.rules import Plateau, Rules
from hpmpi.master.schedulers import Scheduler
from hpmpi.master.schedulers.asha import Asha
from hpmpi.master.schedulers.full import Full
from hpmpi.master.schedulers.hyperband import Hyperband
from hpmpi.master.schedulers.median import Median
from hpmpi.master.schedulers.pasha import Pasha
from hpmpi.master.schedulers.sha import Sha
from hpmpi.master.schedulers.top import Top
from hpmpi.master.searchers import Searcher
from hpmpi.model.trial import Job, Metrics

Kind = Callable[..., Scheduler]
KINDS: list[Kind] = [Asha, Full, Hyperband, Median, Pasha, Sha, Top]


def foresee(
    kind: Kind, rules: Rules, *, ranks: int = 4, unit_s: float = 2.0, saves: bool = True
) -> Forecast:
    """Look at a study that trains to 27."""

    def make(searcher: Searcher) -> Scheduler:
        return kind(searcher, max_resource=27)

    return forecast(make, Terms(rules, ranks, unit_s, saves=saves))


def jobs(foreseen: Forecast) -> dict[int, float]:
    """Count jobs by resource."""
    return {rung.resource: rung.jobs for rung in foreseen.rungs}


def test_full_training_takes_what_can_be_reckoned() -> None:
    foreseen = foresee(Full, Rules(max_trials=9))
    assert jobs(foreseen) == {27: 9}
    assert foreseen.rungs[0].each_s == 54.0
    assert (foreseen.work_s, foreseen.ends_s) == (9 * 54.0, 3 * 54.0)


def test_schedulers_that_wait_have_the_jobs_that_their_papers_say() -> None:
    assert jobs(foresee(Sha, Rules(max_trials=27))) == {1: 27, 3: 9, 9: 3, 27: 1}
    assert jobs(foresee(Top, Rules(max_trials=27))) == {1: 27, 27: 3}


def test_who_does_not_wait_promotes_one_in_eta_and_some_more() -> None:
    counts = list(jobs(foresee(Asha, Rules(max_trials=81))).values())
    assert counts[0] == 81
    for below, above in pairwise(counts):
        assert below / 3 - 1 < above < below / 2


def test_brackets_begin_at_their_rungs() -> None:
    foreseen = jobs(foresee(Hyperband, Rules(max_trials=49)))
    assert foreseen[1] == 27
    assert foreseen[3] > 12 + 27 / 3 - 1
    assert foreseen[27] > 4


def test_who_stops_a_poor_trial_takes_less() -> None:
    full, median = (foresee(kind, Rules(max_trials=81)).work_s for kind in (Full, Median))
    assert 0.3 * full < median < 0.8 * full


def test_rungs_that_may_not_come_about_are_few() -> None:
    pasha, asha = (jobs(foresee(kind, Rules(max_trials=81))) for kind in (Pasha, Asha))
    assert pasha[1] == asha[1] == 81
    assert pasha.get(27, 0) < asha[27]


@pytest.mark.parametrize("kind", KINDS)
def test_every_scheduler_comes_to_its_end_in_the_time_that_its_work_takes(kind: Kind) -> None:
    foreseen = foresee(kind, Rules(max_trials=40))
    work_s = math.fsum(rung.jobs * rung.each_s for rung in foreseen.rungs)
    assert foreseen.work_s == pytest.approx(work_s)
    assert foreseen.work_s / 4 <= foreseen.ends_s <= foreseen.work_s
    assert foreseen == foresee(kind, Rules(max_trials=40))


def test_a_promoted_trial_adds_what_its_checkpoint_lacks_or_begins_again() -> None:
    rules = Rules(max_trials=27)
    assert [rung.each_s for rung in foresee(Sha, rules).rungs] == [2.0, 4.0, 12.0, 36.0]
    again = foresee(Sha, rules, saves=False)
    assert [rung.each_s for rung in again.rungs] == [2.0, 6.0, 18.0, 54.0]


def test_what_ends_after_the_time_is_cut_off() -> None:
    foreseen = foresee(Full, Rules(max_trials=9, time_s=110.0))
    assert (foreseen.rungs[0].jobs, foreseen.rungs[0].in_time) == (9, 8)
    unlimited = foresee(Full, Rules(max_trials=9))
    assert (unlimited.rungs[0].in_time, unlimited.ends_s) == (9, foreseen.ends_s)


def test_a_study_without_a_last_trial_is_looked_at_until_its_time_is_over() -> None:
    foreseen = foresee(Full, Rules(time_s=100.0))
    assert (foreseen.rungs[0].jobs, foreseen.rungs[0].in_time) == (4, 4)


def test_what_is_spent_ends_a_study() -> None:
    foreseen = foresee(Full, Rules(max_resource_total=100))
    assert 100 / 27 <= foreseen.rungs[0].jobs < 100 / 27 + 4


def test_a_limit_of_ranks_at_a_time_holds() -> None:
    rules = Rules(max_trials=9, max_concurrent=2, plateau=Plateau(1))
    assert foresee(Full, rules).ends_s == 5 * 54.0


@pytest.mark.parametrize(
    ("rules", "has_end"),
    [
        (Rules(), False),
        (Rules(target_loss=0.1, plateau=Plateau(9)), False),
        (Rules(max_trials=1), True),
        (Rules(time_s=1.0), True),
        (Rules(max_resource_total=1), True),
    ],
)
def test_what_ends_a_study_must_be_known(rules: Rules, has_end: bool) -> None:  # noqa: FBT001
    assert Terms(rules, 1, 1.0).has_end is has_end


def test_the_metric_has_its_name_where_a_scheduler_looks_at_it() -> None:
    seen: list[str] = []

    class Looks(Full):
        def tell(self, job: Job, loss: float, metrics: Metrics) -> list[int]:
            seen.extend(metrics)
            return super().tell(job, loss, metrics)

    terms = Terms(Rules(max_trials=3), 1, 1.0, metric="accuracy")
    forecast(partial(Looks, max_resource=1), terms)
    assert set(seen) == {"accuracy"}
