"""The baseline: a job of a rank, in a process of its own; whatever it does, the others go on."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hpmpi.model.messages import (
    Assign,
    Beat,
    Cancel,
    Cancelled,
    Failed,
    FailureKind,
    Finished,
    Progress,
    Ready,
    Unfit,
    Welcome,
)
from hpmpi.model.trial import BASELINE, AttemptId
from hpmpi.transports.resources import CUDA, Share
from hpmpi.worker.lifecycle import BUSY, MAX_CRASHES
from tests.harness.drive import ChildRig, child_of, ends, order, welcome
from tests.harness.rank import RankRig

TIME_S = 1000.0
"""Of a job; the tests skip it."""

LOOK = """
import json
import os
from pathlib import Path

def base(config, trial):
    print("looked", flush=True)
    itself = {
        "config": config,
        "number": trial.number,
        "start": trial.start,
        "stop": trial.stop,
        "seed": trial.seed,
        "args": trial.args,
        "folder": str(trial.folder),
        "threads": os.environ["OMP_NUM_THREADS"],
        "gpus": os.environ["CUDA_VISIBLE_DEVICES"],
    }
    with trial.checkpoint(trial.stop) as folder:
        (folder / "model").touch()
    Path(__file__).with_name("itself.json").write_text(json.dumps(itself))
    return {"loss": os.getpid()}
"""


def with_baseline(folder: Path, code: str, **changes: object) -> Welcome:
    """Welcome to a study that has one, and trials that tell which process they are in."""
    (folder / "base.py").write_text(code)
    return welcome(folder, "own_pid", baseline=f"{folder / 'base.py'}:base", **changes)


def base_order(attempt: int = 1, resource: int = 1) -> Assign:
    """Give the baseline's job."""
    return Assign(AttemptId(BASELINE, 0, attempt), resource, {}, seed=7)


def goes_on(rig: ChildRig) -> bool:
    """Tell whether a trial is done, and its rank said to be nothing but ready."""
    rig.assign(order())
    done = rig.until(Finished)
    others = {type(report) for report in rig.left()} - {Ready}
    return done.attempt == order().attempt and done.metrics == {"loss": rig.pid} and not others


def test_a_baseline_is_called_as_an_objective_is_without_a_configuration(tmp_path: Path) -> None:
    told = with_baseline(tmp_path, LOOK, args={"folds": 3})
    share = Share(threads=3, visible={CUDA: ("4",)})
    with child_of(told, share) as rig:
        rig.until(Ready)
        pid = rig.pid
        rig.assign(base_order(resource=9))
        done = rig.until(Finished)
        assert done.attempt == base_order().attempt
        assert done.saved == 9
        assert done.metrics["loss"] != pid
        assert goes_on(rig)
    itself: dict[str, Any] = json.loads((tmp_path / "itself.json").read_text())
    home = tmp_path / "baseline"
    assert itself == {
        "config": {},
        "number": 0,
        "start": 0,
        "stop": 9,
        "seed": 7,
        "args": {"folds": 3},
        "folder": str(home / "trials" / "0"),
        "threads": "3",
        "gpus": "4",
    }
    assert (home / "checkpoints" / "0" / "9-0.1" / "model").exists()
    assert (home / "rank-1.log").read_text() == "[hpmpi: the baseline: {}]\nlooked\n"
    assert not (tmp_path / "checkpoints").exists()
    assert "looked" not in (tmp_path / "logs" / "rank-1.log").read_text()


BAD = [
    ("def base(config): return config['x']", FailureKind.EXCEPTION, "KeyError"),
    ("import os\ndef base(config): os.abort()", FailureKind.CRASH, "SIGABRT"),
    ("import os\nos.abort()", FailureKind.CRASH, "SIGABRT"),
    ("raise ValueError('no such table')", FailureKind.EXCEPTION, "no such table"),
    ("import no_such_module", FailureKind.EXCEPTION, "no_such_module"),
    ("", FailureKind.EXCEPTION, "has no 'base'"),
    ("def base(config): return 'good'", FailureKind.BAD_VALUE, "must be a number"),
]


@pytest.mark.parametrize(("code", "kind", "said"), BAD)
def test_a_baseline_that_fails_is_a_failure_and_its_rank_goes_on(
    tmp_path: Path, code: str, kind: FailureKind, said: str
) -> None:
    with child_of(with_baseline(tmp_path, code)) as rig:
        for attempt in range(1, MAX_CRASHES + 2):
            rig.assign(base_order(attempt))
            failed = rig.until(Failed)
            assert failed.attempt == base_order(attempt).attempt
            assert failed.kind is kind
            assert said in failed.error
        assert goes_on(rig)


def test_a_baseline_that_has_no_place_for_its_output_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "baseline").touch()
    with child_of(with_baseline(tmp_path, LOOK)) as rig:
        rig.assign(base_order())
        assert rig.until(Failed).attempt == base_order().attempt
        assert goes_on(rig)


def test_the_limits_of_a_trial_are_the_baselines(tmp_path: Path) -> None:
    code = "import time\ndef base(config):\n    print('ready', flush=True)\n    time.sleep(1000)"
    with child_of(with_baseline(tmp_path, code, time_s=TIME_S)) as rig:
        rig.assign(base_order())
        log = tmp_path / "baseline" / "rank-1.log"
        while rig.child._life.state is not BUSY or "ready" not in log.read_text():
            rig.hear()  # from now on its time counts
        pid = rig.pid
        rig.skipped_s = 2 * TIME_S
        failed = rig.until(Failed)
        assert failed.kind is FailureKind.TIME
        assert (
            failed.error == f"ran for more than trial_time_s = {TIME_S:g}; its last output:\nready"
        )
        assert ends(pid)


def test_a_trial_that_waits_behind_the_baseline_is_done(rank: RankRig, tmp_path: Path) -> None:
    told = with_baseline(tmp_path, "import os\ndef base(config): return os.getpid()")
    pids = [rank.begin(told)]
    jobs = [base_order(), order(0), order(1), base_order(2), base_order(3), order(2)]
    rank.tell(*jobs)
    for job in jobs:
        done = rank.until(Finished)
        assert done.attempt == job.attempt
        pids.append(int(done.metrics["loss"]))
    assert pids[2] == pids[3], "a trial's process stays"
    assert len(set(pids)) == 6, "a baseline's does nothing else"
    assert rank.stop() == 0
    assert ends(*pids)
    assert {type(report) for report in rank.left()} <= {Ready, Beat}


def test_a_rank_is_ready_only_when_it_is_for_a_trial(rank: RankRig, tmp_path: Path) -> None:
    told = with_baseline(tmp_path, "def base(config): return 1.0")
    (tmp_path / "slow.py").write_text(
        "import time\nfrom pathlib import Path\n\n"
        "while not (Path(__file__).parent / 'go').exists():\n    time.sleep(0.01)\n\n"
        "def f(config):\n    return 0.0\n"
    )
    told = msgspec.structs.replace(told, objective=f"{tmp_path / 'slow.py'}:f")
    rank.tell(told, base_order())
    assert rank.until(Finished).metrics == {"loss": 1.0}
    assert {type(report) for report in rank.left()} <= {Beat}
    (tmp_path / "go").touch()
    rank.until(Ready)


TALK = """
import time
from pathlib import Path

def base(config, trial):
    while True:
        trial.report(1, loss=1.0)
        time.sleep(0.01)
"""


def test_a_baseline_can_be_cancelled(rank: RankRig, tmp_path: Path) -> None:
    rank.begin(with_baseline(tmp_path, TALK, beat_s=0.05))
    rank.tell(base_order(), order())
    assert rank.until(Progress).attempt == base_order().attempt
    rank.tell(Cancel(base_order().attempt))
    assert rank.until(Cancelled).attempt == base_order().attempt
    assert rank.until(Finished).attempt == order().attempt


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("import os\ndef base(config): return os.getpid()", Finished),
        ("def base(config): return config['x']", Failed),
        ("raise ValueError('no such table')", Failed),
        ("raise SystemExit(3)", Failed),
    ],
)
def test_without_isolation_the_rank_itself_calls_the_baseline(
    rank: RankRig, tmp_path: Path, code: str, answer: type[Finished | Failed]
) -> None:
    pid = rank.begin(with_baseline(tmp_path, code, isolated=False))
    rank.tell(base_order(), order())
    said = rank.until(Finished, Failed)
    assert isinstance(said, answer)
    assert said.attempt == base_order().attempt
    assert rank.until(Finished) == Finished(order().attempt, {"loss": pid})
    assert not {Unfit} & {type(report) for report in rank.left()}
