"""A program in place of a function: what it is given, what it says and saves, and how it ends."""

import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hpmpi.errors import ObjectiveError
from hpmpi.model.messages import Failed, FailureKind, Finished, Point, Ready, gist
from hpmpi.model.trial import Config
from hpmpi.study.command import PROGRAM
from hpmpi.transports.resources import Share
from hpmpi.worker import handle, program_run
from hpmpi.worker.attempts import Mishap
from hpmpi.worker.handle import Suspend, Trial, open_trial
from hpmpi.worker.program import Program
from hpmpi.worker.program_run import TornError, copy_whole
from hpmpi.worker.supervisor import Child
from tests.harness.build import never
from tests.harness.drive import ChildRig, order, welcome
from tests.harness.programs import compiled, needs_cc
from tests.harness.runs import processes_of


class Job:
    """A job of a program, in this process; what it reports is in `points`."""

    def __init__(self, folder: Path, *command: str, **args: object) -> None:
        """Load it: of a script's text, `command` is what follows its name."""
        self.folder = folder
        self.points: list[Point] = []
        self.drains = never
        self.trial: Trial
        self._program = Program()
        resume = args.pop("resume", [])
        told = {"command": list(command), "resume": resume, **args}
        self._program.check_study(told, folder, None, None)

    def run(self, resource: int = 9, attempt: int = 1, **config: Any) -> Any:
        """Make an attempt at it."""
        told = order(7, resource, attempt)
        points = self.points.append
        self.trial, self.checkpoints = open_trial(welcome(self.folder), told, points, self.drains)
        values: Config = config
        return self._program(values, self.trial)

    @property
    def saved(self) -> list[str]:
        """The checkpoints of the trial, by name."""
        folder = self.folder / "checkpoints" / "7"
        return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


@pytest.fixture(autouse=True)
def _stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have a program's folder be this process's for the time of a test."""
    monkeypatch.chdir(tmp_path)


def script(folder: Path, text: str) -> str:
    """Write a script beside a study; return how the study names it."""
    file = folder / "fit.sh"
    file.write_text(f"#!/bin/bash\n{text}\n")
    file.chmod(0o755)
    return "./fit.sh"


SAYS_WHAT_IT_IS_GIVEN = """
jq() { python3 -c 'import json, os, sys; print(json.dumps({"loss": 1, "words": sys.argv[1:],
  "lr": os.environ.get("HPMPI_LR"), "layers": os.environ.get("HPMPI_MODEL_LAYERS"),
  "stop": os.environ["HPMPI_STOP"], "previous": os.environ.get("HPMPI_PREVIOUS"),
  "config": json.load(open(os.environ["HPMPI_CONFIG"])), "cwd": os.getcwd()}))' "$@"; }
jq "$@"
"""


def test_it_is_given_words_variables_and_a_file(tmp_path: Path) -> None:
    words = ["--lr", "{lr}", "--momentum", "{momentum}", "{config}", "a b; $HOME {{}}"]
    job = Job(tmp_path, script(tmp_path, SAYS_WHAT_IT_IS_GIVEN), *words, resume=["--resume"])
    config: dict[str, Any] = {"lr": 1e-3, "model.layers": [8, 8]}
    said = job.run(9, **config)
    _, rate, file, plain = said["words"]
    assert (rate, Path(file).name, plain) == ("0.001", "configuration.json", "a b; $HOME {}")
    assert (said["lr"], said["layers"], said["stop"]) == ("0.001", "[8,8]", "9")
    assert said["config"] == {"lr": 1e-3, "model.layers": [8, 8]}
    assert (said["previous"], said["cwd"], job.saved) == (None, str(tmp_path), [])


@pytest.mark.parametrize(("visible", "expected"), [("2,3", "--gpus 2,3"), ("-1", ""), ("", "")])
def test_it_is_told_which_gpus_are_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, expected: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    text = """echo "$@" >words; echo '{"loss": 1}'"""
    Job(tmp_path, script(tmp_path, text), "--gpus", "{gpus}").run()
    assert (tmp_path / "words").read_text().strip() == expected


def test_a_studied_metric_that_is_no_number_ends_it(tmp_path: Path) -> None:
    text = """echo '{"epoch": 1, "loss": "low"}'; sleep 1000"""
    with pytest.raises(ObjectiveError, match="'loss' must be a number and is 'low'"):
        Job(tmp_path, script(tmp_path, text)).run()
    until(lambda: not [it for it in processes_of(tmp_path) if "sleep" in it])


def test_the_last_object_is_the_result_and_steps_are_points(tmp_path: Path) -> None:
    lines = ['{"epoch": 1, "loss": 3}', "hello {", '{"epoch": 2, "loss": 2, "name": "a"}', "bye"]
    job = Job(tmp_path, script(tmp_path, "\n".join(f"echo '{line}'" for line in lines)))
    assert job.run() == {"loss": 2, "name": "a"}
    assert job.points == [Point(1, {"loss": 3.0}), Point(2, {"loss": 2.0})]


def test_a_pattern_finds_metrics_in_lines_of_whatever_stream(tmp_path: Path) -> None:
    text = "echo 'step 1: loss 3.5'; echo 'step 2: loss 1e-3'; echo accuracy=0.5 >&2"
    pattern = r"step (?P<step>\d+): loss (?P<loss>\S+)|accuracy=(?P<accuracy>\S+)"
    job = Job(tmp_path, script(tmp_path, text), pattern=pattern, step="step")
    assert job.run() == {"loss": 1e-3, "accuracy": 0.5}
    assert job.points == [Point(1, {"loss": 3.5}), Point(2, {"loss": 1e-3})]
    assert Job(tmp_path, "./fit.sh", pattern=r"accuracy=(\S+)").run() == {"loss": 0.5}


def test_a_file_may_have_the_result_and_is_no_checkpoint(tmp_path: Path) -> None:
    text = """echo '{"loss": 7}'; printf '{"loss": 2}\\n{"loss": 1}\\n' >$1/metrics.jsonl"""
    job = Job(tmp_path, script(tmp_path, text), "{folder}", metrics="metrics.jsonl")
    assert (job.run(), job.saved) == ({"loss": 1}, [])


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ("echo loss=3", {}, "printed no JSON object"),
        ("echo '[1]'", {"pattern": "loss=(.*)"}, "printed no line that fits `pattern`"),
        ("touch $1/other", {"metrics": "found.json"}, "left no found.json"),
        ("echo none >$1/found.json", {"metrics": "found.json"}, "found.json in .* has no JSON"),
    ],
)
def test_who_says_nothing_has_no_result(
    tmp_path: Path, text: str, args: dict[str, str], expected: str
) -> None:
    job = Job(tmp_path, script(tmp_path, text), "{folder}", **args)
    with pytest.raises(ObjectiveError, match=expected):
        job.run()
    assert job.saved == []


@needs_cc
def test_what_it_leaves_is_its_checkpoint_and_the_next_job_goes_on_from_there(
    tmp_path: Path,
) -> None:
    compiled(tmp_path)
    words = ["./fit", "--epochs", "{stop}", "--out", "{folder}", "--log", "log"]
    job = Job(tmp_path, *words, resume=["--resume", "{previous}/state"])
    assert job.run(3) == {"loss": pytest.approx(1 / 3, rel=1e-5)}
    assert (job.saved, job.trial.start) == (["3-0.1"], 0)
    assert json.loads((tmp_path / "checkpoints/7/3-0.1/configuration.json").read_text()) == {}
    job.run(5, attempt=2)
    assert (job.saved, job.trial.start) == (["5-0.2"], 3)
    assert (tmp_path / "log").read_text().split() == [
        "0",
        "1",
        "0",
        "2",
        "0",
        "3",
        "0",
        "4",
        "0",
        "5",
    ]


# -- what it saves before it ends ------------------------------------------------------------------

SAVES = """
echo one >$1/state; echo 4 >$1/saved
until [ -e go ]; do sleep 0.01; done
echo '{"loss": 1}'
"""


def until(is_so: Any) -> None:
    """Wait for something to be so."""
    gives_up_at = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < gives_up_at
        time.sleep(0.01)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have it always be time for a checkpoint."""
    monkeypatch.setattr(handle, "SAVE_PAUSE_S", 0.0)
    monkeypatch.setattr(handle, "SAVE_SHARE", 1e9)
    monkeypatch.setattr(program_run, "LOOK_EVERY_S", 0.01)
    return iter(())


@pytest.mark.usefixtures("often")
def test_what_it_touches_a_file_for_is_a_checkpoint_while_it_goes_on(tmp_path: Path) -> None:
    job = Job(tmp_path, script(tmp_path, SAVES), "{folder}", saved="saved")
    came: list[object] = []
    thread = threading.Thread(target=lambda: came.append(job.run()))
    thread.start()
    until(lambda: "4-0.1" in job.saved)
    assert (tmp_path / "checkpoints/7/4-0.1/state").read_text() == "one\n"
    (tmp_path / "go").touch()
    thread.join()
    assert (came, job.saved) == ([{"loss": 1}], ["9-0.1"])


@pytest.mark.usefixtures("often")
def test_without_a_number_it_is_at_the_resource_that_was_told_last(tmp_path: Path) -> None:
    text = SAVES.replace("echo 4 >", """echo '{"epoch": 2, "loss": 2}'; touch """)
    job = Job(tmp_path, script(tmp_path, text), "{folder}", saved="saved")
    thread = threading.Thread(target=job.run)
    thread.start()
    until(lambda: "2-0.1" in job.saved)
    (tmp_path / "go").touch()
    thread.join()


def test_what_changes_while_it_is_copied_is_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "state").write_text("one")
    copy_whole(source, target)
    copy = shutil.copytree

    def slowly(*words: Any, **how: Any) -> None:
        copy(*words, **how)
        (source / "state").write_text("other")

    monkeypatch.setattr(shutil, "copytree", slowly)
    with pytest.raises(TornError):
        copy_whole(source, target)


DRAINS = """
trap 'echo 5 >$1/state; echo 5 >$1/saved; exit {code}' {signal}
touch ready
while :; do sleep 0.01; done
"""


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("signal", ["TERM", "USR1"])
def test_a_drain_sends_it_a_signal_and_takes_what_it_saves_then(
    tmp_path: Path, code: int, signal: str
) -> None:
    text = DRAINS.format(code=code, signal=signal)
    args = {"saved": "saved"} if signal == "TERM" else {"saved": "saved", "signal": signal}
    job = Job(tmp_path, script(tmp_path, text), "{folder}", **args)
    job.drains = (tmp_path / "ready").exists
    with pytest.raises(Suspend) as left:
        job.run()
    assert (left.value.saved, job.saved) == (5, ["5-0.1"])


def test_who_ends_well_at_the_signal_has_saved_where_it_has_said_that_it_is(
    tmp_path: Path,
) -> None:
    text = """
    trap 'echo 5 >$1/state; exit' TERM
    echo '{"epoch": 6, "loss": 2}'; touch ready
    while :; do sleep 0.01; done
    """
    job = Job(tmp_path, script(tmp_path, text), "{folder}")
    job.drains = (tmp_path / "ready").exists
    with pytest.raises(Suspend):
        job.run()
    assert job.saved == ["6-0.1"]


@pytest.mark.parametrize("stop", [2, 9])
def test_at_the_signal_only_what_came_to_the_end_is_a_result(tmp_path: Path, stop: int) -> None:
    text = """
    trap 'exit 0' TERM
    echo x >$1/state; echo '{"epoch": 2, "loss": 2}'; touch ready
    while :; do sleep 0.01; done
    """
    job = Job(tmp_path, script(tmp_path, text), "{folder}", signal="TERM", saved="never")
    job.drains = (tmp_path / "ready").exists
    if stop == 2:
        assert (job.run(stop), job.saved) == ({"loss": 2}, ["2-0.1"])
        return
    with pytest.raises(Suspend) as left:
        job.run(stop)
    assert (left.value.saved, job.saved) == (0, [])


@pytest.mark.parametrize("words", [[], ["{folder}"]])
def test_who_has_saved_nothing_at_the_signal_has_no_checkpoint(
    tmp_path: Path, words: list[str]
) -> None:
    text = """
    trap 'exit 0' USR1
    echo '{"epoch": 2, "loss": 2}'; touch ready
    while :; do sleep 0.01; done
    """
    job = Job(tmp_path, script(tmp_path, text), *words, signal="USR1")
    job.drains = (tmp_path / "ready").exists
    with pytest.raises(Suspend) as left:
        job.run()
    assert (left.value.saved, job.saved) == (0, [])


def test_who_is_given_no_folder_may_finish_when_the_run_drains(tmp_path: Path) -> None:
    job = Job(tmp_path, script(tmp_path, """sleep 0.3; echo '{"loss": 1}'"""))
    job.drains = lambda: True
    assert job.run() == {"loss": 1}


# -- how it ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (
            "echo start >&2; echo 'bad rate -1' >&2; echo '=====' >&2; exit 3",
            FailureKind.EXIT,
            "the process ended with exit code 3; it said: bad rate -1",
        ),
        ("kill -SEGV $$", FailureKind.CRASH, "killed by SIGSEGV"),
    ],
)
def test_its_exit_code_and_the_end_of_its_errors_are_the_error(
    tmp_path: Path, text: str, kind: FailureKind, said: str
) -> None:
    job = Job(
        tmp_path,
        script(tmp_path, f"echo '{{\"loss\": 1}}'; echo state >$1/state; {text}"),
        "{folder}",
    )
    with pytest.raises(Mishap) as raised:
        job.run()
    assert (raised.value.kind, gist(raised.value.error), job.saved) == (kind, said, [])
    assert "start" not in gist(raised.value.error)


def test_what_it_leaves_running_ends_with_it(tmp_path: Path) -> None:
    job = Job(tmp_path, script(tmp_path, """sleep 1000 & echo '{"loss": 1}'"""))
    assert job.run() == {"loss": 1}
    until(lambda: not [it for it in processes_of(tmp_path) if "sleep" in it])


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Any]:
    """Start children whose objective is a program."""
    children = []

    def started(*command: str, args: dict[str, object] | None = None, **limits: object) -> ChildRig:
        told = {"command": list(command), "resume": [], **(args or {})}
        study = welcome(tmp_path, PROGRAM, args=told, **limits)
        child = Child(study, tmp_path / "log", Share())
        children.append(child)
        child.start(time.monotonic())
        rig = ChildRig(child)
        rig.until(Ready)
        return rig

    yield started
    for child in children:
        child.close()


@needs_cc
@pytest.mark.parametrize(
    ("how", "limits", "kind"),
    [
        ("hang", {"time_s": 0.5}, FailureKind.TIME),
        ("eat", {"memory_mb": 200.0}, FailureKind.MEMORY),
        ("crash", {}, FailureKind.CRASH),
        ("exit", {}, FailureKind.EXIT),
    ],
)
def test_its_limits_and_failures_are_those_of_a_function(
    tmp_path: Path, rig: Any, how: str, limits: dict[str, float], kind: FailureKind
) -> None:
    compiled(tmp_path)
    driven = rig("./fit", "--how", "{how}", **limits)
    answer = driven.do(how=how)
    assert isinstance(answer, Failed)
    assert answer.kind is kind, answer.error
    until(lambda: not [it for it in processes_of(tmp_path) if "--how" in it])
    driven.until(Ready)
    assert isinstance(driven.do(how="well"), Finished)


def test_its_output_is_in_the_log_of_its_rank(tmp_path: Path, rig: Any) -> None:
    text = """echo out; echo err >&2; echo '{"loss": 1}'"""
    assert isinstance(rig(script(tmp_path, text)).do(), Finished)
    assert {"out", "err", '{"loss": 1}'} <= set((tmp_path / "log").read_text().splitlines())


def test_it_finds_nothing_that_would_make_it_a_rank(
    tmp_path: Path, rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "PMI_RANK",
        "OMPI_COMM_WORLD_RANK",
        "PMIX_RANK",
        "SLURM_JOB_ID",
        "HYDI_CONTROL_FD",
    ):
        monkeypatch.setenv(name, "7")
    names = "env | grep -E '^(PMI|OMPI|PMIX|SLURM|HYDI)' >names"
    rig(script(tmp_path, f"{names}; echo '{{\"loss\": 1}}'")).do()
    assert (tmp_path / "names").read_text() == ""


def test_a_program_holds_no_end_of_its_ranks_connection(tmp_path: Path, rig: Any) -> None:
    text = """ls -l /proc/self/fd >fds; echo '{"loss": 1}'"""
    rig(script(tmp_path, text)).do()
    assert "socket" not in (tmp_path / "fds").read_text()
    assert sys.platform == "linux"
