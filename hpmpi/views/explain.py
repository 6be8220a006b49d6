"""`hpmpi explain`: why a trial does not go on, a rank has no work, a run has come to an end.

All of it follows from what the journal says, and whether anybody leads the run still.
"""

from collections import Counter
from collections.abc import Iterator

from hpmpi.errors import StoreError
from hpmpi.history.attempts import Attempt, Fate
from hpmpi.history.contest import Contest, contest_of
from hpmpi.history.history import History
from hpmpi.history.ranks import Rank, RankState
from hpmpi.history.standings import Standing, Status
from hpmpi.master.drain import NO_TIME, NOTHING_FITS
from hpmpi.model.messages import Outcome, escaped, gist
from hpmpi.model.trial import WORST
from hpmpi.views import conclusion, show, story
from hpmpi.views.layout import count_of, reached, resource_of, span
from hpmpi.views.run_view import Summary

CAUSES = {
    "SIGINT": "somebody pressed Ctrl-C, or sent SIGINT",
    "SIGTERM": "somebody, or Slurm (scancel, preemption, the time limit), sent SIGTERM",
    "SIGUSR1": "SIGUSR1 came: from Slurm, so long before the allocation ends as --signal asks for",
    "SIGUSR2": "somebody, or Slurm, sent SIGUSR2",
    NO_TIME: "the end of the allocation is near",
    NOTHING_FITS: "no job takes less time than is left of the allocation",
}
"""Why a run drains, in more words."""

GOES_ON = "the same command goes on from here"


def of_run(summary: Summary) -> str:
    """Explain why a run stands where it stands."""
    lines = [f"{show.headline(summary)}.", *why_ended(summary)]
    if summary.goes_on:
        lines += show.present(summary)
        idle = summary.history.ranks.in_state(RankState.IDLE)
        lines += [f"{count_of(len(idle), 'rank')} idle: {why_idle(summary)}."] if idle else []
    is_running = summary.goes_on
    statuses = Counter(
        "cut off" if it.status is Status.RUNNING and not is_running else it.status.value
        for it in summary.history.trials
    )
    lines.append("trials: " + (", ".join(f"{n} {name}" for name, n in statuses.items()) or "none"))
    hint = "hpmpi explain DIR --trial N, or --rank R, says more of one of them"
    return text_of([*lines, hint])


def of_trial(summary: Summary, trial: int) -> str:
    """Explain why a trial does not go on; raises StoreError where there is no such one."""
    standing = story.find(summary.history, trial)
    lines = [*OF_STATUS[standing.status](summary, standing)]
    if standing.status in (Status.RUNNING, Status.PAUSED) and not summary.goes_on:
        lines += ["Nothing goes on by now:", *why_ended(summary)]
    return text_of([f"trial {trial} is {standing.status.value}.", *lines])


def of_rank(summary: Summary, number: int) -> str:
    """Explain what a rank does, and why; raises StoreError where there is no such one."""
    history = summary.history
    if number == 0:
        return "rank 0 leads the run: it decides, keeps the journal, and trains nothing."
    if number > history.ranks.expected:
        there_are = f"its worker ranks are 1 to {history.ranks.expected}"
        raise StoreError(f"there is no rank {number} in {history.study.name}: {there_are}")
    rank = history.ranks.known.get(number) or Rank()
    where = f" on {rank.host}" if rank.host else ""
    if not summary.goes_on:
        lines = ["Nothing goes on by now:", *why_ended(summary)]
    else:
        lines = [*why_so(summary, number, rank)]
    return text_of([f"rank {number}{where} {had(history, number)}.", *lines])


def text_of(lines: list[str]) -> str:
    """Write lines for a terminal."""
    return "\n".join(map(escaped, lines))


# -- runs ------------------------------------------------------------------------------------------


def why_ended(summary: Summary) -> list[str]:
    """Say why nothing goes on, where that is so."""
    history, outcome = summary.history, summary.outcome
    drain = history.draining or history.why
    match outcome:
        case None if summary.goes_on:
            return [] if history.draining is None else [f"It drains: {CAUSES.get(drain, drain)}."]
        case None:
            return [f"It was interrupted: {show.absence(summary.sign)}."]
        case Outcome.COMPLETE:
            return [f"It is complete: {why_complete(history)}."]
        case Outcome.DRAINED:
            saved = sum(it.fate is Fate.SAVED for it in history.attempts.values())
            kept = f"{count_of(saved, 'job')} left off at a checkpoint; " if saved else ""
            return [f"It was drained: {CAUSES.get(drain, drain)}; {kept}{GOES_ON}."]
        case Outcome.DESERTED:
            gone = show.places(history.ranks.in_state(RankState.LOST))
            return [f"No rank is left to work ({gone or 'none was ever heard'}); {GOES_ON}."]
        case Outcome.UNFIT:
            return [f"It can't go on until this is mended: {conclusion.unfitness(history)}"]
        case _:
            errors = (gist(it.error) for it in reversed(history.failures) if it.final)
            return [f"All trials fail alike: {next(errors, 'nothing says how')}"]


def why_complete(history: History) -> str:
    """Say by which of its limits a study is complete."""
    stop = history.study.stop
    if history.draining is None and history.why not in ("", Outcome.COMPLETE.value):
        return history.why
    if stop.time_s is not None and history.at >= stop.time_s:
        return f"its time is over (stop.time_s = {stop.time_s:g})"
    if stop.max_trials is not None and len(history.trials) >= stop.max_trials:
        gone = sum(it.status is Status.GIVEN_UP for it in history.trials)
        but = f", but for {gone} given up" if gone else ""
        all_of = f"all {stop.max_trials} trials (stop.max_trials)"
        return f"{all_of} came as far as they were promoted{but}"
    if stop.target is not None:
        return f"the target was reached (stop.target = {stop.target:g})"
    return "there is nothing left to do"


# -- trials ----------------------------------------------------------------------------------------


def running(summary: Summary, standing: Standing) -> Iterator[str]:
    """Explain a trial that has a job which is open."""
    history = summary.history
    attempt = story.attempts_of(history, standing.trial)[-1]
    to = resource_of(attempt.resource, history.study.unit)
    if attempt.fate is Fate.OPEN:
        since = span(summary.at - attempt.begun)
        others = "".join(f", {rank}" for rank in attempt.others)
        who = f"Ranks {attempt.rank}{others} train" if others else f"Rank {attempt.rank} trains"
        yield f"{who} it from {attempt.start} to {to}, for {since} by now."
        if (point := history.curves.newest(standing.trial)) is not None:
            at = resource_of(point.resource, history.study.unit)
            yield f"It has reported {story.numbers(point.metrics)} at {at}."
        return
    if attempt.fate is Fate.QUEUED:
        yield f"Rank {attempt.rank} trains it next, from {attempt.start} to {to}."
        return
    failed = [it for it in story.failures_of(history, standing.trial) if it.attempt == attempt.id]
    why = f": {gist(failed[-1].error)}" if failed else ""
    came_to = f"{story.name_of(attempt)} by rank {attempt.rank} was {attempt.fate.value}"
    yield f"Its job, training to {to}, waits to be handed out again: {came_to}{why}."
    if failed:
        tries = f"limits.max_failures = {history.study.limits.max_failures}"
        yield f"It gets another rank than those that it failed on, if any is free ({tries})."


def paused(summary: Summary, standing: Standing) -> Iterator[str]:
    """Explain a trial that has a result, and waits for a promotion."""
    history, unit = summary.history, summary.study.unit
    has = reached(history.goal, standing.metrics) if standing.metrics else "no result"
    here = resource_of(standing.resource, unit)
    yield f"It has {has} at {here} (rung {standing.rung}), and waits for a promotion."
    contest = contest_of(history, standing)
    place = None if contest is None else contest.place(standing.trial)
    if contest is None or place is None:
        method = history.study.scheduler.get("method")
        yield f"When one comes is up to the scheduler, {method}: it has not asked for it yet."
        return
    yield (
        f"Of the {contest.count} results at {here} the best {contest.winners} may go on (one in "
        f"{contest.eta}); it has place {place}."
    )
    yield from outlook(history, contest, place)


def outlook(history: History, contest: Contest, place: int) -> Iterator[str]:
    """Say what a trial would have to beat, and when it goes on without that."""
    if place <= contest.winners:
        yield "So it goes on as soon as a rank is free, unless there is no time left for it."
        return
    if contest.last is not None:
        beaten = reached(history.goal, contest.last.metrics)
        yield f"It would have to beat trial {contest.last.id.trial}, which has {beaten}."
    more = contest.enough(place) - contest.count
    yield f"It goes on if {count_of(more, 'more result')} there come in that are all worse."


def complete(summary: Summary, standing: Standing) -> Iterator[str]:
    """Explain a trial that its scheduler will not go on with."""
    at = resource_of(standing.resource, summary.study.unit)
    rungs = summary.rungs
    if standing.loss == WORST:
        yield "Its result is no number, which is the worst there is: that never goes on."
    elif rungs and standing.resource >= rungs[-1].resource:
        yield f"It was trained to {at}, and there is no rung above that."
    else:
        method = summary.study.scheduler.get("method")
        yield f"It was trained to {at}; {method} has chosen others to go on there."


def given_up(summary: Summary, standing: Standing) -> Iterator[str]:
    """Explain a trial whose job has failed too often."""
    failures = story.failures_of(summary.history, standing.trial)
    on = ", ".join(str(it.rank) for it in failures)
    most = summary.study.limits.max_failures
    often = f"limits.max_failures = {most}, or twice with the same words"
    yield f"It failed {count_of(len(failures), 'time')}, on ranks {on} ({often})."
    yield f"The last time: {gist(failures[-1].error)}"
    yield f"`hpmpi show DIR --trial {standing.trial} --log` has what it printed."


def stopped(summary: Summary, standing: Standing) -> Iterator[str]:
    """Explain a trial that was ended in the middle."""
    point = summary.history.curves.newest(standing.trial)
    at = "" if point is None else f" at {resource_of(point.resource, summary.study.unit)}"
    had = "" if point is None else f" with {story.numbers(point.metrics)}"
    method = summary.study.scheduler.get("method")
    yield f"{method} ended it{at}{had}: others had better curves by then."


OF_STATUS = {
    Status.RUNNING: running,
    Status.PAUSED: paused,
    Status.COMPLETE: complete,
    Status.GIVEN_UP: given_up,
    Status.STOPPED: stopped,
}


# -- ranks -----------------------------------------------------------------------------------------


def had(history: History, number: int) -> str:
    """Say what a rank has done so far, in all starts."""
    fates = Counter(it.fate for it in history.attempts.values() if number in it.slot)
    told = f"has brought {count_of(fates[Fate.RESULT], 'result')}"
    failed = fates[Fate.FAILED]
    told += f", failed {count_of(failed, 'time')}" if failed else ""
    times = history.ranks.times_lost[number]
    return told + (f", and was lost {count_of(times, 'time')}" if times else "")


def why_so(summary: Summary, number: int, rank: Rank) -> Iterator[str]:
    """Explain the state of a rank of a run that goes on."""
    history, limits = summary.history, summary.study.limits
    match rank.state:
        case RankState.BUSY:
            assert rank.held is not None, "it is busy"
            after = f", and {show.name_of(rank.queued.id.trial)} next" if rank.queued else ""
            yield f"It is busy: {work_of(rank.held, summary)}{after}."
        case RankState.IDLE:
            yield f"It is idle: {why_idle(summary)}."
        case RankState.AWAITED:
            yield "It has not said yet that it can work: it starts, or loads the objective."
        case RankState.UNFIT:
            yield f"It can't load the objective, and gets no work: {gist(history.refusal)}"
        case RankState.QUARANTINED:
            assert rank.aside is not None, "it is put aside"
            since = span(summary.at - rank.aside.begun)
            yield f"It has been put aside for {since}: it failed job after job that others can do."
            tried = f"limits.quarantine = {limits.quarantine}"
            yield f"It gets one to try when they have brought more results ({tried})."
        case RankState.LOST:
            assert rank.absence is not None, "it is lost"
            gone = span(summary.at - rank.absence.begun)
            silent = f"it was silent for {limits.patience_s:g} s (patience_s)"
            yield f"It has been lost for {gone}: {silent}."
            yield from handed_on(history, number)
            yield "When it is heard again, it gets work again."


def work_of(attempt: Attempt, summary: Summary) -> str:
    """Say what a rank has in work."""
    to = resource_of(attempt.resource, summary.study.unit)
    which = f"{show.name_of(attempt.id.trial)} from {attempt.start} to {to}"
    return f"it trains {which}, for {span(summary.at - attempt.begun)}"


def handed_on(history: History, number: int) -> Iterator[str]:
    """Say what became of the job that a rank had when it was lost."""
    made = [it for it in history.attempts.values() if number in it.slot]
    lost = [it for it in made if it.fate is Fate.LOST]
    for attempt in lost[-1:]:
        trial, rung, tries = attempt.id
        after = history.attempts.get(attempt.id._replace(number=tries + 1))
        which = f"{show.name_of(trial)} rung {rung}"
        yield (
            f"What it had in work, {which}, waits to be handed out again."
            if after is None
            else f"What it had in work, {which}, went to rank {after.rank}: {after.fate.value}."
        )


def why_idle(summary: Summary) -> str:
    """Say why ranks of a run that goes on get no work."""
    history, study = summary.history, summary.study
    busy = len(history.ranks.in_state(RankState.BUSY))
    most, trials = study.run.max_concurrent, study.stop.max_trials
    if history.draining is not None:
        return f"the run drains ({CAUSES.get(history.draining, history.draining)})"
    if most is not None and busy >= most:
        return f"no more than run.max_concurrent = {most} ranks may be busy at once"
    if waiting := sum(rung.waiting for rung in summary.rungs):
        return f"jobs wait ({waiting}), but have failed on it, or take longer than is left"
    begun = trials is not None and len(history.trials) >= trials
    what = f"all {trials} trials are begun" if begun else "the searcher has no other trial by now"
    what = (
        f"the next job takes more ranks than are idle, or {what}" if study.run.in_groups else what
    )
    return f"{what}, and none may be promoted until one of {count_of(busy, 'job')} has a result"
