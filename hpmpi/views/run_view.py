"""How a run stands, as its journal says: finished or not, from anywhere, disturbing nothing.

Rule: a run folder may be anybody's. Nothing that it names is imported, and no nonsense is believed.
"""

import contextlib
import time
from pathlib import Path

import msgspec

from hpmpi.errors import HpmpiError, StoreError
from hpmpi.history.history import History
from hpmpi.history.overview import Overview, overview
from hpmpi.history.rungs import RungCounts
from hpmpi.model.messages import Outcome
from hpmpi.model.trial import WORST, Goal, Metrics
from hpmpi.storage import lock, run_folder
from hpmpi.storage.journal import JournalReader
from hpmpi.study.settings import Settings

MENDED = "mend that, and the same command goes on with the other trials, or --fresh with all"
"""What to do about trials that fail alike."""


UNTOUCHED = "test_"
"""How the name of a metric begins that is of data that no choice was made on."""


class Summary(msgspec.Struct, frozen=True):
    """What the journal of a run says, and what is seen beside it.

    `unwritten`: whether it is complete, and its results file could not be written. Without an
    outcome it goes on, or died. `sign` is that of who has the run folder, `seen` what its files
    looked like at `looked_at`, in seconds since 1970. The `reader` of the journal stands where the
    history ends, in the `folder`.
    """

    history: History
    unwritten: bool = False
    sign: lock.Sign | None = None
    seen: run_folder.Seen = None
    looked_at: float = 0.0
    reader: JournalReader | None = None
    folder: Path | None = None

    @property
    def study(self) -> Settings:
        """The study as it ran last."""
        return self.history.study

    @property
    def outcome(self) -> Outcome | None:
        """What the newest start came to."""
        return self.history.outcome

    @property
    def goes_on(self) -> bool:
        """Whether somebody runs it, as far as can be seen."""
        return self.outcome is None and self.sign is not None and self.sign.alive

    @property
    def at(self) -> float:
        """Tell the time since the study began: by now, where it goes on."""
        since_s = self.looked_at - self.seen[2] / 1e9 if self.goes_on and self.seen else 0.0
        return self.history.at + max(0.0, since_s)

    def overview(self, top: int) -> Overview:
        """Make the overview, with the best `top` trials."""
        return overview(self.history, self.at, top, going_on=self.goes_on)

    @property
    def rungs(self) -> list[RungCounts]:
        """What became of the jobs of each rung."""
        return self.history.rungs(going_on=self.goes_on)

    @property
    def baseline(self) -> Metrics | None:
        """What the baseline reached; without one, what was tried first."""
        return self.history.baseline or tried_first(self.history)

    @property
    def judge(self) -> Goal:
        """What the incumbent and the baseline are compared by.

        `test_accuracy`, say, where `accuracy` is studied and both have it: it is of data that no
        choice was made on. The incumbent was chosen by what is studied, and that flatters it.
        """
        goal, incumbent, baseline = self.history.goal, self.history.incumbent, self.baseline
        if incumbent is None or baseline is None or goal.others:
            return goal
        apart = Goal(f"{UNTOUCHED}{goal.metric}", goal.mode)
        return apart if apart.is_in(incumbent.metrics) and apart.is_in(baseline) else goal

    @property
    def gain(self) -> float | None:
        """By how much the incumbent is better than the baseline; None where either is missing.

        None of several metrics, too: that is no number.
        """
        goal, incumbent, baseline = self.judge, self.history.incumbent, self.baseline
        if incumbent is None or baseline is None or goal.others or goal.loss(baseline) == WORST:
            return None
        return goal.loss(baseline) - goal.loss(incumbent.metrics)


def look(folder: Path, before: Summary | None = None) -> Summary:
    """Sum up the run in a folder; raises StoreError where none is, ReplayError for nonsense.

    What was seen `before` grows into what is there now, and is not read again.
    """
    seen = run_folder.look(folder)
    summary = before if before is not None and before.seen == seen else read(folder, seen, before)
    sign = lock.sign_of_life(folder)
    if sign is None and summary.outcome is None and run_folder.look(folder) != seen:
        return look(folder, summary)  # it ended in between, and has said so
    unwritten = run_folder.read_status(folder).state == run_folder.UNWRITTEN
    return msgspec.structs.replace(
        summary,
        unwritten=unwritten,
        sign=sign,
        seen=seen,
        looked_at=time.time(),
        folder=folder,
    )


def read(folder: Path, seen: run_folder.Seen, before: Summary | None = None) -> Summary:
    """Sum up what a folder holds, whoever has it; raises as `look` does."""
    if before is not None and before.reader is not None and is_same(before.seen, seen):
        with contextlib.suppress(HpmpiError):  # it is another by now
            for line in before.reader.read().lines:
                before.history.add(line)
            return before
    saved = run_folder.read(folder)
    if not saved.lines:
        if run_folder.is_begun(folder) and any(folder.iterdir()):
            raise StoreError(f"the run in {folder} has only begun: nothing was decided yet")
        raise StoreError(f"there is no run in {folder}: it has neither a journal nor run.h5")
    reader = JournalReader(folder / run_folder.JOURNAL)
    reader.length, reader.crc, reader.count = saved.length, saved.crc, len(saved.lines)
    return msgspec.structs.replace(sum_up(History(saved.lines)), reader=reader)


def is_same(before: run_folder.Seen, seen: run_folder.Seen) -> bool:
    """Tell whether a journal may be one that was seen before, with more in it."""
    return before is not None and seen is not None and before[0] == seen[0]


def sum_up(history: History, *, unwritten: bool = False, folder: Path | None = None) -> Summary:
    """Sum up a history; raises ReplayError where it does not say which study it is of."""
    assert history.goal, "it is read here at the latest"
    return Summary(history, unwritten, folder=folder)


def tried_first(history: History) -> Metrics | None:
    """Find what was reached by what was tried first, where it compares with the incumbent."""
    study, incumbent = history.study, history.incumbent
    if study.baseline is not None or not study.searcher.get("first") or incumbent is None:
        return None
    first = history.trials[0]
    comparable = first.loss < WORST and first.resource == incumbent.resource
    return first.metrics if comparable else None
