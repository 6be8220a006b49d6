"""What is submitted to Slurm, and what is refused before it is; without any Slurm."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hpmpi
from hpmpi.api import slurm
from hpmpi.errors import SettingsError, StoreError
from hpmpi.launch import batch, slurm_job, submission
from hpmpi.launch.batch import Request
from hpmpi.slurm import sbatch
from tests.harness.runs import ROOT, Study
from tests.slurm.test_allocation import Fake, line, says

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
    script = request.script.replace(str(request.folder.parent), "FOLDER")
    return script.replace(shlex.join(hpmpi.program("hpmpi")), "PYTHON -m hpmpi")


TUNE = {"job_name": "hpmpi", "nodes": 2, "ntasks_per_node": 4, "cpus_per_task": 1}


def test_tune_sh_is_the_script_that_is_submitted_but_for_what_is_the_users() -> None:
    options = sbatch.options(sbatch.check(TUNE | {"time": "04:00:00"}))
    modules = ["# module load python openmpi", '# source "$HOME/venvs/hpmpi/bin/activate"']
    script = batch.script(
        batch.with_ours(options, "hpmpi-%j.log"), modules, "python -m hpmpi launch"
    )
    assert (ROOT / "slurm" / "tune.sh").read_text() == script


def test_cpus_that_are_asked_for_are_asked_for_even_if_1(study: Study) -> None:
    assert "#SBATCH --cpus-per-task=1\n" in told(request(study, cpus_per_task=1))


SBATCH = "env -0 > sbatch.env; echo Welcome to; echo the cluster; echo '4711;main'"


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
    assert batch.send(request(study, mem="900")) == "4711"
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
    lines = request(study, sbatch=["no-requeue"]).script.splitlines()
    assert "#SBATCH --no-requeue" in lines
    assert "#SBATCH --requeue" not in lines


def test_a_dry_run_prints_the_script_and_writes_nothing(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study.folder)  # in which there is no hpmpi
    before = files(study.folder)
    done = submit(study, *SIZE, "--out", str(study.out), "--dry-run")
    expected = request(study, time="8:00:00").script
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


@pytest.mark.parametrize("before", [[], ["out.slurm/7_submission.sh"]])
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


def python(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program that has hpmpi."""
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_submitit_is_for_who_wants_a_job_of_its(study: Study) -> None:
    """Where it is missing that is said in Python, and not missed on the command line."""
    missing = "import sys; sys.modules['submitit'] = None;"
    done = python(f"{missing} import hpmpi; hpmpi.submit('study.toml')")
    assert "pip install submitit" in done.stderr.splitlines()[-1]
    command = f"{missing} from hpmpi.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = python(command, "submit", str(study.file), *SIZE, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_imported_for_a_submission_before_there_is_one() -> None:
    done = python(
        "import sys, hpmpi, hpmpi.cli.main\n"
        "assert not {'submitit', 'hpmpi.launch.batch'} & set(sys.modules)\n"
        "hpmpi.submit; assert 'submitit' not in sys.modules"
    )
    assert done.returncode == 0, done.stderr


def test_the_package_offers_what_it_says_and_no_more() -> None:
    assert hpmpi.submit is slurm.submit
    with pytest.raises(AttributeError, match="no attribute 'sumbit'"):
        _ = hpmpi.sumbit


def test_every_mistake_in_what_is_asked_for_is_told(study: Study) -> None:
    with pytest.raises(SettingsError) as caught:
        hpmpi.submit(study.file, nodes=0, time="60", gpu=1)
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
        sbatch.check({"nodes": 1, "ntasks_per_node": 1, "time": 5, name: value})


@pytest.mark.parametrize("text", ["60", "0:01", "59:30", "8:00:00", "2-12", "1-0:30", "1-0:0:1"])
def test_a_time_is_left_as_slurm_writes_it(text: str) -> None:
    needs = sbatch.check({"nodes": 1, "ntasks_per_node": 1, "time": text})
    assert sbatch.options(needs)["time"] == text


def test_an_array_has_no_place_in_python(study: Study) -> None:
    with pytest.raises(SettingsError, match="call it for each"):
        hpmpi.submit(study.file, nodes=1, ntasks_per_node=2, time=5, array="0-3")


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
        hpmpi.submit(
            study.file, changes=["seed=5"], out=study.out, nodes=1, ntasks_per_node=2, time=5
        )


def test_fresh_is_left_to_the_run_but_for_what_it_would_refuse(study: Study) -> None:
    assert request(study, fresh=True).order.fresh
    study.out.mkdir()
    (study.out / "thesis.tex").touch()
    with pytest.raises(StoreError, match="no run folder"):
        request(study, fresh=True)
    assert files(study.out) == ["thesis.tex"]


def test_what_is_kept_of_a_submission_is_not_in_the_run_folder(study: Study) -> None:
    kept = request(study).kept
    assert kept.parent == study.out.parent
    assert kept != study.out


def test_a_folder_that_slurm_would_rename_is_refused(study: Study) -> None:
    with pytest.raises(SettingsError, match="has a % in it"):
        submission.prepare(study.file, [], study.folder / "50%j", ALL, fresh=False)


def task(number: int, state: str, **columns: str) -> str:
    """Write a line of squeue's of a task of array 9."""
    return line(JobID="17", ArrayJobID="9", ArrayTaskID=str(number), State=state, **columns)


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Have a squeue first on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return Fake(tmp_path / "bin")


def test_an_allocation_that_squeue_knows_nothing_of_is_over(study: Study, squeue: Fake) -> None:
    """But it must have answered, and what was seen of its end stays."""
    watch = submission.SubmissionWatch(request(study, array="1-4"), "9")
    squeue.program("squeue", "exit 1")
    assert not watch.look()
    assert [watch.line(name) for name in watch.allocations] == [
        f"job 9_{number}: submitted" for number in (1, 2, 3, 4)
    ]
    first = (task(1, "RUNNING"), task(2, "PENDING", Reason="Resources"), task(5, "FAILED"))
    squeue.program("squeue", says(*first, task(3, "FAILED", exit_code="768"), "CLUSTER: x"))
    assert not watch.look()
    assert [watch.line(name) for name in watch.allocations] == [
        *("job 9_1: running", "job 9_2: pending (Resources)", "job 9_3: failed"),
        "job 9_4: unheard of",
    ]
    squeue.program("squeue", says(task(2, "COMPLETED", exit_code="9")))
    assert watch.look()
    codes = {name: watch.exit_code(name) for name in watch.allocations}
    assert codes == {"9_1": None, "9_2": None, "9_3": 3, "9_4": None}


def test_a_run_that_is_complete_says_so_where_slurm_does_not(study: Study, squeue: Fake) -> None:
    """But not one that was there before."""
    watch = submission.SubmissionWatch(request(study), "17")
    done = study.run(study.command("--workers", "2", "--set", "stop.max_trials=1"))
    assert done.returncode == 0, done.stderr
    squeue.program("squeue", "true")
    later = submission.SubmissionWatch(request(study), "18")
    assert watch.look()
    assert later.look()
    assert (watch.exit_code("17"), later.exit_code("18")) == (0, None)


def test_a_job_of_submitits_has_the_exit_code_and_the_log(study: Study, squeue: Fake) -> None:
    job = slurm_job.SubmittedStudy(request(study), "17")
    squeue.program("squeue", says(line(exit_code="768")))
    assert not job.done()
    assert job.state == "RUNNING"
    squeue.program("squeue", says(line(State="FAILED", exit_code="768")))
    assert (job.result(), job.exception(), job.state, job.done()) == (3, None, "FAILED", True)
    assert job.paths.stdout == request(study).log_of("17")
    assert job.job_id == "17"
