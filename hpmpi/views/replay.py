"""`hpmpi replay`: derive every decision of a run again; name the first that comes out otherwise.

Several decisions may follow from one event, and the first of them tells which. So each event is
made again from what followed from it, and the same master as in a run is asked what it decides
then. Only what nobody but ranks, people and the searcher can know is taken as the journal has it:
what was reported, who was silent, that somebody wanted the run to end, which configuration was
suggested, that code of the user's raised, which may be mended by now.

The searcher may be asked again, too, beside all that: how many of its suggestions agree?
"""

from collections.abc import Sequence
from itertools import islice, takewhile
from pathlib import Path

import msgspec

from hpmpi.errors import ReplayError, SearcherError, SettingsError, StoreError
from hpmpi.history.audit import wrong_start
from hpmpi.master.jobs import Jobs
from hpmpi.master.master import NO_TIME, NOTHING_FITS, Master
from hpmpi.master.roster import Roster
from hpmpi.master.shield import RAISED
from hpmpi.model.events import Drain, Due, Event, Heard, Interrupted, Record, Tick
from hpmpi.model.messages import (
    Beat,
    Failed,
    FailureKind,
    Finished,
    Outcome,
    Progress,
    Ready,
    Report,
    Suspended,
    Unfit,
)
from hpmpi.model.records import (
    Assigned,
    Back,
    Baseline,
    Curve,
    Deadline,
    Decision,
    Draining,
    Ended,
    Failure,
    Joined,
    Late,
    Lost,
    Refused,
    Result,
    Started,
    Suspension,
)
from hpmpi.model.trial import AttemptId, JobKey
from hpmpi.storage import run_folder
from hpmpi.storage.journal import line_of
from hpmpi.storage.recovery import jobs_of, rules_of
from hpmpi.study import changes, checks, settings
from hpmpi.study.settings import Settings
from hpmpi.study.toml import without_none
from hpmpi.views.suggestions import Recorded, ask_again

UNTOLD = ("type", "at", "settings", "version", "error")
"""What of a decision is too long, or known."""

Journal = list[Decision]
Answer = Result | Failure | Suspension


class Verdict(msgspec.Struct, frozen=True):
    """How many decisions agree, until one differs; and suggestions of how many, if asked for."""

    agreed: int
    difference: str | None = None
    suggestions: tuple[int, int] | None = None


class ToldRoster(Roster):
    """A roster that is told who was silent."""

    told_silent: Sequence[int] = ()

    def _overdue(self, _now: float) -> list[int]:
        overdue, self.told_silent = [*self.told_silent], ()
        return overdue


def text(verdict: Verdict) -> str:
    """Say in a line what came of a replay."""
    if verdict.difference is not None:
        return f"replay: {verdict.agreed} decisions agree; {verdict.difference}"
    said = f"replay: all {verdict.agreed} decisions agree"
    if verdict.suggestions is None:
        return said
    agreed, asked = verdict.suggestions
    return f"{said}; {agreed} of {asked} suggestions of the searcher do"


def replay(folder: Path, *, trust: bool, searcher: bool = False) -> Verdict:
    """Derive the run in a folder again, and change nothing.

    With `trust`, the scheduler that the folder names may be code of its own; and so may the
    searcher, which is asked again where that is wanted. Raises StoreError where there is no run,
    SettingsError where its settings can't be used.
    """
    journal = run_folder.read(folder).decisions
    if not journal or not isinstance(journal[0], Started):
        raise StoreError(f"there is no run in {folder}, or not its beginning")
    replayer = Replayer(journal, trust=trust)
    for number, decision in enumerate(journal):
        try:
            replayer.redo(number, decision)
        except ReplayError as error:
            where = f"decision {number + 1} differs (line {number + 1} of {run_folder.JOURNAL})"
            return Verdict(number, f"{where}: {error}")
    if not searcher:
        return Verdict(len(journal))
    study = study_of(replayer.started, trust=trust, searcher=True)
    return Verdict(len(journal), suggestions=ask_again(study, journal))


class Replayer:
    """Go through a journal decision by decision."""

    def __init__(self, journal: Journal, *, trust: bool) -> None:
        """Begin before the first start; raises SettingsError where its settings can't be used."""
        started = journal[0]
        assert isinstance(started, Started), "a journal begins with a start"
        self.started = started
        self._journal = journal
        self._trust = trust
        self._study = study_of(started, trust=trust)
        self._at = 0.0
        self._expected: Journal = []
        self._begin(self._study, self._jobs_at(0), ranks=0)
        self._master.outcome = Outcome.DRAINED

    def redo(self, number: int, decision: Decision) -> None:
        """Derive the decision with this number; raises ReplayError where it comes out otherwise."""
        if not decision.at >= self._at:
            raise ReplayError(f"{told(decision)} is older than the decision before it")
        self._at = decision.at
        match decision:
            case Started():
                self._start(decision, number)
                return
            case Draining(why=why) if why.startswith(RAISED):
                self._raise(number, decision)
                return
            case _ if self._expected:
                pass
            case Ended():
                self._end(decision)
                return
            case Baseline() | Curve():  # nothing follows from numbers that are no result
                return
            case _ if self._master.outcome is not None:
                raise ReplayError(f"{told(decision)}; derived: the end")
            case _:
                self._expect(self._event(number, decision))
        again = self._expected.pop(0) if self._expected else None
        if again is None or line_of(decision) != line_of(again):
            raise ReplayError(f"{told(decision)}; derived: {told(again)}")

    def _jobs_at(self, number: int) -> Jobs:
        """Bring the jobs to before the decision with this number, as a start does."""
        # Where a searcher of ours ends is in [stop].
        may_end = ":" in str(self._study.searcher["method"])
        self._searcher = Recorded(self._journal, may_end=may_end)
        return jobs_of(self._study, self._journal[:number], self._searcher)

    def _expect(self, event: Event) -> None:
        self._searcher.now = self._at
        commands = self._master.handle(event, self._at)
        self._expected = [it.decision for it in commands if isinstance(it, Record)]

    def _begin(self, study: Settings, jobs: Jobs, ranks: int) -> None:
        patience_s = study.limits.patience_s
        self._roster = ToldRoster(list(range(1, ranks + 1)), patience_s, patience_s, self._at)
        self._master = Master(jobs, self._roster, rules_of(study), study.seed)

    def _start(self, started: Started, number: int) -> None:
        if (wrong := wrong_start(started)) is not None:  # before there is room made for it
            raise ReplayError(wrong)
        study = study_of(started, trust=self._trust)
        differences = changes.differences(study, self._study)
        if differences:
            raise ReplayError(f"another study was started: {'; '.join(differences)}")
        self.started, self._study = started, study
        jobs = self._jobs_at(number)
        if started.rungs != jobs.scheduler.rungs:
            raise ReplayError(f"the rungs are at {started.rungs}; derived: {jobs.scheduler.rungs}")
        jobs.redo(started)
        self._expected = []
        self._begin(study, jobs, started.ranks)

    def _raise(self, number: int, draining: Draining) -> None:
        """Have the searcher have raised, whatever it does now; what it led to then is dropped."""
        if self._master.jobs.scheduler.error is None:
            for it in self._expected:
                if isinstance(it, Assigned):
                    self._roster.answered(it.rank, AttemptId(JobKey(it.trial, it.rung), it.attempt))
            self._master.jobs = self._jobs_at(number)
            self._master.jobs.scheduler.error = SearcherError(draining.why)
            self._master.drains_until = None
            self._expect(Tick())
        if not self._expected or not isinstance(self._expected.pop(0), Draining):
            raise ReplayError(f"{told(draining)}; derived: {told(None)}")

    def _end(self, ended: Ended) -> None:
        master = self._master
        if master.outcome is None:
            self._expect(Tick())
        if self._expected:
            raise ReplayError(f"{told(ended)}; derived: {told(self._expected[0])}")
        if master.drains_until is not None and ended.outcome is Outcome.UNFIT:
            master.outcome = Outcome.UNFIT  # nor is that a searcher raised in a drain
        if master.outcome is None and master.drains_until is not None:
            master.outcome = Outcome.DRAINED  # that it was asked for twice is not in the journal
        if master.outcome is not ended.outcome:
            went_on = "the run went on" if master.outcome is None else master.outcome.value
            raise ReplayError(f"{told(ended)}; derived: {went_on}")
        master.jobs.redo(ended)

    # -- events, from what was decided on them -----------------------------------------------------

    def _event(self, number: int, decision: Decision) -> Event:
        match decision:
            case Failure() | Suspension() if self._master.jobs.interrupted:
                at_once = takewhile(lambda it: it.at == decision.at, self._journal[number:])
                saved = [it for it in at_once if isinstance(it, Suspension)]
                return Interrupted({it.trial: it.saved for it in saved})
            case Lost(at=at):
                same = takewhile(lambda it: it.at == at, islice(self._journal, number, None))
                self._roster.told_silent = [it.rank for it in same if isinstance(it, Lost)]
                return Tick()
            case Deadline(ends_at=ends_at, epoch_s=epoch_s):
                return Due(ends_at, epoch_s)
            case Draining(why=why):
                return Tick() if why in (NO_TIME, NOTHING_FITS) else Drain(why)
            case Back(at=at, rank=rank):
                said = [it for it in self._journal[number + 1 : number + 2] if it.at == at]
                return Heard(rank, self._report(rank, said[0] if said else None, back=True))
            case _:
                rank = getattr(decision, "rank", 0)
                return Heard(rank, self._report(rank, decision, back=False))

    def _report(self, rank: int, decision: Decision | None, *, back: bool) -> Report:
        if rank not in self._roster.workers or back != self._roster.workers[rank].lost:
            raise ReplayError(f"{told(decision)}; derived: that rank was not there")
        held = self._roster.workers[rank].held
        if getattr(decision, "rank", rank) != rank:  # it is not of this rank
            return Beat()
        match decision:
            case Joined(host=host, pid=pid, notes=notes):
                return Ready(host, pid, notes)
            case Refused(host=host, error=error):
                return Unfit(host, error)
            case Curve(trial=trial, rung=rung, attempt=attempt, points=points):
                return Progress(trial, rung, attempt, points)
            case Failure(kind=FailureKind.LOST):
                raise ReplayError(f"{told(decision)}; derived: that rank was not lost")
            case Result() | Failure() | Suspension():
                if held != AttemptId(JobKey(decision.trial, decision.rung), decision.attempt):
                    raise ReplayError(f"{told(decision)}; derived: that rank does not have it")
                return self._answer(decision)
            case Late(trial=trial, rung=rung, attempt=attempt):
                return Failed(trial, rung, attempt, FailureKind.CRASH, "")
            case _:
                return Beat()

    def _answer(self, answer: Answer) -> Report:
        attempt = (answer.trial, answer.rung, answer.attempt)
        match answer:
            case Result(metrics=metrics, saved=saved):
                if self._study.goal.metric not in metrics:
                    raise ReplayError(f"{told(answer)} has no {self._study.goal.metric!r}")
                return Finished(*attempt, metrics, saved)
            case Failure(kind=kind, error=error, used=used):
                return Failed(*attempt, kind, error, used)
            case Suspension(saved=saved):
                return Suspended(*attempt, saved)


def study_of(started: Started, *, trust: bool, searcher: bool = False) -> Settings:
    """Read and check the settings of a start; raises SettingsError.

    Without `trust`, where they name a scheduler that is not built in, too; and a `searcher`, where
    that is to be asked.
    """
    study = settings.parse(started.settings)
    methods = {"scheduler": study.scheduler, **({"searcher": study.searcher} if searcher else {})}
    foreign = [
        f"{table}.method = {options.get('method')!r} runs the code that the folder names: "
        "say --trust if you trust it"
        for table, options in methods.items()
        if ":" in str(options.get("method"))
    ]
    if foreign and not trust:
        raise SettingsError(foreign)
    if not searcher and ":" in str(study.searcher.get("method")):  # it is not asked
        stand_in = msgspec.structs.replace(study, searcher={"method": "random"})
        checked = checks.check(without_none(msgspec.to_builtins(stand_in)))
        return msgspec.structs.replace(checked, stop=study.stop, searcher=study.searcher)
    return checks.check(without_none(msgspec.to_builtins(study)))


def told(decision: Decision | None) -> str:
    """Write a decision in a line, without when it was taken."""
    if decision is None:
        return "nothing"
    fields: dict[str, object] = msgspec.to_builtins(decision)
    shown = [f"{name} {value}" for name, value in fields.items() if name not in UNTOLD]
    return " ".join([type(decision).__name__.lower(), *shown])
