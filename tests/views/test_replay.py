"""What a run decided is derived again; whatever was changed in its journal is named."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from hpmpi.errors import HpmpiError, SettingsError, StoreError
from hpmpi.master.master import NO_TIME
from hpmpi.model.messages import FailureKind, Outcome
from hpmpi.model.records import (
    Assigned,
    Back,
    Deadline,
    Decision,
    Draining,
    Ended,
    Failure,
    Joined,
    Lost,
    Result,
    Started,
    Suspension,
)
from hpmpi.storage import run_folder
from hpmpi.storage.journal import line_of
from hpmpi.study import toml
from hpmpi.views.replay import Verdict, replay, text
from hpmpi.views.run_view import look
from tests.harness import build, runs
from tests.harness.runs import ROOT
from tests.harness.simulate import WORLDS, simulate

Journal = list[Decision]
Change = Callable[[Journal], tuple[Journal, int]]


def settings_of(study: build.Study, **changes: object) -> str:
    """Write a simulated study as a run stores it."""
    scheduler: dict[str, object] = {"method": study.method, "max_resource": study.high}
    if study.method == "asha":
        scheduler |= {"min_resource": study.low, "eta": study.eta}
    target, most = study.target_loss, study.max_concurrent
    stop = {
        "max_trials": study.limit,
        "time_s": study.time_s,
        "target": -target if target is not None and study.mode == "max" else target,
    }
    told = {
        "name": "simulated",
        "objective": "train.py:train",
        "metric": study.goal.metric,
        "mode": study.mode,
        "seed": study.seed,
        "space": msgspec.to_builtins(build.SPACE.dimensions),
        "searcher": {"method": "random"},
        "scheduler": scheduler,
        "stop": {key: value for key, value in stop.items() if value is not None},
        "limits": {
            "max_failures": study.failures,
            "patience_s": study.patience_s,
            "grace_s": study.grace_s,
        },
        "run": {} if most is None else {"max_concurrent": most},
    }
    return toml.dump(told | changes)


def journal_of(world: str, seed: int, **changes: object) -> Journal:
    """Simulate a study, and write its journal as a run would."""
    simulation = simulate(world, seed)
    study = settings_of(simulation.study, **changes)
    rungs = simulation.study.scheduler().rungs
    return [
        msgspec.structs.replace(it, settings=study, rungs=rungs) if isinstance(it, Started) else it
        for it in simulation.decisions
    ]


def replayed(folder: Path, decisions: Journal, *, trust: bool = False) -> Verdict:
    """Write a journal, and replay it."""
    (folder / run_folder.JOURNAL).write_bytes(b"".join(map(line_of, decisions)))
    return replay(folder, trust=trust)


HERE = [name for name, world in WORLDS.items() if not world.cpus]
"""Worlds of one processor; a searcher that raised in one is mended now."""


@pytest.mark.parametrize("world", HERE)
def test_what_was_decided_is_derived_again(world: str, tmp_path: Path) -> None:
    for seed in range(20):
        decisions = journal_of(world, seed)
        verdict = replayed(tmp_path, decisions)
        assert verdict.difference is None, seed
        assert verdict.agreed == len(decisions)


def test_a_journal_that_goes_on_is_derived_as_far_as_it_is(tmp_path: Path) -> None:
    decisions = journal_of("restarts", 3)
    for length in range(1, len(decisions)):
        assert replayed(tmp_path, decisions[:length]).difference is None


# -- a journal that was changed -------------------------------------------------------------------


def first(journal: Journal, kind: type, holds: Callable[[Decision], bool] = lambda _: True) -> int:
    """Find the first decision of a kind of which something holds."""
    return next(at for at, it in enumerate(journal) if isinstance(it, kind) and holds(it))


def changed(index: int, journal: Journal, **fields: object) -> tuple[Journal, int]:
    """Change one decision; say which line it is."""
    other = msgspec.structs.replace(journal[index], **fields)
    return [*journal[:index], other, *journal[index + 1 :]], index + 1


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
    at = first(journal, Assigned)
    assigned = journal[at]
    assert isinstance(assigned, Assigned)
    assert assigned.config is not None
    return changed(at, journal, config=assigned.config | {"x": 0.5})


def another_attempt(journal: Journal) -> tuple[Journal, int]:
    return changed(first(journal, Assigned), journal, attempt=2)


def another_trial(journal: Journal) -> tuple[Journal, int]:
    return changed(first(journal, Assigned), journal, trial=1)


def another_resource(journal: Journal) -> tuple[Journal, int]:
    return changed(first(journal, Result), journal, resource=77)


def a_job_for_nobody(journal: Journal) -> tuple[Journal, int]:
    return changed(first(journal, Assigned), journal, rank=99)


def an_answer_of_another_rank(journal: Journal) -> tuple[Journal, int]:
    return changed(first(journal, Result), journal, rank=99)


def a_metric_less(journal: Journal) -> tuple[Journal, int]:
    return changed(first(journal, Result), journal, metrics={})


def given_up_too_late(journal: Journal) -> tuple[Journal, int]:
    return changed(first(journal, Failure, lambda it: it.final), journal, final=False)  # type: ignore[union-attr]


def given_up_too_early(journal: Journal) -> tuple[Journal, int]:
    return changed(first(journal, Failure, lambda it: not it.final), journal, final=True)  # type: ignore[union-attr]


def a_rank_that_was_not_lost(journal: Journal) -> tuple[Journal, int]:
    return changed(first(journal, Failure), journal, kind=FailureKind.LOST)


def a_result_twice(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Result)
    return [*journal[: at + 1], *journal[at:]], at + 2


def swapped_lines(journal: Journal) -> tuple[Journal, int]:
    at = next(
        at
        for at, it in enumerate(journal)
        if isinstance(it, Result) and isinstance(journal[at + 1], Assigned)
    )
    swapped = [journal[at + 1], journal[at]]
    return [*journal[:at], *swapped, *journal[at + 2 :]], at + 1


def a_time_that_goes_back(journal: Journal) -> tuple[Journal, int]:
    return changed(first(journal, Result), journal, at=0.0)


def an_end_too_early(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Result)
    end = Ended(journal[at].at, Outcome.COMPLETE, "")
    return [*journal[: at + 1], end], at + 2


def an_end_with_ranks_left(journal: Journal) -> tuple[Journal, int]:
    return changed(len(journal) - 1, journal, outcome=Outcome.DESERTED)


def an_end_with_ranks_fit(journal: Journal) -> tuple[Journal, int]:
    return changed(len(journal) - 1, journal, outcome=Outcome.UNFIT)


def something_after_the_end(journal: Journal) -> tuple[Journal, int]:
    return [*journal, Joined(journal[-1].at, 1, "host", 1)], len(journal) + 1


def a_rank_that_comes_back_from_nowhere(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Joined)
    back = Back(journal[at].at, 1)
    return [*journal[: at + 1], back, *journal[at + 1 :]], at + 2


def a_job_for_a_lost_rank(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Assigned)
    assigned = journal[at]
    assert isinstance(assigned, Assigned)
    return [*journal[:at], Lost(assigned.at, assigned.rank), *journal[at:]], at + 1


def other_rungs(journal: Journal) -> tuple[Journal, int]:
    return changed(0, journal, rungs=(1, 2, 3))


def an_earlier_drain(journal: Journal) -> tuple[Journal, int]:
    return changed(first(journal, Deadline), journal, drains_at=0.0)


def a_drain_without_need(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Deadline, lambda it: it.drains_at > it.at)  # type: ignore[union-attr]
    draining = Draining(journal[at].at, NO_TIME)
    return [*journal[: at + 1], draining, *journal[at + 1 :]], at + 2


def an_end_without_a_drain(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Draining)
    return [*journal[:at], Ended(journal[at].at, Outcome.DRAINED, "")], at + 1


def a_deadline_told_twice(journal: Journal) -> tuple[Journal, int]:
    at = first(journal, Deadline)
    return [*journal[: at + 1], *journal[at:]], at + 2


IN_A_QUEUE = [
    an_earlier_drain,
    a_drain_without_need,
    an_end_without_a_drain,
    a_deadline_told_twice,
]

CHANGES = [
    another_attempt,
    another_trial,
    another_resource,
    a_job_for_nobody,
    an_answer_of_another_rank,
    a_metric_less,
    given_up_too_late,
    given_up_too_early,
    a_rank_that_was_not_lost,
    a_result_twice,
    swapped_lines,
    a_time_that_goes_back,
    an_end_too_early,
    an_end_with_ranks_left,
    an_end_with_ranks_fit,
    something_after_the_end,
    a_rank_that_comes_back_from_nowhere,
    a_job_for_a_lost_rank,
    other_rungs,
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_named_by_its_line(change: Change, tmp_path: Path) -> None:
    decisions, number = change(journal_of("failures", 1))
    told = replayed(tmp_path, decisions).difference
    assert told is not None
    assert told.startswith(f"decision {number} differs (line {number} of journal.jsonl): ")


@pytest.mark.parametrize("change", IN_A_QUEUE)
def test_what_was_changed_about_a_deadline_is_named(change: Change, tmp_path: Path) -> None:
    for seed in (3, 4, 5):
        decisions, number = change(journal_of("queue", seed))
        told = replayed(tmp_path, decisions).difference or ""
        assert told.startswith(f"decision {number} differs (line {number} of journal.jsonl): ")


def test_a_run_that_did_not_drain_when_it_had_to_is_named(tmp_path: Path) -> None:
    found = 0
    for seed in range(20):
        journal = journal_of("queue", seed)
        for at, it in enumerate(journal):
            went_on = isinstance(it, Draining) and isinstance(journal[at + 1], Suspension | Result)
            if went_on:
                told = replayed(tmp_path, [*journal[:at], *journal[at + 1 :]]).difference or ""
                assert "derived: draining why the end of the allocation" in told
                found += 1
    assert found


def test_what_is_derived_is_told_beside_what_was_handed_out(tmp_path: Path) -> None:
    journal, _ = another_attempt(journal_of("failures", 1))
    told = replayed(tmp_path, journal).difference or ""
    assert "assigned trial 0 rung 0 attempt 2 resource " in told
    assert "; derived: assigned trial 0 rung 0 attempt 1 resource " in told


def test_a_trial_too_many_is_named(tmp_path: Path) -> None:
    journal = journal_of("calm", 4, stop={"max_trials": 3})
    number = 1 + first(journal, Assigned, lambda it: it.trial == 3)  # type: ignore[union-attr]
    told = replayed(tmp_path, journal).difference or ""
    assert told.startswith(f"decision {number} differs")
    assert "assigned trial 3 rung 0 attempt 1 " in told
    assert "; derived: " in told


@pytest.mark.parametrize("stop", [{"time_s": 1e-9}, {"target": 1e9}])
def test_a_job_handed_out_after_the_end_is_named(stop: dict[str, float], tmp_path: Path) -> None:
    journal = journal_of("calm", 7, stop=stop)
    told = replayed(tmp_path, journal).difference or ""
    assert "assigned trial " in told
    assert told.endswith("; derived: the end")


def test_a_start_of_another_study_is_named(tmp_path: Path) -> None:
    journal = journal_of("restarts", 3)
    second = first(journal[1:], Started) + 1
    started = journal[second]
    assert isinstance(started, Started)
    told = started.settings.replace("seed = 3", "seed = 4")
    journal, number = changed(second, journal, settings=told)
    expected = f"decision {number} differs (line {number} of journal.jsonl): another study was"
    assert (replayed(tmp_path, journal).difference or "").startswith(expected)


def test_the_limits_are_those_of_each_start(tmp_path: Path) -> None:
    journal = journal_of("restarts", 3)
    second = first(journal[1:], Started) + 1
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
        "import sys; from hpmpi import cli; code = cli.main(sys.argv[1:]);"
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
    total = len(run_folder.read(complete).decisions)
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
    trials = sum(isinstance(it, Assigned) and it.config is not None for it in journal)
    (tmp_path / run_folder.JOURNAL).write_bytes(b"".join(map(line_of, journal)))
    verdict = replay(tmp_path, trust=False, searcher=True)
    assert (verdict.difference, verdict.suggestions) == (None, (trials, trials))
    journal, _ = another_configuration(journal)
    (tmp_path / run_folder.JOURNAL).write_bytes(b"".join(map(line_of, journal)))
    done = command(tmp_path, "--searcher")
    assert done.returncode == 0
    said = f"{trials - 1} of {trials} suggestions of the searcher do\n"
    assert done.stdout == f"replay: all {len(journal)} decisions agree; {said}"


def test_a_difference_ends_with_1_and_does_not_act_on_the_terminal(tmp_path: Path) -> None:
    journal = journal_of("calm", 1)
    at = first(journal, Assigned)
    journal, number = changed(at, journal, resource=77, config={"\x1b[31m": "\x9b2J\u202e"})
    replayed(tmp_path, journal)
    done = command(tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    agree = f"replay: {number - 1} decisions agree; "
    assert done.stdout.startswith(f"{agree}decision {number} differs")
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
    differs = Verdict(7, difference="decision 8 differs")
    assert text(differs) == "replay: 7 decisions agree; decision 8 differs"
