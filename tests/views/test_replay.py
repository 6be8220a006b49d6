"""What a run decided is derived again; whatever was changed in its journal is named."""

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from hpmpi import __version__
from hpmpi.errors import HpmpiError, SettingsError, StoreError
from hpmpi.master.drain import NO_TIME
from hpmpi.master.master import Master
from hpmpi.master.roster import Roster
from hpmpi.master.searchers.random import Random
from hpmpi.model.events import Heard, Interrupted, Silent, Tick
from hpmpi.model.messages import Beat, FailureKind, Finished, Outcome, Ready
from hpmpi.model.records import (
    Assigned,
    Back,
    Deadline,
    Decision,
    Draining,
    Ended,
    Entry,
    Failure,
    Late,
    Line,
    Result,
    Started,
    Suspension,
)
from hpmpi.model.trial import AttemptId
from hpmpi.storage import run_folder
from hpmpi.storage.resume import begin, jobs_of, rules_of
from hpmpi.study import settings, toml
from hpmpi.study.settings import Settings
from hpmpi.views.replay import Verdict, replay, text
from hpmpi.views.run_view import look
from tests.harness import build, journals, runs
from tests.harness.runs import ROOT
from tests.harness.simulate import WORLDS, simulate

Journal = list[Line]
Change = Callable[[Journal], tuple[Journal, int]]


def settings_of(study: build.Study, **changes: object) -> str:
    """Write a simulated study as a run stores it."""
    methods = {"stopping": "tests.harness.build:Stopping", "delayed": "asha"}
    scheduler: dict[str, object] = {
        "method": methods.get(study.method, study.method),
        "max_resource": study.ladder[-1],
    }
    if study.method != "full":
        own = {"top": {"k": build.TOP_K}, "median": {"min_trials": build.MIN_TRIALS}}
        scheduler |= {"min_resource": study.low, **own.get(study.method, {"eta": study.eta})}
    if study.method == "delayed":
        scheduler |= {"delay": True}
    target, most = study.target_loss, study.max_concurrent
    plateau = study.plateau and study.plateau._asdict()
    stop = {
        "max_trials": study.limit,
        "time_s": study.time_s,
        "target": -target if target is not None and study.mode == "max" else target,
        "max_resource_total": study.max_resource_total,
        "plateau": plateau,
    }
    goals = (study.goal, *study.goal.others)
    metrics = [goal.metric for goal in goals]
    told = {
        "name": "simulated",
        "objective": "train.py:train",
        "metric": metrics if study.several else study.goal.metric,
        "mode": [goal.mode for goal in goals] if study.several else study.mode,
        "seed": study.seed,
        "space": msgspec.to_builtins(build.SPACE.dimensions),
        "searcher": {"method": "random"},
        "scheduler": scheduler,
        "stop": {key: value for key, value in stop.items() if value is not None},
        "limits": {
            "max_failures": study.failures,
            "patience_s": study.patience_s,
            "grace_s": study.grace_s,
            "quarantine": study.quarantine,
        },
        "run": {"short_s": study.short_s} | ({} if most is None else {"max_concurrent": most}),
        **({} if study.baseline is None else {"baseline": "train.py:compare"}),
    }
    return toml.dump(told | changes)


def journal_of(world: str, seed: int, **changes: object) -> Journal:
    """Simulate a study, and write its journal as a run would."""
    simulation = simulate(world, seed)
    study = settings_of(simulation.study, **changes)
    rungs = simulation.study.scheduler().rungs
    return [
        msgspec.structs.replace(it, settings=study, rungs=rungs) if isinstance(it, Started) else it
        for it in simulation.lines
    ]


def replayed(folder: Path, journal: Journal, *, trust: bool = False) -> Verdict:
    """Write a journal, and replay it."""
    journals.write(folder, journal)
    return replay(folder, trust=trust)


def decisions_in(journal: Journal) -> int:
    """Count the decisions of a journal."""
    return sum(len(line.decisions) for line in journal if isinstance(line, Entry))


HERE = [name for name, world in WORLDS.items() if not world.cpus]
"""Worlds of one processor; a searcher that raised in one is mended now."""


@pytest.mark.parametrize("world", HERE)
def test_what_was_decided_is_derived_again(world: str, tmp_path: Path) -> None:
    for seed in range(20):
        journal = journal_of(world, seed)
        verdict = replayed(tmp_path, journal, trust=True)
        assert verdict.difference is None, seed
        assert verdict.agreed == decisions_in(journal)


def test_a_journal_that_goes_on_is_derived_as_far_as_it_is(tmp_path: Path) -> None:
    journal = journal_of("restarts", 3)
    for length in range(1, len(journal)):
        assert replayed(tmp_path, journal[:length]).difference is None


def settings_in(journal: Journal) -> Settings:
    """Read the settings of the first start."""
    assert isinstance(journal[0], Started)
    return settings.parse(journal[0].settings)


def started_again(journal: Journal) -> tuple[Journal, Master]:
    """Start a study again for nine more trials, on one rank, as a start does."""
    at, study = journal[-1].at + 1.0, settings_in(journal)
    stop = msgspec.structs.replace(study.stop, max_trials=(study.stop.max_trials or 0) + 9)
    study = msgspec.structs.replace(study, stop=stop)
    started = Started(at, __version__, study.toml(), "", 1)
    jobs = jobs_of(study, journal, Random(build.SPACE, study.seed, []))
    begin(jobs, study, started)
    roster = Roster([1], patience_s=math.inf, start_s=math.inf, now=at)
    return [*journal, started], Master(jobs, roster, rules_of(study), study.seed)


def test_a_complete_study_that_goes_on_is_derived_as_it_went_on(tmp_path: Path) -> None:
    promoted = 0
    for seed in range(20):
        journal, master = started_again(journal_of("calm", seed))
        trials, event = master.jobs.trials, Heard(1, Ready("node1", 1))
        worst = dict.fromkeys(settings_in(journal).goal.names, math.nan)
        for _ in range(9):  # until a trial goes on that had its checkpoint when all was done
            entry = master.handle(event, journal[-1].at).entry
            assert entry is not None
            journal.append(entry)
            attempts = [it.attempt for it in entry.decisions if isinstance(it, Assigned)]
            if not attempts or attempts[0].trial < trials:
                break
            event = Heard(1, Finished(attempts[0], worst, saved=1))
        if attempts and attempts[0].trial < trials:
            promoted += 1
            journal, master = started_again(journal)
            saved = {attempts[0].trial: 1}
            entry = master.handle(Interrupted(saved), journal[-1].at).entry
            assert entry is not None
            journal.append(entry)
        assert replayed(tmp_path, journal, trust=True).difference is None, seed
    assert promoted


# -- a journal that was changed -------------------------------------------------------------------


def first(
    journal: Journal, kind: type[Decision], holds: Callable[[Decision], bool] = lambda _: True
) -> int:
    """Find the first line with a decision of a kind of which something holds."""
    return next(
        at
        for at, line in enumerate(journal)
        if isinstance(line, Entry)
        and any(isinstance(it, kind) and holds(it) for it in line.decisions)
    )


def entry_at(journal: Journal, at: int) -> Entry:
    """Take what must be an entry."""
    line = journal[at]
    assert isinstance(line, Entry)
    return line


def changed(at: int, journal: Journal, **fields: object) -> tuple[Journal, int]:
    """Change one line; say which it is."""
    other = msgspec.structs.replace(journal[at], **fields)
    return [*journal[:at], other, *journal[at + 1 :]], at + 1


def redecided(
    journal: Journal,
    kind: type[Decision],
    holds: Callable[[Decision], bool] = lambda _: True,
    **fields: object,
) -> tuple[Journal, int]:
    """Change the first decision of a kind of which something holds; say in which line it is."""
    at = first(journal, kind, holds)
    decisions = list(entry_at(journal, at).decisions)
    place = next(i for i, it in enumerate(decisions) if isinstance(it, kind) and holds(it))
    decisions[place] = msgspec.structs.replace(decisions[place], **fields)
    return changed(at, journal, decisions=tuple(decisions))


def with_decision(journal: Journal, at: int, decision: Decision) -> tuple[Journal, int]:
    """Have one more decision in a line."""
    return changed(at, journal, decisions=(*entry_at(journal, at).decisions, decision))


def inserted(journal: Journal, at: int, entry: Entry) -> Journal:
    """Have one more line, before another."""
    return [*journal[:at], entry, *journal[at:]]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ranks": 2**53}, "there can't be 9007199254740992 ranks"),
        ({"ranks": 2**62}, "there can't be 4611686018427387904 ranks"),
        ({"rungs": tuple(range(1, 10**5))}, "there can't be 99999 rungs"),
        ({"rungs": (1, 3, 2**60)}, "are no rungs"),
    ],
)
def test_no_room_is_made_for_what_a_forged_start_says(
    tmp_path: Path, fields: dict[str, object], said: str
) -> None:
    journal, _ = changed(0, journal_of("calm", 1), **fields)
    verdict = replayed(tmp_path, journal)
    assert (verdict.agreed, said in str(verdict.difference)) == (0, True)
    with pytest.raises(HpmpiError, match="the journal is damaged"):
        look(tmp_path)


def another_configuration(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Assigned, lambda it: it.attempt.trial == 0)  # type: ignore[union-attr]
    (suggestion,) = entry_at(journal, at).suggested
    assert suggestion.config is not None
    other = suggestion._replace(config=suggestion.config | {"x": 0.5})
    return changed(at, journal, suggested=(other,))


def no_suggestion(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Assigned, lambda it: it.attempt.trial == 0)  # type: ignore[union-attr]
    return changed(at, journal, suggested=())


def another_attempt(journal: Journal) -> tuple[Journal, int]:
    attempt = AttemptId(0, 0, 2)
    return redecided(journal, Assigned, lambda it: it.attempt.trial == 0, attempt=attempt)  # type: ignore[union-attr]


def another_trial(journal: Journal) -> tuple[Journal, int]:
    return redecided(journal, Assigned, attempt=AttemptId(1, 0, 1))


def another_resource(journal: Journal) -> tuple[Journal, int]:
    return redecided(journal, Assigned, resource=77)


def another_bracket(journal: Journal) -> tuple[Journal, int]:
    return redecided(journal, Assigned, bracket=1)


def a_job_for_nobody(journal: Journal) -> tuple[Journal, int]:
    return redecided(journal, Assigned, rank=99)


def an_answer_of_another_rank(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Result)
    event = entry_at(journal, at).event
    return changed(at, journal, event=msgspec.structs.replace(event, rank=99))


def a_metric_less(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Result, lambda it: it.attempt.trial >= 0)  # type: ignore[union-attr]
    event = entry_at(journal, at).event
    assert isinstance(event, Heard)
    report = msgspec.structs.replace(event.report, metrics={})
    return changed(at, journal, event=Heard(event.rank, report))


def given_up_too_late(journal: Journal) -> tuple[Journal, int]:
    return redecided(journal, Failure, lambda it: it.final, final=False)  # type: ignore[union-attr]


def given_up_too_early(journal: Journal) -> tuple[Journal, int]:
    return redecided(journal, Failure, lambda it: not it.final, final=True)  # type: ignore[union-attr]


def a_rank_that_was_not_lost(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Failure)
    (failure, *others) = entry_at(journal, at).decisions
    lost = msgspec.structs.replace(failure, kind=FailureKind.LOST)
    return changed(at, journal, decisions=(lost, *others))


def a_result_twice(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Result)
    return inserted(journal, at, entry_at(journal, at)), at + 2


def a_decision_left_out(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Result)
    return changed(at, journal, decisions=entry_at(journal, at).decisions[1:])


def a_decision_too_many(journal: Journal) -> tuple[Journal, int]:
    return with_decision(journal, first(journal, Result), Late(AttemptId(0, 0, 1)))


def a_result_before_its_job(journal: Journal) -> tuple[Journal, int]:
    at, result = first(journal, Assigned), first(journal, Result)
    early = msgspec.structs.replace(journal[result], at=journal[at].at)
    assert isinstance(early, Entry)
    return inserted(journal, at, early), at + 1


def a_time_that_goes_back(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Result)
    early = msgspec.structs.replace(journal[at], at=0.0)
    return [*journal[:at], early, *journal[at + 1 :]], at + 1


def an_end_too_early(journal: Journal) -> tuple[Journal, int]:
    return with_decision(journal, first(journal, Result), Ended(Outcome.COMPLETE, "complete"))


def an_end_with_ranks_left(journal: Journal) -> tuple[Journal, int]:
    return redecided(journal, Ended, outcome=Outcome.DESERTED)


def an_end_with_ranks_fit(journal: Journal) -> tuple[Journal, int]:
    return redecided(journal, Ended, outcome=Outcome.UNFIT)


def something_after_the_end(journal: Journal) -> tuple[Journal, int]:
    after = Entry(journal[-1].at, Heard(1, Ready("host", 1)))
    return [*journal, after], len(journal) + 1


def a_rank_that_comes_back_from_nowhere(journal: Journal) -> tuple[Journal, int]:
    back = Entry(journal[1].at, Heard(1, Beat()), (Back(1),))
    return inserted(journal, 2, back), 3


def the_only_rank_lost_and_no_end(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Assigned)
    entry = entry_at(journal, at)
    assert isinstance(entry.event, Heard)
    silent = Entry(entry.at, Silent((entry.event.rank,)))  # it is the only one
    return inserted(journal, at, silent), at + 1


def other_rungs(journal: Journal) -> tuple[Journal, int]:
    return changed(0, journal, rungs=(1, 2, 3))


def an_earlier_drain(journal: Journal) -> tuple[Journal, int]:
    return redecided(journal, Deadline, drains_at=0.0)


def a_drain_without_need(journal: Journal) -> tuple[Journal, int]:
    at = next(
        at
        for at, line in enumerate(journal)
        if isinstance(line, Entry)
        and any(isinstance(it, Deadline) and it.drains_at > line.at for it in line.decisions)
    )
    draining = Entry(journal[at].at, Tick(), (Draining(NO_TIME),))
    return inserted(journal, at + 1, draining), at + 2


def an_end_without_a_drain(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Draining)
    return changed(at, journal, decisions=(Ended(Outcome.DRAINED, NO_TIME),))


def a_deadline_told_twice(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Deadline)
    return inserted(journal, at, entry_at(journal, at)), at + 2


IN_A_QUEUE = [
    an_earlier_drain,
    a_drain_without_need,
    an_end_without_a_drain,
    a_deadline_told_twice,
]

CHANGES = [
    no_suggestion,
    another_attempt,
    another_bracket,
    another_trial,
    another_resource,
    a_job_for_nobody,
    an_answer_of_another_rank,
    a_metric_less,
    given_up_too_late,
    given_up_too_early,
    a_rank_that_was_not_lost,
    a_result_twice,
    a_decision_left_out,
    a_decision_too_many,
    a_result_before_its_job,
    a_time_that_goes_back,
    an_end_too_early,
    an_end_with_ranks_left,
    an_end_with_ranks_fit,
    something_after_the_end,
    a_rank_that_comes_back_from_nowhere,
    the_only_rank_lost_and_no_end,
    other_rungs,
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_named_by_its_line(change: Change, tmp_path: Path) -> None:
    journal, number = change(journal_of("failures", 1))
    told = replayed(tmp_path, journal).difference
    assert told is not None
    assert told.startswith(f"line {number} of journal.jsonl differs: ")


@pytest.mark.parametrize("change", IN_A_QUEUE)
def test_what_was_changed_about_a_deadline_is_named(change: Change, tmp_path: Path) -> None:
    for seed in (3, 4, 5):
        journal, number = change(journal_of("queue", seed))
        told = replayed(tmp_path, journal).difference or ""
        assert told.startswith(f"line {number} of journal.jsonl differs: ")


def test_a_run_that_did_not_drain_when_it_had_to_is_named(tmp_path: Path) -> None:
    tried = 0
    for seed in range(20):
        journal = journal_of("queue", seed)
        for at, line in enumerate(journal[:-1]):
            drains = isinstance(line, Entry) and Draining(NO_TIME) in line.decisions
            after = journal[at + 1]
            goes_on = isinstance(after, Entry) and any(
                isinstance(it, Suspension | Result) for it in after.decisions
            )
            if drains and goes_on:
                told = replayed(tmp_path, [*journal[:at], *journal[at + 1 :]]).difference or ""
                assert "derived: draining why the end of the allocation" in told
                tried += 1
    assert tried


def test_what_is_derived_is_told_beside_what_was_handed_out(tmp_path: Path) -> None:
    journal, _ = another_attempt(journal_of("failures", 1))
    told = replayed(tmp_path, journal).difference or ""
    assert "assigned trial 0 rung 0 attempt 2 resource " in told
    assert "; derived: assigned trial 0 rung 0 attempt 1 resource " in told


def test_a_trial_too_many_is_named(tmp_path: Path) -> None:
    journal = journal_of("calm", 4, stop={"max_trials": 3})
    number = 1 + first(journal, Assigned, lambda it: it.attempt.trial == 3)  # type: ignore[union-attr]
    told = replayed(tmp_path, journal).difference or ""
    assert told.startswith(f"line {number} of journal.jsonl differs")
    assert "assigned trial 3 rung 0 attempt 1 " in told
    assert "; derived: " in told


@pytest.mark.parametrize("stop", [{"time_s": 1e-9}, {"target": 1e9}])
def test_a_job_handed_out_after_the_end_is_named(stop: dict[str, float], tmp_path: Path) -> None:
    journal = journal_of("calm", 7, stop=stop)
    told = replayed(tmp_path, journal).difference or ""
    assert "assigned trial " in told
    assert told.endswith("; derived: ended outcome complete why complete")


def test_a_start_of_another_study_is_named(tmp_path: Path) -> None:
    journal = journal_of("restarts", 3)
    second = [at for at, line in enumerate(journal) if isinstance(line, Started)][1]
    started = journal[second]
    assert isinstance(started, Started)
    told = started.settings.replace("seed = 3", "seed = 4")
    journal, number = changed(second, journal, settings=told)
    expected = f"line {number} of journal.jsonl differs: another study was"
    assert (replayed(tmp_path, journal).difference or "").startswith(expected)


def test_the_limits_are_those_of_each_start(tmp_path: Path) -> None:
    journal = journal_of("restarts", 3)
    second = [at for at, line in enumerate(journal) if isinstance(line, Started)][1]
    study = simulate("restarts", 3).study
    higher = settings_of(msgspec.structs.replace(study, failures=9))
    journal, _ = changed(second, journal, settings=higher)
    assert replayed(tmp_path, journal).difference is None


# -- a folder from elsewhere ----------------------------------------------------------------------

MINE = """
from pathlib import Path
from hpmpi.master.searchers.random import Random

Path({mark!r}).touch()

class Mine(Random):
    pass
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a searcher on the path; return the file that is there once it was imported."""
    mark = tmp_path / "imported"
    (tmp_path / "of_another.py").write_text(MINE.format(mark=str(mark)))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "of_another", raising=False)
    return mark


def test_code_that_a_folder_names_is_not_run(tmp_path: Path, mine: Path) -> None:
    journal = journal_of("calm", 1, searcher={"method": "of_another:Mine"})
    assert replayed(tmp_path, journal).difference is None
    with pytest.raises(SettingsError, match=r"'of_another:Mine' runs the code .* say --trust"):
        replay(tmp_path, trust=False, searcher=True)
    journal = journal_of("calm", 1, scheduler={"method": "of_another:Mine"})
    with pytest.raises(SettingsError, match=r"'of_another:Mine' runs the code .* say --trust"):
        replayed(tmp_path, journal)
    assert not mine.exists()


def test_code_that_is_trusted_is_run(tmp_path: Path, mine: Path) -> None:
    replayed(tmp_path, journal_of("calm", 1, searcher={"method": "of_another:Mine"}))
    agreed, asked = replay(tmp_path, trust=True, searcher=True).suggestions or (0, 0)
    assert agreed == asked > 0
    assert mine.exists()


def test_settings_that_mean_nothing_are_one_message(tmp_path: Path) -> None:
    for searcher in ({"method": "no_such"}, {"method": "random", "sede": 1}):
        with pytest.raises(HpmpiError, match=r"no_such|sede"):
            replayed(tmp_path, journal_of("calm", 1, searcher=searcher))


def test_a_journal_without_a_beginning_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not its beginning"):
        replayed(tmp_path, journal_of("calm", 1)[1:])


# -- the command ----------------------------------------------------------------------------------


def command(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `hpmpi replay` as a user does; it must not load an MPI."""
    program = (
        "import sys; from hpmpi.cli.main import main; code = main(sys.argv[1:]);"
        "assert not {'mpi4py', 'sklearn'} & set(sys.modules); sys.exit(code)"
    )
    return subprocess.run(
        [sys.executable, "-c", program, "replay", str(folder), *options],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=runs.LIMIT_S,
        check=False,
    )


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a study to its end."""
    study = runs.Study(tmp_path_factory.mktemp("complete"), epoch_s=0.0)
    done = study.run(study.command("--workers", "2"))
    assert done.returncode == 0, done.stderr
    return study.out


def test_a_real_run_is_derived_again_and_left_as_it_is(complete: Path) -> None:
    def seen() -> dict[Path, tuple[int, int]]:
        stats = {path: path.stat() for path in [complete, *complete.rglob("*")]}
        return {path: (it.st_mtime_ns, it.st_ino) for path, it in stats.items()}

    before = seen()
    done = command(complete)
    assert (done.returncode, done.stderr) == (0, "")
    total = decisions_in(run_folder.read(complete).lines)
    assert done.stdout == (f"replay: all {total} decisions agree\n")
    assert seen() == before


def test_a_run_is_derived_while_it_goes_on(tmp_path: Path) -> None:
    study = runs.Study(tmp_path, epoch_s=0.05)
    process = study.start(study.command("--workers", "2"))
    study.until(lambda: len(study.results) >= 3, process)
    done = command(study.out)
    assert done.returncode == 0, done.stdout
    assert runs.finish(process).returncode == 0
    assert command(study.out).returncode == 0


def test_a_run_without_a_results_file_is_derived_too(complete: Path, tmp_path: Path) -> None:
    shutil.copy(complete / run_folder.JOURNAL, tmp_path)
    done = command(tmp_path)
    assert done.returncode == 0
    assert "decisions agree" in done.stdout


def test_what_was_suggested_is_a_fact_and_the_searcher_may_be_asked_again(tmp_path: Path) -> None:
    journal = journal_of("calm", 1)
    trials = sum(len(line.suggested) for line in journal if isinstance(line, Entry))
    journals.write(tmp_path, journal)
    verdict = replay(tmp_path, trust=False, searcher=True)
    assert (verdict.difference, verdict.suggestions) == (None, (trials, trials))
    journal, _ = another_configuration(journal)
    journals.write(tmp_path, journal)
    done = command(tmp_path, "--searcher")
    assert done.returncode == 0
    said = f"{trials - 1} of {trials} suggestions of the searcher do\n"
    assert done.stdout == f"replay: all {decisions_in(journal)} decisions agree; {said}"


def test_a_difference_ends_with_1_and_does_not_act_on_the_terminal(tmp_path: Path) -> None:
    journal = journal_of("calm", 1)
    at = first(journal, Result)
    journal, number = with_decision(journal, at, Draining("\x1b[31m\x9b2J\u202e"))
    journals.write(tmp_path, journal)
    done = command(tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    agree = decisions_in(journal[:number]) - 1
    assert done.stdout.startswith(f"replay: {agree} decisions agree; line {number} of ")
    assert done.stdout.rstrip("\n").isprintable()


def test_a_folder_without_a_run_ends_with_2(tmp_path: Path) -> None:
    done = command(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no run in" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_came_of_it_is_said_in_a_line() -> None:
    assert text(Verdict(7)) == "replay: all 7 decisions agree"
    said = "replay: all 7 decisions agree; 2 of 3 suggestions of the searcher do"
    assert text(Verdict(7, suggestions=(2, 3))) == said
    differs = Verdict(7, difference="line 8 differs")
    assert text(differs) == "replay: 7 decisions agree; line 8 differs"
