"""What is submitted to Slurm, and what is refused before it is; without any Slurm."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hpmpi
from hpmpi.errors import SettingsError, StoreError
from hpmpi.launch import batch, submission
from hpmpi.launch.batch import UNHEARD_OF, Allocation, Batch, Request, Watcher
from hpmpi.slurm import sbatch_options
from tests.harness.runs import ROOT, Study
from tests.slurm.test_allocation import Fake

GOLDEN = Path(__file__).with_name("golden")

SIZE = ("--nodes", "2", "--ntasks-per-node", "4", "--time", "8:00:00")

ALL: dict[str, Any] = {
    "nodes": 2,
    "ntasks_per_node": 4,
    "time": "1-12:00:00",
    "cpus_per_task": 8,
    "gpus_per_task": "a100:1",
    "gpus_per_node": 4,
    "mem": "16G",
    "partition": "long",
    "account": "physics",
    "qos": "low",
    "constraint": "icelake|rome",
    "job_name": "my study",
    "array": "0-3%2",
    "after": "4711",
    "setup": ["module load gcc", 'source "$HOME/venv/bin/activate"'],
    "sbatch": ["exclusive", "mail-user=me@example.org", "signal=B:USR1@300"],
}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Write a study that nobody has run."""
    return Study(tmp_path)


def submit(study: Study, *words: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Ask for a submission where `path` has all programs that there are: none, if it is None."""
    command = [sys.executable, "-m", "hpmpi", "submit", str(study.file), *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": str(path or study.folder)}
    return subprocess.run(
        command,
        cwd=study.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def files(folder: Path) -> list[str]:
    """List all that is in a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def request(study: Study, *, fresh: bool = False, **asked: Any) -> Request:
    """Prepare a small submission."""
    size = {"nodes": 2, "ntasks_per_node": 4, "time": 60}
    return submission.prepare(study.file, [], study.out, size | asked, fresh=fresh)


def test_the_script_asks_for_all_that_was_asked_for(study: Study) -> None:
    assert told(request(study, **ALL)) == (GOLDEN / "submission.sh").read_text()


def test_a_script_that_little_was_asked_for_has_what_every_one_needs(study: Study) -> None:
    assert told(request(study)) == (GOLDEN / "default.sh").read_text()


def told(request: Request) -> str:
    """Write its script as it would be elsewhere."""
    script = Batch(request).script()
    return script.replace(str(request.folder.parent), "FOLDER").replace(sys.executable, "PYTHON")


def test_cpus_that_are_asked_for_are_asked_for_even_if_1(study: Study) -> None:
    assert "#SBATCH --cpus-per-task=1\n" in told(request(study, cpus_per_task=1))


SBATCH = """
case "$*" in *submission_file*) env -0 > sbatch.env; echo "Submitted batch job 4711";; esac
"""


def test_what_is_submitted_has_nothing_of_where_it_was_submitted(
    study: Study, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of Slurm's variables; and what sbatch would take for options is as asked for here."""
    programs = Fake(study.folder / "bin")
    programs.program("sbatch", SBATCH)
    monkeypatch.setenv("PATH", f"{programs.folder}:{os.environ['PATH']}")
    monkeypatch.chdir(study.folder)
    leaks = ("SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_MEM_PER_CPU", "SRUN_DEBUG", "PMI_RANK")
    refused = ("SBATCH_TIMELIMIT", "SBATCH_NO_REQUEUE", "SBATCH_ARRAY_INX", "SBATCH_MEM_PER_CPU")
    kept = ("SBATCH_ACCOUNT", "SBATCH_EXPORT", "SLURM_CONF", "MY_LICENSE_SERVER")
    for name in (*leaks, *refused, *kept):
        monkeypatch.setenv(name, "7")
    batch.send(request(study, mem="900"))
    seen = (study.folder / "sbatch.env").read_text().split("\0")
    names = {each.partition("=")[0] for each in seen}
    assert names.isdisjoint({*leaks, *refused})
    assert names >= set(kept)
    assert os.environ["SLURM_JOB_ID"] == "7"
    assert "allocation 7 is not passed on" in caplog.text
    assert f"said otherwise here: {', '.join(sorted(refused))}" in caplog.text


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('source = "no.csv"', "there is no file"),
        ('source = "my.csv"\nkey = "x"', "data.key is for"),
        ('folder = "$TMPDIR"', "data.source is missing"),
        ('source = "my.csv"\nfolder = "here"', "must begin with / or a variable"),
    ],
)
def test_a_mistake_in_the_data_is_told_before_anything_is_submitted(
    study: Study, lines: str, problem: str
) -> None:
    (study.folder / "my.csv").write_text("x,y\n1,2\n")
    with study.file.open("a") as file:
        file.write(f"\n[data]\n{lines}\n")
    before = files(study.folder)
    for array in ((), ("--array", "0-1")):
        done = submit(study, *SIZE, *array)
        assert (done.returncode, done.stdout) == (2, "")
        assert problem in done.stderr
    assert files(study.folder) == before


def test_a_requeue_can_be_declined(study: Study) -> None:
    lines = Batch(request(study, sbatch=["no-requeue"])).script().splitlines()
    assert "#SBATCH --no-requeue" in lines
    assert "#SBATCH --requeue" not in lines


def test_a_dry_run_prints_the_script_and_writes_nothing(study: Study) -> None:
    before = files(study.folder)
    done = submit(study, *SIZE, "--out", str(study.out), "--dry-run")
    expected = Batch(request(study, time="8:00:00")).script()
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")
    assert files(study.folder) == before


def test_a_bad_study_is_told_before_anything_is_submitted(study: Study) -> None:
    before = files(study.folder)
    done = submit(study, *SIZE, "--set", "stop.max_trial=3")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean max_trials?" in done.stderr
    assert files(study.folder) == before


def test_where_there_is_no_sbatch_that_is_said_and_nothing_written(study: Study) -> None:
    before = files(study.folder)
    done = submit(study, *SIZE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hpmpi: there is no sbatch here")
    assert files(study.folder) == before


@pytest.mark.parametrize("before", [[], ["out.submitit/7_submission.sh"]])
def test_what_was_written_goes_again_where_slurm_refuses(study: Study, before: list[str]) -> None:
    sbatch = study.folder / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text("#!/bin/sh\necho no such partition >&2\nexit 1\n")
    sbatch.chmod(0o700)
    for name in before:
        (study.folder / name).parent.mkdir()
        (study.folder / name).touch()
    there = files(study.folder)
    done = submit(study, *SIZE, "--out", str(study.out), path=sbatch.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Slurm refuses it" in done.stderr
    assert files(study.folder) == there


def test_where_there_is_no_submitit_that_is_said(study: Study) -> None:
    program = (
        "import sys; sys.modules['submitit'] = None; from hpmpi import cli;"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "submit", str(study.file), *SIZE],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install submitit" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_imported_for_a_submission_before_there_is_one() -> None:
    program = (
        "import sys, hpmpi, hpmpi.cli\n"
        "assert not {'submitit', 'hpmpi.launch.batch'} & set(sys.modules)\n"
        "hpmpi.submit; assert 'submitit' in sys.modules"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


def test_submit_is_all_that_the_package_offers() -> None:
    assert hpmpi.submit is submission.submit
    with pytest.raises(AttributeError, match="no attribute 'sumbit'"):
        _ = hpmpi.sumbit


def test_every_mistake_in_what_is_asked_for_is_told(study: Study) -> None:
    with pytest.raises(SettingsError) as caught:
        submission.submit(study.file, nodes=0, time="60", gpu=1)
    assert len(caught.value.problems) == 3
    text = str(caught.value)
    assert "submit.nodes = 0 is not valid" in text
    assert "submit.gpu is not a setting" in text
    assert "submit.ntasks_per_node is missing" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("time", text) for text in ("", "0", "0:00", "1-", "-5", "1:2:3:4", "1h", "1-2:3:4:5")),
        *(("array", text) for text in ("", "1-", "3-1", "1;2", "0-3%", "0-3%0", "0-9:0", "a")),
        *(("after", text) for text in ("", "afterok:3", "3,4", "12_")),
        *(("sbatch", [text]) for text in ("output=x", "--exclusive", "array=0-3", "=3", "a b=c")),
        *(("sbatch", ["comment=a\nb"]), ("setup", ["a\nb"]), ("partition", "a\nb")),
        *(("job_name", ""), ("mem", "\x1b[2J")),
    ],
)
def test_what_slurm_would_take_for_something_else_is_refused(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name):
        sbatch_options.check({"nodes": 1, "ntasks_per_node": 1, "time": 5, name: value})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("60", 60), ("0:01", 1), ("59:30", 60), ("8:00:00", 480), ("2-12", 3600), ("1-0:30", 1470)],
)
def test_a_time_means_what_it_means_to_slurm(text: str, expected: int) -> None:
    assert sbatch_options.minutes(text) == expected


def test_an_array_has_no_place_in_python(study: Study) -> None:
    with pytest.raises(SettingsError, match="call it for each"):
        submission.submit(study.file, nodes=1, ntasks_per_node=2, time=5, array="0-3")


def test_a_run_of_another_study_is_refused_before_anything_is_submitted(study: Study) -> None:
    done = study.run(study.command("--workers", "2", "--set", "stop.max_trials=1"))
    assert done.returncode == 0, done.stderr
    request(study)
    with pytest.raises(SettingsError, match="seed = 5, and 0 in the run that is there"):
        submission.prepare(
            study.file,
            ["seed=5"],
            study.out,
            {"nodes": 1, "ntasks_per_node": 2, "time": 5},
            fresh=False,
        )
    assert not request(study).kept.exists()
    with pytest.raises(SettingsError, match="seed = 5, and 0 in the run that is there"):
        submission.submit(
            study.file, changes=["seed=5"], out=study.out, nodes=1, ntasks_per_node=2, time=5
        )


def test_fresh_is_left_to_the_run_but_for_what_it_would_refuse(study: Study) -> None:
    assert request(study, fresh=True).order.fresh
    study.out.mkdir()
    (study.out / "thesis.tex").touch()
    with pytest.raises(StoreError, match="no run folder"):
        request(study, fresh=True)
    assert files(study.out) == ["thesis.tex"]


def test_what_submitit_keeps_is_not_in_the_run_folder(study: Study) -> None:
    kept = request(study).kept
    assert kept.parent == study.out.parent
    assert kept != study.out


def test_a_folder_that_slurm_would_rename_is_refused(study: Study) -> None:
    with pytest.raises(SettingsError, match="has a % in it"):
        submission.prepare(study.file, [], study.folder / "50%j", ALL, fresh=False)


def test_an_allocation_that_squeue_knows_nothing_of_is_over(tmp_path: Path) -> None:
    watcher = Watcher()
    for number in ("7", "8", "9_1", "9_2"):
        watcher.register_job(number)
    told = watcher.read_info("CLUSTER: x\n7|RUNNING|None\n9_1|PENDING|Resources|more\n100|FAILED|")
    states = {number: info["State"] for number, info in told.items()}
    assert states == {"7": "RUNNING", "8": UNHEARD_OF, "9_1": "PENDING", "9_2": UNHEARD_OF}
    assert Allocation(tmp_path, "9_1").paths.stdout == tmp_path / "9_1_0_log.out"
