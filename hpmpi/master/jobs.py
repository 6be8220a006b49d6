"""The jobs of a study: which are open, where each is, and what came of the others.

              +---------- failed, or its rank was lost ----------+
              v                                                  |
    ask --> waiting --hand out--> held by a rank --result--> told to the scheduler
                                                 --failed too often--> told as the worst

Few changes of state are all there is, and each is a decision of the journal: `hand_out` and the
ones that begin with `take`. A run makes them; a restart, by `redo`, derives them again from the
journal, and finds out where one comes out otherwise.

Rules:

- An open job is in exactly one place, waiting or held by the rank that has its newest attempt.
- Work that waits is handed out before new work is asked for, but to a rank that it failed on only
  where it failed on as many as there are: so a node that fails whatever it is given costs each job
  one attempt.
- Nothing is handed out that there is no time for before the allocation ends.
- When a job is given up, or suspected, is said in blame.py. A suspect waits behind the others, and
  for the end of another suspect.
- The incumbent is the best trial at the highest rung reached; its checkpoint is kept even when it
  will not be asked for again.
"""

import msgspec

from hpmpi.errors import ReplayError
from hpmpi.master.blame import Hope, OpenJob, Suspects
from hpmpi.master.schedulers import Scheduler
from hpmpi.master.shield import GuardedScheduler
from hpmpi.master.time_left import TimeLeft
from hpmpi.model.messages import FailureKind, Outcome
from hpmpi.model.records import (
    Assigned,
    Back,
    Deadline,
    Decision,
    Ended,
    Failure,
    Result,
    Started,
    Suspension,
)
from hpmpi.model.trial import WORST, Config, Goal, Job, JobKey, Metrics


class Incumbent(msgspec.Struct):
    """The best trial at the highest rung reached; `over` if it will not be asked for again."""

    trial: int
    rung: int
    loss: float
    over: bool = False


class Jobs:
    """Everything about a study that outlives its ranks."""

    def __init__(self, scheduler: Scheduler, goal: Goal, max_failures: int) -> None:
        """Start a study; to go on with one, `redo` what was decided first.

        `least`: the least loss of each rung; `interrupted`: the jobs that were in work when the
        last start ended without a word, until it is known what came of them.
        """
        self.scheduler = GuardedScheduler(scheduler)
        self.configs: dict[int, Config] = {}
        self.open: dict[JobKey, OpenJob] = {}
        self.waiting: dict[JobKey, None] = {}
        self.saved: dict[int, int] = {}
        self.incumbent: Incumbent | None = None
        self.least: list[float | None] = [None] * len(self.scheduler.rungs)
        self.hope = Hope()
        self.interrupted: dict[JobKey, None] = {}
        self.time_left = TimeLeft(len(self.scheduler.rungs))
        self._suspects = Suspects()
        self._goal = goal
        self.max_failures = max_failures

    def hand_out(self, rank: int, at: float, *, may_start: bool, able: float) -> Assigned | None:
        """Hand a job out to one of `able` ranks; None when there is none now: nothing changes."""
        rungs = self.time_left.rungs_at(at)
        key = self._next_waiting(rank, able, rungs) or self._ask(may_start=may_start, rungs=rungs)
        return None if key is None else self._give(key, rank, at)

    def _ask(self, *, may_start: bool, rungs: int) -> JobKey | None:
        """Open a job that the scheduler chooses."""
        job = self.scheduler.ask(may_start=may_start, rungs=rungs)
        return None if job is None else self._open(job)

    def _open(self, job: Job) -> JobKey:
        self.open[job.key] = OpenJob(job)
        self.configs.setdefault(job.trial, job.config)
        return job.key

    @property
    def trials(self) -> int:
        """How many trials there are."""
        return len(self.configs)

    def _give(self, key: JobKey, rank: int, at: float) -> Assigned:
        """Have a rank hold a job that is open and held by nobody."""
        self.waiting.pop(key, None)
        opened = self.open[key]
        opened.attempts += 1
        opened.holder = rank
        opened.held_since = at
        first = key.rung == 0 and opened.attempts == 1
        return Assigned(
            at=at,
            trial=key.trial,
            rung=key.rung,
            attempt=opened.attempts,
            resource=opened.job.resource,
            rank=rank,
            config=opened.job.config if first else None,
        )

    def take_result(self, result: Result) -> list[int]:
        """Close a job with its result; return the trials whose checkpoints nobody needs."""
        key = JobKey(result.trial, result.rung)
        if self.is_newest(key, result.attempt, result.rank):
            self.time_left.learn(key.rung, result.at - self.open[key].held_since)
        self.time_left.saves |= result.saved > 0
        self.saved[result.trial] = max(result.saved, self.saved.get(result.trial, 0))
        self.hope.succeed()
        return self._close(key, self._goal.loss(result.metrics), result.metrics)

    def take_failure(self, failure: Failure) -> list[int]:
        """Have a job wait again, or close it as the worst; return as `take_result` does."""
        opened = self.open[JobKey(failure.trial, failure.rung)]
        if failure.final:
            self.hope.give_up(failure)
            return self._close(opened.job.key, WORST, {})
        opened.charge(failure)
        self._suspects.judge(opened)
        self._put_back(opened)
        return []

    def take_suspension(self, suspension: Suspension) -> None:
        """Have a job wait again, to go on from its checkpoint."""
        self.time_left.saves = True
        self.saved[suspension.trial] = max(suspension.saved, self.saved.get(suspension.trial, 0))
        self._put_back(self.open[JobKey(suspension.trial, suspension.rung)])

    def take_back(self, back: Back) -> None:
        """Count a rank that is heard again as not lost; what it held and still waits is its own."""
        held = back.held
        opened = None if held is None else self.open.get(held.job)
        if opened is None or held is None:
            return
        if held.attempt in opened.lost:
            opened.lost.remove(held.attempt)
            self._suspects.judge(opened)
        if held.job in self.waiting and held.attempt == opened.attempts:
            del self.waiting[held.job]
            opened.holder = back.rank

    def is_newest(self, key: JobKey, attempt: int, rank: int) -> bool:
        """Tell whether a rank holds a job by its newest attempt."""
        opened = self.open.get(key)
        return opened is not None and opened.holder == rank and opened.attempts == attempt

    def is_last(self, key: JobKey, kind: FailureKind, error: str, *, used: bool) -> bool:
        """Tell whether a job is given up with another failure, in a process that was `used`."""
        return self.open[key].gives_up(kind, error, self.max_failures, used=used)

    def holders(self) -> list[int]:
        """List the ranks that have the newest attempt at an open job."""
        return [opened.holder for opened in self.open.values() if opened.holder is not None]

    @property
    def held(self) -> int:
        """How many jobs are held by a rank."""
        return len(self.open) - len(self.waiting)

    def waits_at(self, at: float) -> bool:
        """Tell whether a job waits that there is time for; a suspect may wait for another's end."""
        rungs = self.time_left.rungs_at(at)
        watched = self._suspects.are_in_work(self.open)
        return any(
            key.rung < rungs and not (watched and key in self._suspects) for key in self.waiting
        )

    def _next_waiting(self, rank: int, able: float, rungs: int) -> JobKey | None:
        suspect = None
        for key in self.waiting:
            if key.rung >= rungs:
                continue
            failed_on = self.open[key].failed_on
            if rank in failed_on and len(failed_on) < able:
                continue
            if key not in self._suspects:
                return key
            suspect = suspect or key
        watched = suspect is not None and self._suspects.are_in_work(self.open)
        return None if watched else suspect

    def _put_back(self, opened: OpenJob) -> None:
        opened.holder = None
        self.interrupted.pop(opened.job.key, None)
        self.waiting[opened.job.key] = None

    def _close(self, key: JobKey, loss: float, metrics: Metrics) -> list[int]:
        self.waiting.pop(key, None)
        self.interrupted.pop(key, None)
        self._suspects.drop(key)
        over = self.scheduler.tell(self.open.pop(key).job, loss, metrics)
        for trial in over:
            self.saved.pop(trial, None)
        if loss < WORST:
            over += self._compare(key, loss)
        if self.incumbent is None or self.incumbent.trial not in over:
            return over
        self.incumbent.over = True
        return [trial for trial in over if trial != self.incumbent.trial]

    def _compare(self, key: JobKey, loss: float) -> list[int]:
        """Make a result the incumbent if it is better; return the one before, if that is over."""
        least = self.least[key.rung]
        self.least[key.rung] = loss if least is None else min(loss, least)
        before = self.incumbent
        if before is not None and (-key.rung, loss) >= (-before.rung, before.loss):
            return []
        self.incumbent = Incumbent(key.trial, key.rung, loss)
        return [before.trial] if before is not None and before.over else []

    # -- a restart --------------------------------------------------------------------------------

    def redo(self, decision: Decision) -> None:
        """Derive a decision of the journal again; raises ReplayError where it comes out otherwise.

        `Started` knows of no deadline yet, and interrupts the jobs that were held until then; what
        it says of them comes next, but for starts before it was known how to.
        """
        if self.interrupted and not isinstance(decision, Started | Failure | Suspension):
            self.reopen()
        match decision:
            case Started():
                self._start()
            case Assigned():
                self._hand_out_again(decision)
            case Result():
                self._find(decision)
                self.take_result(decision)
            case Failure():
                self._fail_again(decision)
            case Suspension():
                self._find(decision)
                self.take_suspension(decision)
            case Back():
                self.take_back(decision)
            case Deadline():
                self.time_left.deadline = decision
            case Ended(outcome=outcome):
                self._end(outcome)
            case _:
                pass

    def reopen(self) -> None:
        """Have the interrupted jobs wait again."""
        for key in list(self.interrupted):
            self._put_back(self.open[key])

    def _start(self) -> None:
        self.time_left.deadline = None
        self.hope.begin()
        for key, opened in self.open.items():
            opened.failed_on = []
            if opened.holder is not None:
                self.interrupted[key] = None

    def _end(self, outcome: Outcome) -> None:
        """End what is in work: it is known why."""
        for opened in self.open.values():
            if opened.holder is not None:
                self._put_back(opened)
        if outcome is Outcome.COMPLETE:
            self.saved.clear()  # what was kept is found; nobody waits for what was not

    def _hand_out_again(self, assigned: Assigned) -> None:
        """Hand out what waits, or was chosen then."""
        key = JobKey(assigned.trial, assigned.rung)
        if key not in self.waiting:
            job = self._chosen(assigned)
            self.scheduler.adopt(job)
            self._open(job)
        again = self._give(key, assigned.rank, assigned.at)
        if again != assigned:
            raise ReplayError(f"{assigned} can't be derived; it comes out as {again}")

    def _chosen(self, assigned: Assigned) -> Job:
        """Tell which job it was that the scheduler chose."""
        trial, rung, config = assigned.trial, assigned.rung, assigned.config
        if config is None:
            config = self.configs.get(trial)
        elif trial != self.trials:  # it begins a trial
            config = None
        there = rung < len(self.least) and self.scheduler.rungs[rung] == assigned.resource
        if config is None or not there or JobKey(trial, rung) in self.open:
            raise ReplayError(f"{assigned} can't be derived")
        return Job(trial, rung, assigned.resource, config)

    def _fail_again(self, failure: Failure) -> None:
        key, kind, error = self._find(failure), failure.kind, failure.error
        if failure.final != self.is_last(key, kind, error, used=failure.used):
            raise ReplayError(f"{failure} can't be derived; final comes out otherwise")
        self.take_failure(failure)

    def _find(self, decision: Result | Failure | Suspension) -> JobKey:
        key = JobKey(decision.trial, decision.rung)
        if key not in self.open or decision.attempt > self.open[key].attempts:
            raise ReplayError(f"{decision} is of a job that is not open")
        attempt = decision.attempt, decision.rank
        if not isinstance(decision, Result) and not self.is_newest(key, *attempt):
            raise ReplayError(f"{decision} is not of the newest attempt")
        return key
