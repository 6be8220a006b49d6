"""What is logged of a study as a whole: that trials or time are too few, and what it came to."""

import logging
import time
from collections.abc import Sequence

import msgspec

from hpmpi.history.advice import EXHAUSTIVE, Shortage, too_few
from hpmpi.history.attempts import Fate
from hpmpi.history.history import History
from hpmpi.model.messages import Outcome, escaped
from hpmpi.model.trial import BASELINE
from hpmpi.study.doubts import doubts
from hpmpi.study.settings import Settings
from hpmpi.views.layout import span
from hpmpi.views.run_view import MENDED

log = logging.getLogger("hpmpi")


def tell_complete_since(epoch_s: float, study: Settings, history: History) -> None:
    """Log that nothing is run: since when all was done, and what there can be more of."""
    method, stop = study.searcher["method"], msgspec.structs.asdict(study.stop)
    limits = [f"stop.{name}" for name, value in stop.items() if value is not None]
    more = f"it goes on with a higher {' or '.join(limits)}"
    if method in EXHAUSTIVE and len(history.trials) == study.stop.max_trials:
        more = f"all of the {method} was tried"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(epoch_s))
    log.info("complete since %s, and nothing was run: %s; --fresh begins anew", when, more)


def tell_too_few(study: Settings, rungs: Sequence[int]) -> None:
    """Log that hardly a trial will be trained to the end, where there are so few."""
    few = too_few(study, rungs)
    if few is not None:
        log.warning(
            "of %d trials hardly any will come to max_resource = %d, as one in %d goes on from "
            "each rung: that takes %d trials, or min_resource = %d",
            few.trials,
            rungs[-1],
            study.scheduler["eta"],
            few.enough,
            few.resource,
        )


def tell_doubts(study: Settings, rungs: Sequence[int]) -> None:
    """Log what may not be meant."""
    for doubt in doubts(study, rungs):
        log.warning("%s", doubt)


def tell_shortage(short: Shortage, history: History) -> None:
    """Log that not all will be tried."""
    end, then = "time_s is over", "the others are not tried"
    if short.until_deadline:
        end, then = "the allocation ends", "the same command goes on after it"
    log.warning(
        "the %s is larger than the time left: %d of %d trials are to begin yet, and take about "
        "%s, but %s in %s: %s",
        history.study.searcher["method"],
        short.trials,
        short.total,
        span(short.needs_s),
        end,
        span(short.left_s),
        then,
    )


def tell_deadline(history: History) -> None:
    """Log that the allocation ends sooner than a drain may take."""
    end = history.deadline
    assert end is not None, "it has come just now"
    said = "the allocation ends in %.0f s, and a drain takes %.0f s (grace_s + 10)"
    log.warning(said, end.ends_at - history.at, end.ends_at - end.drains_at)


def tell_end(outcome: Outcome, why: str, history: History) -> None:
    """Log what a start came to, unless it is complete as there is no more to do."""
    if outcome is Outcome.COMPLETE and is_baseline_cut(history):
        log.warning("the baseline was in work still: there is nothing to compare the best with")
    if outcome is Outcome.COMPLETE and history.draining is None and why != outcome.value:
        log.info("complete: %s", why)
    elif outcome is Outcome.DRAINED:
        log.warning("drained (%s): the same command goes on from here", why)
    elif outcome is Outcome.DESERTED:
        log.warning("no rank is left: the same command goes on from here")
    elif outcome is Outcome.FAILED:
        error = next((it.error for it in reversed(history.failures) if it.final), "")
        lines = "\n".join(map(escaped, error.splitlines()))
        log.error("trials fail alike, and none has succeeded:\n%s\n%s", lines, MENDED)


def is_baseline_cut(history: History) -> bool:
    """Tell whether the end of the study has cut the baseline off."""
    wanted = history.study.baseline is not None and history.baseline is None
    attempts = history.attempts.values() if wanted else ()
    return any(it.id.trial == BASELINE and it.fate is Fate.CUT for it in attempts)
