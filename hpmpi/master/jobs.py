"""The jobs of a study: which are open, where each is, and what came of the others.

              +---------- failed, or its rank was lost ----------+
              v                                                  |
    ask --> waiting --hand out--> held by a rank --result--> told to the scheduler
                                                 --failed too often--> told as the worst

Few changes of state are all there is, and each is a decision of the journal: `hand_out`, `put_off`
(for want of ranks), `stop` and the ones that begin with `take`. A run makes them; a restart, by
restart.py, makes them again as the journal has them.

Rules:

- An open job is in exactly one place, waiting or held by the rank that has its newest attempt.
- Work that waits is handed out before new work is asked for, but to a rank that it failed on only
  where it failed on as many as there are: so a node that fails whatever it is given costs each job
  one attempt.
- Nothing is handed out that there is no time for before the allocation ends.
- What is queued on a rank, behind what that has in work, has not begun: nothing is held against it
  where the rank, or the run, ends.
- When a job is given up, or suspected, is said in retries.py. A suspect waits behind the others,
  and for the end of another suspect.
- The baseline is a job like others, and no trial: nothing is learnt from it.
"""

from collections.abc import Container, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from hpmpi.master.incumbent import best_by
from hpmpi.master.retries import Cause, Hope, OpenJob, Suspects
from hpmpi.master.schedulers import Scheduler, Seen
from hpmpi.master.seeds import seed_of
from hpmpi.master.shield import GuardedScheduler
from hpmpi.master.suggestions import Suggestions
from hpmpi.master.tally import Tally
from hpmpi.master.time_left import TimeLeft
from hpmpi.model.events import Observation
from hpmpi.model.messages import Assign, Finished, Outcome, Point
from hpmpi.model.records import Assigned, Back, Chosen
from hpmpi.model.trial import BASELINE, WORST, AttemptId, Config, Goal, Job, JobKey, Metrics

BASELINE_KEY = JobKey(BASELINE, 0)


class Closed(NamedTuple):
    """A job is closed: the trials that are `over`, and those whose checkpoints are `needless`.

    `slot`: the ranks that had the newest attempt.
    """

    over: tuple[int, ...] = ()
    needless: tuple[int, ...] = ()
    slot: tuple[int, ...] = ()


class Jobs:
    """Everything about a study that outlives its ranks."""

    def __init__(
        self,
        scheduler: Scheduler,
        suggestions: Suggestions,
        goal: Goal,
        max_failures: int,
        baseline_resource: int | None = None,
    ) -> None:
        """Start a study; to go on with one, redo what was decided first.

        `suggestions` are what the scheduler asks for; `interrupted`: the jobs that were in work
        when the last start ended without a word, until it is known what came of them.
        """
        self.scheduler = GuardedScheduler(scheduler)
        self.suggestions = suggestions
        self.configs: dict[int, Config] = {}
        self.open: dict[JobKey, OpenJob] = {}
        self.waiting: dict[JobKey, None] = {}
        self.saved: dict[int, int] = {}
        self.best = best_by(goal)
        self.hope = Hope()
        self.tally = Tally()
        self.interrupted: dict[JobKey, None] = {}
        self.time_left = TimeLeft()
        self.max_failures = max_failures
        self._queued: dict[int, JobKey] = {}  # by their ranks, until what is before them is over
        self._answered_at: dict[int, float] = {}
        self._suspects = Suspects()
        self._goal = goal
        self._baseline = ""
        self._has_baseline = False
        self._tried_baseline = 0
        self.want_baseline(baseline_resource)

    def want_baseline(self, resource: int | None, name: str = "") -> None:
        """Have the baseline of this name wait to be handed out, unless that was done already.

        Without a resource, do without one. What was done of another does not count.
        """
        if BASELINE_KEY in self.open and (resource is None or name != self._baseline):
            self._tried_baseline = self._forget(BASELINE_KEY).attempts
        if name != self._baseline:
            self.saved.pop(BASELINE, None)
        self._has_baseline &= name == self._baseline
        self._baseline = name
        if resource is not None and not self._has_baseline and BASELINE_KEY not in self.open:
            self.open_job(Job(BASELINE, 0, resource, {}))
            self.open[BASELINE_KEY].attempts = self._tried_baseline
            self.waiting[BASELINE_KEY] = None

    def teach(self, observations: Sequence[Observation]) -> None:
        """Have the searcher learn results of other studies, which are none of this one."""
        self.scheduler.teach(lambda: self.suggestions.teach(observations))

    def hand_out(
        self,
        rank: int,
        at: float,
        *,
        may_start: bool,
        able: float,
        doubted: AbstractSet[int] = frozenset(),
    ) -> Assigned | None:
        """Hand a job out to one of `able` ranks; None when there is none now: nothing changes.

        Those that are `doubted` are given nothing that has failed, where there are others.
        """
        rungs = self.rungs_at(at)
        waiting = self._next_waiting(rank, able, doubted, rungs)
        key = waiting or self.ask(may_start=may_start, rungs=rungs)
        return None if key is None else self.give(key, rank, at)

    def ask(self, *, may_start: bool, rungs: int) -> JobKey | None:
        """Open a job that the scheduler chooses, of the lowest `rungs`; None when there is none."""
        job = self.scheduler.ask(may_start=may_start, rungs=rungs)
        return None if job is None else self.open_job(job)

    def open_job(self, job: Job) -> JobKey:
        """Have a job that is to be done."""
        is_first = job.trial != BASELINE and job.trial not in self.configs
        self.open[job.key] = OpenJob(job, is_first=is_first)
        if job.trial != BASELINE:
            self.configs.setdefault(job.trial, job.config)
        return job.key

    @property
    def trials(self) -> int:
        """How many trials there are."""
        return len(self.configs)

    def put_off(self, key: JobKey) -> Chosen:
        """Have a job that is chosen wait, as it takes more ranks than there are now."""
        self.waiting[key] = None
        job = self.open[key].job
        return Chosen(job.trial, job.rung, job.resource, job.bracket)

    def give(
        self,
        key: JobKey,
        rank: int,
        at: float,
        others: tuple[int, ...] = (),
        *,
        queued: bool = False,
    ) -> Assigned:
        """Have a rank hold a job that is open and held by nobody, with others beside it.

        Or behind what it has in work, where it is `queued`.
        """
        self.waiting.pop(key, None)
        opened = self.open[key]
        opened.attempts += 1
        opened.holder = rank
        opened.others = others
        opened.held_since = at
        opened.starts[opened.attempts] = self.saved.get(key.trial, 0)
        if queued:
            self._queued[rank] = key
        return Assigned(
            opened.newest, opened.job.resource, rank, opened.job.bracket, others, queued
        )

    def order(self, attempt: AttemptId, at: float, study_seed: int) -> Assign:
        """Say what a rank is told that makes an attempt."""
        opened, deadline = self.open[attempt.job], self.time_left.deadline
        return Assign(
            attempt=attempt,
            resource=opened.job.resource,
            config=opened.job.config,
            seed=seed_of(study_seed, max(attempt.trial, 0)),
            saved=self.saved.get(attempt.trial, 0),
            deadline_s=None if deadline is None else deadline.ends_at - at,
            fresh=opened.failures > 0,
        )

    def take_result(self, report: Finished, rank: int, at: float) -> Closed:
        """Close a job with its result."""
        number, key = report.attempt.number, report.attempt.job
        self._queued.pop(rank, None)
        self.saved[key.trial] = max(report.saved, self.saved.get(key.trial, 0))
        if key == BASELINE_KEY:
            return self._close(key, WORST, report.metrics)
        opened = self.open[key]
        if opened.is_newest(number, rank):
            began_at = max(opened.held_since, self._answered_at.get(rank, 0.0))
            self.time_left.learn(key.rung, at - began_at)
        self._answered_at[rank] = at
        self.time_left.saves |= report.saved > 0
        self.hope.succeed()
        loss = self._goal.loss(report.metrics)
        self.tally.spend(opened.starts.get(number, 0), opened.job.resource)
        self.tally.trials += opened.is_first
        self.tally.compare(key.rung, loss)
        return self._close(key, loss, report.metrics)

    def take_failure(self, attempt: AttemptId, rank: int, cause: Cause, *, final: bool) -> Closed:
        """Have a job wait again, or close it as the worst."""
        opened = self.open[attempt.job]
        if final:
            if attempt.trial != BASELINE:
                self.hope.give_up(cause)
            return self._close(attempt.job, WORST, {})
        opened.charge(attempt.number, rank, cause)
        self._suspects.judge(opened)
        self._put_back(opened)
        return Closed()

    def take_from_queue(self, attempt: AttemptId) -> None:
        """Have a job wait again that has not begun."""
        self._put_back(self.open[attempt.job])

    def take_suspension(self, attempt: AttemptId, saved: int) -> None:
        """Have a job wait again, to go on from its checkpoint."""
        if attempt.trial != BASELINE:
            self.time_left.saves = True
            self.tally.spend(self.open[attempt.job].starts[attempt.number], saved)
        self.saved[attempt.trial] = max(saved, self.saved.get(attempt.trial, 0))
        self._put_back(self.open[attempt.job])

    def observe(self, attempt: AttemptId, points: Sequence[Point]) -> bool:
        """Show the scheduler what the newest attempt at an open job reports; true to stop it."""
        opened = self.open.get(attempt.job)
        if opened is None or opened.newest != attempt or attempt.trial == BASELINE:
            return False
        seen = [Seen.of(point, self._goal) for point in points]
        return self.scheduler.observe(opened.job, seen)

    def stop(self, key: JobKey) -> Closed:
        """Close a job without a result."""
        opened = self._forget(key)
        self.tally.trials += opened.is_first
        self.saved.pop(key.trial, None)
        needless = tuple(self.best.needless([key.trial]))
        return Closed((key.trial,), needless, opened.slot)

    def take_back(self, back: Back) -> None:
        """Count a rank that is heard again as not lost; what it held and still waits is its own."""
        held = back.held
        opened = None if held is None else self.open.get(held.job)
        if opened is None or held is None:
            return
        if held.number in opened.lost:
            opened.lost.remove(held.number)
            self._suspects.judge(opened)
        if held.job in self.waiting and held.number == opened.attempts and not opened.others:
            del self.waiting[held.job]
            opened.holder = back.rank

    def is_newest(self, attempt: AttemptId, rank: int) -> bool:
        """Tell whether a rank holds a job by its newest attempt."""
        opened = self.open.get(attempt.job)
        return opened is not None and opened.is_newest(attempt.number, rank)

    def is_last(self, key: JobKey, cause: Cause) -> bool:
        """Tell whether a job is given up with another failure."""
        return self.open[key].gives_up(cause, self.max_failures)

    def holders(self) -> list[int]:
        """List the ranks that have the newest attempt at an open job in work."""
        queued = self._queued.values()
        working = (opened for key, opened in self.open.items() if key not in queued)
        return [rank for opened in working for rank in opened.slot]

    @property
    def held(self) -> int:
        """How many jobs are held by a rank."""
        return len(self.open) - len(self.waiting)

    def waits_at(self, at: float) -> bool:
        """Tell whether a job waits that there is time for; a suspect may wait for another's end."""
        if not self.waiting:
            return False
        rungs = self.rungs_at(at)
        watched = self._suspects.are_in_work(self.open)
        return any(
            key.rung < rungs and not (watched and key in self._suspects) for key in self.waiting
        )

    def is_out_of_time(self, at: float) -> bool:
        """Tell whether there is no time left for any job."""
        return self.rungs_at(at) == 0

    def rungs_at(self, at: float) -> int:
        """Count the lowest rungs that there is time for."""
        return self.time_left.rungs_at(at, len(self.scheduler.rungs))

    def next_waiting(self, at: float, but_not: Container[JobKey]) -> JobKey | None:
        """Tell which job is the next of those that wait, but for some; suspects come last."""
        rungs = self.rungs_at(at)
        waiting = [key for key in self.waiting if key.rung < rungs and key not in but_not]
        sound = next((key for key in waiting if key not in self._suspects), None)
        if sound is not None or self._suspects.are_in_work(self.open):
            return sound
        return next(iter(waiting), None)

    def _next_waiting(
        self, rank: int, able: float, doubted: AbstractSet[int], rungs: int
    ) -> JobKey | None:
        suspect = None
        for key in self.waiting:
            if key.rung >= rungs:
                continue
            if not self.open[key].is_for(rank, able, doubted):
                continue
            if key not in self._suspects:
                return key
            suspect = suspect or key
        watched = suspect is not None and self._suspects.are_in_work(self.open)
        return None if watched else suspect

    def _put_back(self, opened: OpenJob) -> None:
        self._let_go(opened)
        opened.holder = None
        self.interrupted.pop(opened.job.key, None)
        self.waiting[opened.job.key] = None

    def _close(self, key: JobKey, loss: float, metrics: Metrics) -> Closed:
        opened = self._forget(key)
        if key == BASELINE_KEY:
            self._has_baseline, self._tried_baseline = True, opened.attempts
            return Closed(slot=opened.slot)
        over = self.scheduler.tell(opened.job, loss, metrics)
        for trial in over:
            self.saved.pop(trial, None)
        needless = self.best.compare(key, loss, metrics, over)
        return Closed(tuple(over), tuple(needless), opened.slot)

    def _forget(self, key: JobKey) -> OpenJob:
        """Have a job be open no more."""
        self.waiting.pop(key, None)
        self.interrupted.pop(key, None)
        self._suspects.drop(key)
        opened = self.open.pop(key)
        self._let_go(opened)
        return opened

    def _let_go(self, opened: OpenJob) -> None:
        """Have a rank go on with what is queued, where it has this in work; or have it not queued.

        Each result pays for it, and most studies queue nothing.
        """
        if self._queued and opened.holder is not None:
            self._queued.pop(opened.holder, None)

    # -- a start, and its end ---------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a start: no end is known of it yet, and what was held until then is interrupted."""
        self.time_left.deadline = None
        self.hope.begin()
        for key in [*self._queued.values()]:
            self._put_back(self.open[key])
        self._answered_at.clear()
        for key, opened in self.open.items():
            opened.failed_on = []
            if opened.holder is not None:
                self.interrupted[key] = None

    def reopen(self) -> None:
        """Have the interrupted jobs wait again."""
        for key in list(self.interrupted):
            self._put_back(self.open[key])

    def end(self, outcome: Outcome) -> None:
        """End what is in work: it is known why."""
        for opened in self.open.values():
            if opened.holder is not None:
                self._put_back(opened)
        if outcome is Outcome.COMPLETE:
            self.saved.clear()  # what was kept is found; nobody waits for what was not
