"""The command line as people and scripts see it: exit codes, output, and what is on disk."""

import csv
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import h5py
import msgspec
import numpy as np
import pytest

from hpmpi.model.messages import Outcome
from hpmpi.model.records import Assigned, Ended, Entry, Failure, Line, Result, Started
from hpmpi.model.trial import BASELINE
from hpmpi.storage import lock
from hpmpi.storage.journal import rows_of, text_of
from tests.harness.runs import ROOT, Study, finish, start


def hpmpi(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return finish(start([sys.executable, "-m", "hpmpi", *words], folder))


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Run a study to its end, for those who only look at it."""
    study = Study(tmp_path_factory.mktemp("complete"), epoch_s=0.0)
    done = study.run(study.command("--workers", "3"))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    return study


def test_a_complete_run_prints_its_leaderboard_on_stdout(complete: Study) -> None:
    shown = hpmpi(complete.folder, "show", str(complete.out))
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("mine: complete; 12 trials")
    assert lines[2].split() == ["place", "trial", "loss", "resource", "x"]
    assert lines[3].split()[0] == "1"
    assert lines[3].split()[3] == "9"
    assert (shown.returncode, shown.stderr) == (0, "")


def test_show_top_leaves_out_the_rest(complete: Study) -> None:
    lines = hpmpi(complete.folder, "show", str(complete.out), "--top", "2").stdout.splitlines()
    assert lines[3].split()[0] == "1"
    assert lines[4].split()[0] == "2"
    assert lines[5] == "... and 10 more"


def test_show_json_is_for_programs(complete: Study) -> None:
    told = json.loads(hpmpi(complete.folder, "show", str(complete.out), "--json").stdout)
    assert (told["study"], told["state"], told["trials"]) == ("mine", "complete", 12)
    best, second = told["leaderboard"][:2]
    assert (best["place"], best["resource"]) == (1, 9)
    assert (-best["rung"], best["metrics"]["loss"]) <= (-second["rung"], second["metrics"]["loss"])


def test_of_a_folder_of_runs_each_has_a_line(complete: Study) -> None:
    shown = hpmpi(complete.folder, "show", ".")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("out: mine: complete; 12 trials, ")
    (told,) = json.loads(hpmpi(complete.folder, "show", ".", "--json").stdout)
    assert (told["folder"], told["study"], told["state"]) == ("out", "mine", "complete")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["show", "mine.toml"],
            "mine.toml is a study; its run, by default, would be in results",
        ),
        (["plot", "mine.toml"], "mine.toml is a study; its run"),
        (["show", "out/run.h5"], "out/run.h5 is a file of a run, whose folder is out"),
        (["export", "."], ". is no run, but has some; name one: out"),
        (["replay", "."], ". is no run, but has some; name one: out"),
        (["show", ".", "--watch"], ". is no run, but has some; name one: out"),
        (["show", "train.py"], "train.py is a file, and a run is a folder"),
    ],
)
def test_what_is_no_run_is_told_where_one_is(complete: Study, words: list[str], said: str) -> None:
    done = hpmpi(complete.folder, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"hpmpi: {said}")
    assert len(done.stderr.splitlines()) == 1


def test_a_run_in_results_is_found_by_its_study_and_its_name(
    complete: Study, tmp_path: Path
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "mine").symlink_to(complete.out)
    study = tmp_path / "other.toml"
    study.write_text('name = "mine"')
    said = hpmpi(tmp_path, "show", "other.toml").stderr
    assert said == "hpmpi: other.toml is a study; its run is in results/mine\n"
    said = hpmpi(tmp_path, "show", "mine").stderr
    assert said == "hpmpi: there is no run in mine; did you mean results/mine?\n"


def test_a_run_that_can_not_be_read_has_its_line_among_the_others(
    complete: Study, tmp_path: Path
) -> None:
    (tmp_path / "good").symlink_to(complete.out)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "journal.jsonl").write_text("nonsense")
    bad, good = hpmpi(tmp_path, "show", ".").stdout.splitlines()
    assert bad.startswith("bad: ")
    assert good.startswith("good: mine: complete")


def test_help_is_a_command_and_tells_of_what_people_use(tmp_path: Path) -> None:
    said = hpmpi(tmp_path, "help")
    assert said == hpmpi(tmp_path, "--help") or said.stdout == hpmpi(tmp_path, "--help").stdout
    assert said.returncode == 0
    assert "show" in said.stdout
    of_run = hpmpi(tmp_path, "help", "run")
    assert of_run.stdout == hpmpi(tmp_path, "run", "--help").stdout
    wrong = hpmpi(tmp_path, "shwo")
    for text in (said.stdout, of_run.stdout, wrong.stderr):
        assert "standby" not in text
        assert "SUPPRESS" not in text
    assert "--ranks" not in of_run.stdout


def test_a_study_may_go_on_when_its_files_have_moved(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    (tmp_path / "train.py").write_text("def train(config): return config['x']\n")
    old, new = (f"objective_args.data=/{place}/train.npz" for place in ("old", "new"))
    some = ("--workers", "1", "--set", "scheduler.max_resource=1", "--set")
    missing = ("--set", "objective_args.missing=nan")
    done = study.run(study.command(*some, old, *missing, "--set", "stop.max_trials=2"))
    assert done.returncode == 0
    done = study.run(study.command(*some, new, *missing))
    assert done.returncode == 0, done.stderr
    said = "objective_args.data = '/new/train.npz' is taken for '/old/train.npz', moved"
    assert said in done.stderr
    threads = ("--set", "objective_args.threads=4", "--set", "stop.max_trials=14")
    done = study.run(study.command(*some, new, *missing, *threads))
    assert done.returncode == 2
    assert "objective_args.threads = 4, and nothing in the run that is there" in done.stderr
    named = ("--set", "run.may_change=['objective_args.threads']")
    assert study.run(study.command(*some, new, *missing, *threads, *named)).returncode == 0
    done = study.run(
        study.command(*some, new, *missing, *threads[:2], "--set", "stop.max_trials=15")
    )
    assert done.returncode == 0, done.stderr
    assert len(study.results) == 15
    replayed = hpmpi(tmp_path, "replay", str(study.out))
    assert (replayed.returncode, "all" in replayed.stdout) == (0, True)


def test_of_all_trials_all_checkpoints_are_kept_where_that_is_said(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    assert study.run(study.command("--workers", "2", "--set", "run.keep=all")).returncode == 0
    saved = {
        (int(path.parent.parent.name), int(path.read_text()))
        for path in (study.out / "checkpoints").glob("*/*/epochs")
    }
    assert saved == {(trial, 3**rung) for trial, rung in study.results}
    assert len({trial for trial, _ in saved}) == 12


def test_a_baseline_sees_the_data_of_the_study(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    np.savez(tmp_path / "data.npz", X=np.arange(6.0))
    with (tmp_path / "train.py").open("a") as file:
        file.write("\ndef base(config, trial):\n    return float(trial.data['X'].sum())\n")
    told = ("data.source=data.npz", "baseline=train.py:base", "stop.max_trials=1")
    words = [word for each in told for word in ("--set", each)]
    done = study.run(study.command("--workers", "1", *words))
    assert done.returncode == 0, done.stderr
    assert "baseline: loss 15; the best is better by" in done.stdout


def test_export_writes_csv_if_nothing_is_said(complete: Study) -> None:
    plain = hpmpi(complete.folder, "export", str(complete.out))
    assert plain.returncode == 0
    told = hpmpi(complete.folder, "export", str(complete.out), "--format", "csv")
    assert plain.stdout == told.stdout


def test_export_csv_has_every_trial_once(complete: Study) -> None:
    text = hpmpi(complete.folder, "export", str(complete.out), "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sorted(int(row["trial"]) for row in rows) == list(range(12))
    assert 0 <= float(rows[0]["x"]) <= 1


def test_export_json_agrees_with_csv(complete: Study) -> None:
    text = hpmpi(complete.folder, "export", str(complete.out), "--format", "csv").stdout
    told = json.loads(
        hpmpi(complete.folder, "export", str(complete.out), "--format", "json").stdout
    )
    for row, record in zip(csv.DictReader(io.StringIO(text)), told, strict=True):
        told_apart = record.pop("metrics") | record.pop("config")
        assert int(row["place"]) == record.pop("place")
        told_apart = {
            name: "" if value is None else str(value)
            for name, value in (record | told_apart).items()
        }
        assert told_apart == {name: value for name, value in row.items() if name != "place"}


def test_export_says_why_a_trial_was_given_up(tmp_path: Path) -> None:
    study = Study(tmp_path)
    (tmp_path / "train.py").write_text(
        "def train(config):\n    assert config['x'] < 0.5, 'too large'\n    return config['x']\n"
    )
    study.run(study.command("--workers", "2", "--set", "limits.max_failures=1"))
    text = hpmpi(tmp_path, "export", str(study.out), "--format", "csv").stdout
    told = json.loads(hpmpi(tmp_path, "export", str(study.out), "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["error"] for row in rows] == [each["error"] or "" for each in told]
    for row in rows:
        fails = float(row["x"]) >= 0.5
        assert (row["status"] == "given up") == fails
        assert row["error"] == ("AssertionError: too large" if fails else "")
    assert {row["status"] for row in rows} > {"given up"}


def test_export_toml_is_the_best_configuration(complete: Study) -> None:
    text = hpmpi(complete.folder, "export", str(complete.out), "--format", "toml").stdout
    assert re.match(r"# mine: trial \d+, loss [\d.]+ at resource \d+; seed \d+\n", text)
    shown = json.loads(hpmpi(complete.folder, "show", str(complete.out), "--json").stdout)
    assert tomllib.loads(text) == shown["leaderboard"][0]["config"]


def test_show_and_export_load_no_mpi(complete: Study) -> None:
    program = (
        "import sys; from hpmpi.cli.main import main; code = main(sys.argv[1:]);"
        "assert not {'mpi4py', 'sklearn'} & set(sys.modules); sys.exit(code)"
    )
    for words in (["show", str(complete.out)], ["export", str(complete.out), "--format", "csv"]):
        subprocess.run(
            [sys.executable, "-c", program, *words],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            check=True,
        )


def test_a_run_that_is_complete_is_not_run_again(complete: Study) -> None:
    before = complete.lines
    done = complete.run(complete.command("--workers", "2"))
    assert done.returncode == 0
    said = done.stderr.splitlines()
    assert len(said) == 1
    assert " complete since " in said[0]
    assert said[0].endswith("goes on with a higher stop.max_trials; --fresh begins anew")
    assert done.stdout.startswith("mine: complete")
    assert complete.lines == before


def test_a_run_of_another_study_is_refused_and_untouched(complete: Study) -> None:
    before = (complete.out / "journal.jsonl").read_bytes()
    done = complete.run(complete.command("--workers", "2", "--set", "seed=5"))
    assert done.returncode == 2
    assert "seed = 5, and 0 in the run that is there" in done.stderr
    assert "--fresh" in done.stderr
    assert (complete.out / "journal.jsonl").read_bytes() == before


def test_only_the_best_trial_keeps_a_checkpoint(complete: Study) -> None:
    shown = json.loads(hpmpi(complete.folder, "show", str(complete.out), "--json").stdout)
    kept = [path.name for path in (complete.out / "checkpoints").iterdir()]
    assert kept == [str(shown["leaderboard"][0]["trial"])]


def test_the_best_trials_checkpoint_is_whole(complete: Study) -> None:
    found = list((complete.out / "checkpoints").glob("*/*/epochs"))
    assert [path.read_text() for path in found] == ["9"]


def test_more_trials_are_asked_for_by_a_new_limit(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    assert study.run(study.command("--workers", "2", "--set", "stop.max_trials=3")).returncode == 0
    assert study.run(study.command("--workers", "2")).returncode == 0
    assert {trial for trial, _ in study.results} == set(range(12))
    assert len(study.results) == len(set(study.results))


def test_fresh_moves_the_old_run_aside(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    small = ("--workers", "2", "--set", "stop.max_trials=2")
    assert study.run(study.command(*small)).returncode == 0
    before = (study.out / "journal.jsonl").read_bytes()
    assert study.run(study.command(*small, "--fresh")).returncode == 0
    assert (tmp_path / "out.1" / "journal.jsonl").read_bytes() == before


def test_fresh_with_a_mistake_moves_nothing(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    study.run(study.command("--workers", "2", "--set", "stop.max_trials=2"))
    assert study.run(study.command("--fresh", "--set", "mode=best")).returncode == 2
    assert not (tmp_path / "out.1").exists()


def test_a_study_in_which_nothing_succeeds_ends_with_3(tmp_path: Path) -> None:
    study = Study(tmp_path)
    told = ("--set", "objective=train.py:fail", "--set", "stop.max_trials=3")
    done = study.run(study.command("--workers", "2", *told))
    assert done.returncode == 3
    assert "no trial has succeeded" in done.stdout
    assert "ValueError: as told" in done.stderr
    assert "6 x exception" in done.stdout


def test_a_study_whose_ranks_are_all_dead_ends_with_4_and_keeps_its_results(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path, epoch_s=0.05)
    process = study.start(study.command("--workers", "2"))
    study.until(lambda: len(study.results) >= 3 and len(study.ranks()) == 2, process)
    for pid in study.ranks().values():
        os.kill(pid, signal.SIGKILL)
    done = finish(process)
    assert (done.returncode, study.left()) == (4, []), done.stderr
    assert len(study.results) >= 3
    assert study.run(study.command("--workers", "2")).returncode == 0
    assert {trial for trial, _ in study.results} == set(range(12))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_the_next_start_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    study = Study(tmp_path, epoch_s=0.05)
    process = study.start(study.command("--workers", "2"))
    study.until(lambda: len(study.results) >= 3, process)
    process.send_signal(number)
    done = finish(process)
    assert (done.returncode, study.left()) == (75, []), done.stderr
    ended = study.decisions[-1]
    assert isinstance(ended, Ended)
    assert (ended.outcome, ended.why) == (Outcome.DRAINED, number.name)
    assert f"drained ({number.name}): the same command goes on from here" in done.stderr
    before = study.results
    assert study.run(study.command("--workers", "3")).returncode == 0
    assert study.results[: len(before)] == before
    assert len(study.starts) == 2


def test_rank_0_killed_loses_no_result_and_leaves_nothing(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.05)
    process = study.start(study.command("--workers", "2"))
    study.until(lambda: len(study.results) >= 3, process)
    process.kill()
    finish(process)
    assert study.left() == []
    before = study.results
    assert hpmpi(tmp_path, "show", str(study.out)).stdout.startswith("mine: interrupted")
    assert study.run(study.command("--workers", "2")).returncode == 0
    assert study.results[: len(before)] == before
    assert len(study.results) == len(set(study.results))


def test_a_target_ends_the_study(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.01)
    assert study.run(study.command("--workers", "2", "--set", "stop.target=1.9")).returncode == 0
    assert [rung for _, rung in study.results].count(2) == 1


def test_an_objective_that_can_not_be_loaded_is_said_once(tmp_path: Path) -> None:
    study = Study(tmp_path)
    (tmp_path / "train.py").write_text("import no_such_module\ndef train(config): return 0\n")
    done = study.run(study.command("--workers", "2"))
    assert (done.returncode, done.stdout, study.left()) == (2, "", [])
    assert "No module named 'no_such_module'" in done.stderr
    assert "hpmpi: no rank can work" in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "no.toml"], "the study file no.toml can't be read: No such file or directory"),
        (["show", "nowhere"], "there is no run in nowhere"),
        (["export", "nowhere", "--format", "csv"], "there is no run in nowhere"),
        (["export", "nowhere", "--format", "xml"], "invalid choice: 'xml'"),
        (
            ["shwo", "nowhere"],
            "'shwo' is no command; did you mean show? there is: init, doctor, run, launch, check",
        ),
        (["help", "shwo"], "'shwo' is no command; did you mean show?"),
        (["standby"], "'standby' is no command; "),
        (
            ["run", "--frsh"],
            "'--frsh' is one word too many; did you mean --fresh? `hpmpi help run`",
        ),
        (["run", "a.toml", "b.toml"], "'b.toml' is one word too many; `hpmpi help run` says"),
        (["run", "--set", "seed"], "--set 'seed' must be table.key=value, such as --set stop.max"),
        (
            ["run", "--set", "max_trials=3"],
            "max_trials is not a setting; did you mean stop.max_trials?",
        ),
        (["run", "--set", "layers=3"], "layers is not a setting; did you mean space.layers?"),
        (["run", "--workers", "0"], "'0' must be a whole number from 1 on"),
        (["run", "--set", "sede=3"], "sede is not a setting; did you mean seed?"),
        (["run", "--out", "/proc/nowhere"], "/proc/nowhere can't be written"),
        (["run", "--out", ""], "argument --out: '' is no run folder"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    tmp_path: Path, words: list[str], expected: str
) -> None:
    done = hpmpi(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("words", [("show",), ("show", "--watch"), ("export",), ("replay",)])
def test_what_can_not_be_written_is_said_in_a_line(
    complete: Study, words: tuple[str, ...], buffered: str
) -> None:
    command = [sys.executable, "-m", "hpmpi", *words, str(complete.out)]
    with Path("/dev/full").open("w") as full:
        environment = {**os.environ, "PYTHONUNBUFFERED": buffered}
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False
        )
    said = "hpmpi: the output can't be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize("command", ["run", "launch"])
def test_a_run_ends_as_it_has_though_its_end_can_not_be_written(
    complete: Study, command: str
) -> None:
    words = [sys.executable, "-m", "hpmpi", command, str(complete.file), "--out", str(complete.out)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "can't be written: No space left on device; `hpmpi show` has it" in done.stderr
    assert "Traceback" not in done.stderr


def test_folders_are_made_under_the_users_umask(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    command = study.command("--workers", "1", "--set", "stop.max_trials=1")
    words = ["sh", "-c", 'umask 077; exec "$@"', "sh", *command]
    assert study.run(words).returncode == 0
    for path in [study.out, *study.out.rglob("*")]:
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path


def test_a_baseline_that_fails_costs_the_comparison_only(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    told = ("--set", "baseline=train.py:fail", "--set", "stop.max_trials=2")
    done = study.run(study.command("--workers", "1", *told))
    assert done.returncode == 0
    assert "the baseline attempt 1: exception (rank 1): ValueError: as told" in done.stderr
    assert [each.attempt.trial for each in study.decided(Failure) if each.final] == [BASELINE]
    assert "baseline: " not in done.stdout


def test_a_baseline_is_waited_for_and_called_once(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    with (tmp_path / "train.py").open("a") as file:
        file.write("\ndef base(config, trial):\n    time.sleep(1)\n    return {'loss': 9.0}\n")
    told = ("--set", "baseline=train.py:base", "--set")
    done = study.run(study.command("--workers", "1", *told, "stop.max_trials=1"))
    assert "baseline: loss 9; the best is better by" in done.stdout
    done = study.run(study.command("--workers", "1", *told, "stop.max_trials=2"))
    assert "baseline: loss 9; the best is better by" in done.stdout
    assert [each.attempt.trial for each in study.decided(Assigned)].count(BASELINE) == 1
    assert [each.attempt.trial for each in study.decided(Result)].count(BASELINE) == 1


BASELINES = """

def base(config, trial):
    if trial.start == 0:
        with trial.checkpoint(1) as folder:
            (folder / "epochs").write_text("1")
    return {"loss": 9.0 + trial.start}

def other(config, trial):
    return {"loss": 7.0 + trial.start}
"""


def test_another_baseline_on_resume_is_called_anew_and_nothing_of_the_first_is_its(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path)
    (tmp_path / "train.py").write_text((tmp_path / "train.py").read_text() + BASELINES)
    for name, trials, loss in (("base", 2, 9), ("base", 3, 9), ("other", 4, 7)):
        changes = ("--set", f"baseline=train.py:{name}", "--set", f"stop.max_trials={trials}")
        done = study.run(study.command("--workers", "2", *changes))
        assert done.returncode == 0, done.stderr
        assert f"baseline: loss {loss};" in done.stdout
    attempts = [it.id.number for it in study.history.attempts.values() if it.id.trial == BASELINE]
    assert attempts == [1, 2]
    words = [sys.executable, "-m", "hpmpi", "replay", str(study.out)]
    assert study.run(words).returncode == 0


def test_a_study_that_never_began_binds_nobody(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    small = ("--workers", "1", "--set", "stop.max_trials=1")
    done = study.run(study.command(*small, "--set", "objective=train.py:trian"))
    assert done.returncode == 2
    assert "'train.py:trian' is not there: train.py has no 'trian'" in done.stderr
    assert study.run(study.command(*small)).returncode == 0
    assert study.results == [(0, 0)]


def test_fresh_moves_nothing_but_a_run(tmp_path: Path) -> None:
    study = Study(tmp_path)
    done = hpmpi(tmp_path, "run", str(study.file), "--out", str(study.file), "--fresh")
    assert done.returncode == 2
    assert "is no run folder" in done.stderr
    assert study.file.is_file()


def test_a_results_file_that_was_deleted_is_written_again(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    small = ("--workers", "1", "--set", "stop.max_trials=1")
    study.run(study.command(*small))
    (study.out / "run.h5").unlink()
    assert study.run(study.command(*small)).returncode == 0
    assert (study.out / "run.h5").exists()
    assert study.results == [(0, 0)]


def test_any_number_of_metrics_with_any_name_can_be_written(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    with (tmp_path / "train.py").open("a") as file:
        file.write("\ndef many(config):\n    return {'loss': 1, '': 2, 'a/b': 3}")
        file.write(" | {f'of class {n}': n for n in range(1000)}\n")
    told = ("--set", "objective=train.py:many", "--set", "stop.max_trials=2")
    done = study.run(study.command("--workers", "1", *told))
    assert (done.returncode, "can't be written" in done.stderr) == (0, False)
    with h5py.File(study.out / "run.h5") as file:
        assert list(file["results"]["of class 999"]) == [999.0, 999.0]
        assert list(file["results"]["a|b"]) == [3.0, 3.0]


def test_a_results_file_that_can_not_be_written_costs_no_result_but_is_told(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.2)
    told = ("--set", "stop.max_trials=2", "--set", "run.checkpoint_s=60")
    process = study.start(study.command("--workers", "1", *told))
    study.until(lambda: len(study.results) > 0, process)
    (study.out / "run.h5").mkdir()
    done = finish(process)
    assert done.returncode == 73
    assert "can't be written" in done.stderr
    assert "export" in done.stderr
    assert [path for path in study.out.iterdir() if path.name.startswith(".run.h5")] == []
    (study.out / "run.h5").rmdir()
    assert len(study.results) == 2


def test_a_journal_that_lacks_a_line_is_said(complete: Study, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    lines = (complete.out / "journal.jsonl").read_text().splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if '"assigned"' in line)
    journal.write_text("".join(lines[:first] + lines[first + 1 :]))
    done = hpmpi(tmp_path, "show", str(tmp_path))
    assert done.returncode == 2
    assert f"line {first + 1} of {journal} is damaged" in done.stderr


def test_a_journal_that_was_written_without_a_line_is_said(complete: Study, tmp_path: Path) -> None:
    lines = [it for it in complete.lines if not (isinstance(it, Entry) and begins(it, 0))]
    (tmp_path / "journal.jsonl").write_bytes(text_of(rows_of(lines)))
    done = hpmpi(tmp_path, "show", str(tmp_path))
    assert done.returncode == 2
    assert "the journal is damaged: it lacks the beginning of trial" in done.stderr


def begins(entry: Entry, trial: int) -> bool:
    """Tell whether an entry begins a trial."""
    return any(each.trial == trial for each in entry.suggested)


def test_a_study_needs_no_word_before_it(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    done = hpmpi(tmp_path, str(study.file), "--workers", "1", "--set", "stop.max_trials=1")
    assert done.returncode == 0
    assert done.stdout.startswith("mine: complete")


def test_a_journal_that_can_not_be_derived_is_refused_and_untouched(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.0)
    run_two_trials(study)
    journal = study.out / "journal.jsonl"
    journal.write_bytes(text_of(rows_of(map(dearer, study.lines))))
    (study.out / "run.h5").unlink()
    before = journal.read_bytes()
    done = study.run(study.command("--workers", "1"))
    assert done.returncode == 2
    assert "can't be derived" in done.stderr
    assert "Traceback" not in done.stderr
    assert journal.read_bytes() == before


def dearer(line: Line) -> Line:
    """Have jobs be for more than any that is handed out."""
    if isinstance(line, Started):
        return line
    decisions = [
        msgspec.structs.replace(each, resource=each.resource + 1)
        if isinstance(each, Assigned)
        else each
        for each in line.decisions
    ]
    return msgspec.structs.replace(line, decisions=tuple(decisions))


def run_two_trials(study: Study) -> None:
    """Run the first two trials; of the results file there is no other, from before the end."""
    told = ("--set", "stop.max_trials=2", "--set", "run.checkpoint_s=3600")
    assert study.run(study.command("--workers", "1", *told)).returncode == 0
    assert not (study.out / "run.h5.previous").exists()


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Read all files below a folder, and when they were written."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_second_run_in_a_folder_says_so_and_touches_nothing(tmp_path: Path) -> None:
    study = Study(tmp_path, epoch_s=0.5)
    process = study.start(study.command("--workers", "1"))
    study.until(lambda: study.busy() != [], process)
    for option in ((), ("--fresh",)):
        second = study.run(study.command("--workers", "1", *option))
        assert (second.returncode, second.stdout) == (2, "")
        assert f"a run is going on in {study.out}, of process " in second.stderr
        assert "Traceback" not in second.stderr
    assert process.poll() is None
    assert not (tmp_path / "out.1").exists()
    process.send_signal(signal.SIGTERM)
    assert finish(process).returncode == 75
    assert len(study.starts) == 1


def test_a_complete_run_is_printed_without_a_lock_and_nothing_is_touched(
    complete: Study,
) -> None:
    held = lock.take(complete.out)
    try:
        before = contents(complete.out)
        done = complete.run(complete.command("--workers", "2"))
        assert done.returncode == 0
        (line,) = done.stderr.splitlines()
        assert "nothing was run: it goes on with a higher stop.max_trials" in line
        assert contents(complete.out) == before
    finally:
        held.release()


@pytest.mark.parametrize("name", ["journal.jsonl", "run.h5", "status", "lock", "checkpoints"])
def test_a_link_in_a_run_folder_is_refused(tmp_path: Path, name: str) -> None:
    study = Study(tmp_path)
    study.out.mkdir()
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (study.out / name).symlink_to(precious)
    for words in (["run", str(study.file), "--out", str(study.out)], ["show", str(study.out)]):
        done = hpmpi(tmp_path, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{name} is a symbolic link" in done.stderr
        assert "Traceback" not in done.stderr
    assert [path.name for path in study.out.iterdir()] == [name]
    assert precious.read_text() == "mine"


def test_what_a_run_folder_names_is_not_imported(complete: Study, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath('bitten').touch()\n")
    journal = tmp_path / "journal.jsonl"
    lines = []
    for line in complete.lines:
        if isinstance(line, Started):
            evil = line.settings.replace('method = "', 'method = "evil:Bite')
            assert evil != line.settings
            line = msgspec.structs.replace(line, settings=evil)  # noqa: PLW2901
        lines.append(line)
    journal.write_bytes(text_of(rows_of(lines)))
    shown = hpmpi(tmp_path, "show", str(tmp_path))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("mine: complete; 12 trials")
    done = hpmpi(tmp_path, "run", str(complete.file), "--out", str(tmp_path))
    assert done.returncode == 2
    assert "evil:Bite" in done.stderr
    assert not (tmp_path / "bitten").exists()


def test_a_complete_run_is_printed_from_a_folder_that_can_not_be_written(complete: Study) -> None:
    mount = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 42; shift; exec "$@"'
    unshared = ["unshare", "-m", "sh", "-c", mount, "sh", str(complete.out)]
    try:
        done = complete.run([*unshared, *complete.command("--workers", "1")])
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if done.returncode == 42 or "unshare" in done.stderr:
        pytest.skip("nobody may mount here")
    assert done.returncode == 0
    assert "nothing was run" in done.stderr
    more = complete.command("--workers", "1", "--set", "stop.max_trials=20")
    done = complete.run([*unshared, *more])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"hpmpi: {complete.out} can't be written: Read-only file system\n"


def test_what_an_objective_finds_wrong_with_a_study_ends_it_at_once(tmp_path: Path) -> None:
    study = Study(tmp_path)
    text = study.file.read_text().replace("train.py:train", "hpmpi.trainables.tree:train")
    study.file.write_text(text[: text.index("[objective_args]")])
    done = study.run(study.command("--workers", "2", "--set", "objective_args.dataset=irs"))
    assert (done.returncode, done.stdout, study.left()) == (2, "", [])
    assert "the data set 'irs' is not known; there is: " in done.stderr.splitlines()[-1]
