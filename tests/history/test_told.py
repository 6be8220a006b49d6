"""The journal alone tells what the master knows, whatever goes wrong in a cluster."""

from pathlib import Path

import msgspec
import pytest

from hpmpi.history.attempts import Fate
from hpmpi.history.history import History
from hpmpi.history.ranks import RankState
from hpmpi.history.standings import by_fronts
from hpmpi.master.incumbent import BestFront
from hpmpi.master.roster import Worker
from hpmpi.model.events import Event
from hpmpi.model.records import Line, Started
from hpmpi.study.settings import Settings
from tests.harness.simulate import WORLDS, Simulation


class Observed(Simulation):
    """A simulation in which the history is compared with the master's own books."""

    history: History

    def handle(self, event: Event) -> None:
        """Compare after each event."""
        super().handle(event)
        for line in self.lines[self.history.lines :]:
            self._tell(line)
        self._compare_jobs()
        self._compare_ranks()

    def _compare_jobs(self) -> None:
        jobs, newest = self.master.jobs, self.history._attempts.open
        opened = {key: it for key, it in jobs.open.items() if it.attempts > 0}
        assert {key: attempt.id.number for key, attempt in newest.items()} == {
            key: it.attempts for key, it in opened.items()
        }
        held = {key for key, it in opened.items() if it.holder is not None}
        in_hand = (Fate.OPEN, Fate.QUEUED)
        assert {key for key, attempt in newest.items() if attempt.fate in in_hand} == held
        if isinstance(jobs.best, BestFront):
            front = self.history.standings.front
            assert jobs.best.members == {it.trial: it.losses for it in front}
            assert self.history.standings.ranking()[: len(front)] == by_fronts(front)
            return
        best, incumbent = jobs.best.incumbent, self.history.incumbent
        assert (best is None) == (incumbent is None)
        if best is not None and incumbent is not None:
            assert (best.trial, best.rung, best.loss) == incumbent_of(self.history)

    def _compare_ranks(self) -> None:
        counts = self.history.ranks.counts()
        for state in RankState:
            workers = self.master.roster.workers.values()
            assert counts[state] == sum(state_of(worker) is state for worker in workers)
        for number, rank in self.history.ranks.known.items():
            worker = self.master.roster.workers[number]
            if rank.queued is not None:
                assert rank.queued.id == worker.queued
            if rank.held is not None and not (worker.lost or worker.unfit):
                assert rank.held.id == worker.held

    def _start(self) -> None:
        super()._start()
        self.history = History()
        for line in self.lines:
            self._tell(line)

    def _tell(self, line: Line) -> None:
        if isinstance(line, Started):  # a simulation has no study file
            goals = self.study.goal.each
            metric, mode = [it.metric for it in goals], [it.mode for it in goals]
            study = Settings("s", {}, "s.py:s", metric=metric, mode=mode)
            line = msgspec.structs.replace(line, settings=study.toml())
        self.history.add(line)


def incumbent_of(history: History) -> tuple[int, int, float]:
    """Say who is the best, where, and how good."""
    best = history.best[-1]
    assert history.incumbent is history.trials[best.id.trial]
    return best.id.trial, best.id.rung, history.goal.loss(best.metrics)


def state_of(worker: Worker) -> RankState:
    """Tell what a rank does, as the master knows it."""
    if worker.lost:
        return RankState.LOST
    if worker.unfit:
        return RankState.UNFIT
    if worker.aside:
        return RankState.QUARANTINED
    if worker.held is not None:
        return RankState.BUSY
    return RankState.IDLE if worker.ready else RankState.AWAITED


@pytest.mark.parametrize("world", WORLDS)
def test_the_journal_tells_what_the_master_knows(world: str, tmp_path: Path) -> None:
    for seed in range(20):
        folder = tmp_path / str(seed)
        folder.mkdir()
        assert Observed(WORLDS[world], seed, folder).run() is not None
