"""What a start resumes: the jobs, the history and the rules that a run folder has."""

import traceback
from collections.abc import Sequence
from itertools import dropwhile
from pathlib import Path

from hpmpi.errors import HpmpiError, SearcherError, SettingsError
from hpmpi.master.jobs import Jobs
from hpmpi.master.restart import redo
from hpmpi.master.rules import Plateau, Rules, Sizes
from hpmpi.master.searchers import Searcher
from hpmpi.master.suggestions import Suggestions
from hpmpi.model.records import Entry, Line, Started
from hpmpi.study import methods, settings
from hpmpi.study.settings import Settings

OURS = Path(__file__).parents[1]
"""Where code is that is not the user's."""


def jobs_of(study: Settings, lines: Sequence[Line], searcher: Searcher) -> Jobs:
    """Bring the jobs to where a journal ends, each start with the limits that it had.

    Raises ReplayError where that can't be,
    SettingsError where the run has other rungs, and SearcherError where the study's own code
    raises.
    """
    jobs = new_jobs(study, searcher)
    jobs.suggestions.expect(
        it for line in lines if isinstance(line, Entry) for it in line.suggested
    )
    for line in lines:
        if isinstance(line, Started):
            check_rungs(jobs.scheduler.rungs, line)
            begin(jobs, settings.parse(line.settings), line)
        else:
            redo(jobs, line)
    if jobs.scheduler.error is not None:
        raise trouble(jobs.scheduler.error)
    return jobs


def new_jobs(study: Settings, searcher: Searcher) -> Jobs:
    """Begin with a study."""
    suggestions = Suggestions(searcher)
    scheduler = methods.build_scheduler(study, suggestions)
    return Jobs(scheduler, suggestions, study.goal, study.limits.max_failures)


def begin(jobs: Jobs, study: Settings, started: Started) -> None:
    """Begin a start, with the limits and the baseline that the study has for it."""
    jobs.max_failures = study.limits.max_failures
    wanted = None if study.baseline is None else jobs.scheduler.highest
    jobs.want_baseline(wanted, study.baseline or "")
    redo(jobs, started)


def trouble(error: BaseException) -> HpmpiError:
    """Say what a searcher or a scheduler has raised: where in its code, and what to do."""
    if isinstance(error, HpmpiError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    theirs = list(dropwhile(lambda it: OURS in Path(it.filename).parents, frames))
    lines = [
        "the searcher or the scheduler raised:\n",
        *traceback.format_list(theirs or frames),
        *traceback.format_exception_only(error),
        "the journal has all that was heard: mend it, and the same command goes on from here",
    ]
    return SearcherError("".join(lines))


def check_rungs(rungs: tuple[int, ...], started: Started) -> None:
    """Raise SettingsError where a run has other rungs: its results would be taken for others'."""
    if started.rungs and started.rungs != rungs:
        before, now = (", ".join(map(str, each)) for each in (started.rungs, rungs))
        said = (
            f"the run that is there has its rungs at {before}, and this version has them at {now}"
        )
        todo = "go on with the version that began it, or use --fresh to move that run aside"
        raise SettingsError([f"{said}: {todo}"])


def rules_of(study: Settings) -> Rules:
    """Take from a study what the master must know."""
    target, plateau = study.stop.target, study.stop.plateau
    return Rules(
        max_trials=study.stop.max_trials,
        time_s=study.stop.time_s,
        target_loss=None if target is None else study.goal.signed(target),
        grace_s=study.limits.grace_s,
        max_concurrent=study.run.max_concurrent,
        target_resource=study.stop.target_resource,
        max_resource_total=study.stop.max_resource_total,
        plateau=None if plateau is None else Plateau(plateau.trials, plateau.epsilon),
        quarantine=study.limits.quarantine,
        sizes=sizes_of(study),
        short_s=0.0 if methods.learns(study) else study.run.short_s,
    )


def sizes_of(study: Settings) -> Sizes:
    """Take from a study how many ranks its jobs take."""
    eta = study.scheduler["eta"] if study.run.grow == "eta" else 1
    return Sizes(study.run.first_sizes, eta)
