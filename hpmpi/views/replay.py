"""`hpmpi replay`: derive every decision of a run again; name the first that comes out otherwise.

A line of the journal has an event and what was decided on it. So the events are fed to the same
master as in a run, and it is compared what that decides. What only ranks, people and the searcher
can know are facts: what was reported, who was silent, that somebody wanted the run to end, which
configuration was suggested, that code of the user's raised, which may be mended by now.

The searcher may be asked again, too, beside all that: how many of its suggestions agree?
"""

import math
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import msgspec

from hpmpi.errors import ReplayError, SettingsError, StoreError
from hpmpi.history.bounds import check_start
from hpmpi.master.master import Master
from hpmpi.master.roster import Roster
from hpmpi.model.records import Decision, Entry, Line, Started
from hpmpi.storage import run_folder
from hpmpi.storage.resume import begin, check_rungs, jobs_of, new_jobs, rules_of
from hpmpi.study import changes, checks, settings
from hpmpi.study.settings import Settings
from hpmpi.study.toml import without_none
from hpmpi.views.suggestions import Recorded, ask_again


class Verdict(msgspec.Struct, frozen=True):
    """How many decisions agree, until one differs; and suggestions of how many, if asked for."""

    agreed: int
    difference: str | None = None
    suggestions: tuple[int, int] | None = None


def text(verdict: Verdict) -> str:
    """Say in a line what came of a replay."""
    if verdict.difference is not None:
        return f"replay: {verdict.agreed} decisions agree; {verdict.difference}"
    agrees = f"replay: all {verdict.agreed} decisions agree"
    if verdict.suggestions is None:
        return agrees
    agreed, asked = verdict.suggestions
    return f"{agrees}; {agreed} of {asked} suggestions of the searcher do"


def replay(folder: Path, *, trust: bool, searcher: bool = False) -> Verdict:
    """Derive the run in a folder again, and change nothing.

    With `trust`, the scheduler that the folder names may be code of its own; and so may the
    searcher, which is asked again where that is wanted. Raises StoreError where there is no run,
    SettingsError where its settings can't be used.
    """
    lines = run_folder.read(folder).lines
    if not lines or not isinstance(lines[0], Started):
        raise StoreError(f"there is no run in {folder}, or not its beginning")
    replayer = Replayer(lines, trust=trust)
    for number, line in enumerate(lines):
        try:
            replayer.redo(number, line)
        except ReplayError as error:
            where = f"line {number + 1} of {run_folder.JOURNAL} differs"
            return Verdict(replayer.agreed, f"{where}: {error}")
    if not searcher:
        return Verdict(replayer.agreed)
    study = study_of(replayer.started, trust=trust, searcher=True)
    return Verdict(replayer.agreed, suggestions=ask_again(study, lines))


class Replayer:
    """Lead a study once more, line by line; `agreed` counts decisions."""

    def __init__(self, lines: Sequence[Line], *, trust: bool) -> None:
        """Begin before the first start; raises SettingsError where its settings can't be used."""
        started = lines[0]
        assert isinstance(started, Started), "a journal begins with a start"
        self.started = started
        self._lines = lines
        self.agreed = 0
        self._trust = trust
        self._study = study_of(started, trust=trust)
        self._searcher = Recorded()
        self._jobs = new_jobs(self._study, self._searcher)
        self._master: Master | None = None
        self._at = 0.0

    def redo(self, number: int, line: Line) -> None:
        """Derive what a line, by its number, says; raises ReplayError if it comes out otherwise."""
        if not line.at >= self._at:
            raise ReplayError("it is older than the line before it")
        self._at = line.at
        if isinstance(line, Started):
            self._start(line, number)
        else:
            self._handle(line)

    def _start(self, started: Started, number: int) -> None:
        check_start(started)  # before there is room made for it
        study = study_of(started, trust=self._trust)
        differences = changes.differences(study, self._study)
        if differences:
            raise ReplayError(f"another study was started: {'; '.join(differences)}")
        try:
            check_rungs(self._jobs.scheduler.rungs, started)
        except SettingsError as error:
            raise ReplayError(str(error)) from error
        self.started, self._study = started, study
        # Who was silent is told, and nobody's silence is judged.
        ranks = list(range(1, started.ranks + 1))
        roster = Roster(ranks, patience_s=math.inf, start_s=math.inf, now=started.at)
        if self._jobs.scheduler.error is not None:  # it was mended, and told of all that it missed
            self._jobs = jobs_of(study, self._lines[:number], self._searcher)
        begin(self._jobs, study, started)
        self._master = Master(self._jobs, roster, rules_of(study), study.seed)

    def _handle(self, entry: Entry) -> None:
        master = self._master
        if master is None or master.outcome is not None:
            raise ReplayError("nothing happens between two starts")
        self._searcher.is_over = any(it.config is None for it in entry.suggested)
        master.jobs.suggestions.learn(entry.suggested)
        try:
            again = master.handle(entry.event, entry.at, entry.raised).entry
        except (KeyError, AssertionError) as error:  # a rank, or a metric, that is not there
            raise ReplayError(f"that can't have happened: {error!r}") from error
        derived = () if again is None else again.decisions
        for decision, other in zip_longest(entry.decisions, derived):
            if decision != other:
                raise ReplayError(f"{told(decision)}; derived: {told(other)}")
            self.agreed += 1
        if master.outcome is not None:  # as a start does that follows
            master.jobs.end(master.outcome)


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
    """Write a decision in a line."""
    if decision is None:
        return "nothing"
    fields: dict[str, object] = msgspec.to_builtins(decision)
    shown = [f"{name} {value}" for name, value in fields.items() if name not in ("type", "attempt")]
    attempt = getattr(decision, "attempt", None)
    named = [] if attempt is None else [str(attempt)]
    return " ".join([type(decision).__name__.lower(), *named, *shown])
