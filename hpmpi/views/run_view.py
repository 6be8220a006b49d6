"""What a run came to, as its journal says: finished or not, from anywhere, disturbing nothing.

Rule: a run folder may be anybody's. Nothing that it names is imported, and no nonsense is believed.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hpmpi.errors import SettingsError, StoreError
from hpmpi.history.audit import audit
from hpmpi.history.leaderboard import Leaderboard
from hpmpi.history.progress import Progress, Rung
from hpmpi.model.messages import Outcome
from hpmpi.model.records import Baseline, Decision, Ended, Failure, Refused, Started
from hpmpi.model.trial import WORST, Metrics
from hpmpi.storage import lock, run_folder
from hpmpi.study import settings
from hpmpi.study.settings import Settings

MENDED = "mend that, and the same command goes on with the other trials, or --fresh with all"
"""What to do about trials that fail alike."""


class Summary(msgspec.Struct, frozen=True):
    """A run; without an outcome it goes on, or died.

    `sign` is that of who has the run folder, `seen` what its files looked like at `looked_at`, in
    seconds since 1970.
    """

    study: Settings
    decisions: Sequence[Decision]
    board: Leaderboard
    progress: Progress
    outcome: Outcome | None
    baseline: Metrics | None
    """Of the baseline; without one, of the first trial, where the study says what to try first."""
    elapsed_s: float
    failures: list[Failure]
    refusal: str
    unwritten: bool = False
    """Whether the study is complete, and its results file could not be written."""
    sign: lock.Sign | None = None
    seen: run_folder.Seen = None
    looked_at: float = 0.0

    @property
    def goes_on(self) -> bool:
        """Whether somebody runs it, as far as can be seen."""
        return self.outcome is None and self.sign is not None and self.sign.alive

    @property
    def rungs(self) -> list[Rung]:
        """What became of the jobs of each rung."""
        return self.progress.rungs(going_on=self.goes_on)

    @property
    def gain(self) -> float | None:
        """By how much the incumbent is better than the baseline; None where either is missing."""
        goal = self.study.goal
        if self.board.incumbent is None or self.baseline is None:
            return None
        return goal.signed(self.baseline[goal.metric]) - self.board.incumbent.loss


def look(folder: Path, before: Summary | None = None) -> Summary:
    """Sum up the run in a folder; raises StoreError where none is, ReplayError for nonsense.

    The journal is not read again where nothing has changed since it was seen `before`.
    """
    seen = run_folder.look(folder)
    summary = read(folder) if before is None or before.seen != seen else before
    sign = lock.sign_of_life(folder)
    if sign is None and summary.outcome is None and run_folder.look(folder) != seen:
        return look(folder)  # it ended in between, and has said so
    unwritten = run_folder.read_status(folder).state == run_folder.UNWRITTEN
    return msgspec.structs.replace(
        summary, unwritten=unwritten, sign=sign, seen=seen, looked_at=time.time()
    )


def read(folder: Path) -> Summary:
    """Sum up what a folder holds, whoever has it; raises as `look` does."""
    decisions = run_folder.read(folder).decisions
    if not decisions:
        if run_folder.is_begun(folder) and any(folder.iterdir()):
            raise StoreError(f"the run in {folder} has only begun: nothing was decided yet")
        raise StoreError(f"there is no run in {folder}: it has neither a journal nor run.h5")
    study = stored_study(decisions, folder)
    audit(decisions, study.goal.metric)
    return sum_up(study, decisions)


def sum_up(study: Settings, decisions: list[Decision], *, unwritten: bool = False) -> Summary:
    """Sum up a journal."""
    last = decisions[-1]
    refusals = [each.error for each in decisions if isinstance(each, Refused)]
    board = board_of(study, decisions)
    return Summary(
        study=study,
        decisions=decisions,
        board=board,
        progress=progress_of(decisions),
        outcome=last.outcome if isinstance(last, Ended) else None,
        baseline=baseline_of(decisions) or tried_first(study, board),
        elapsed_s=last.at,
        failures=[each for each in decisions if isinstance(each, Failure)],
        refusal=refusals[-1] if refusals else "",
        unwritten=unwritten,
    )


def stored_study(decisions: Sequence[Decision], folder: Path) -> Settings:
    """Read the study as it ran last; raises StoreError."""
    for decision in reversed(decisions):
        if isinstance(decision, Started):
            try:
                return settings.parse(decision.settings)
            except SettingsError as error:
                raise StoreError(f"the settings stored in {folder} are damaged: {error}") from error
    raise StoreError(f"the journal in {folder} does not say which study it is of")


def board_of(
    study: Settings, decisions: Sequence[Decision], rungs: Sequence[int] | None = None
) -> Leaderboard:
    """Make the leaderboard that a journal leads to; without `rungs`, as its last start has them."""
    if rungs is None:
        starts = [each for each in decisions if isinstance(each, Started)]
        rungs = starts[-1].rungs if starts else ()
    board = Leaderboard(study.goal, len(rungs) - 1)
    for decision in decisions:
        board.add(decision)
    return board


def progress_of(decisions: Sequence[Decision]) -> Progress:
    """Tell how far a journal leads."""
    progress = Progress()
    for decision in decisions:
        progress.add(decision)
    return progress


def baseline_of(decisions: list[Decision]) -> Metrics | None:
    """Find what the baseline reached."""
    return next((each.metrics for each in decisions if isinstance(each, Baseline)), None)


def tried_first(study: Settings, board: Leaderboard) -> Metrics | None:
    """Find what was reached by what was tried first, where it compares with the incumbent."""
    if study.baseline is not None or not study.searcher.get("first") or board.incumbent is None:
        return None
    first = board.standings[0]
    comparable = first.loss < WORST and first.resource == board.incumbent.resource
    return first.metrics if comparable else None
