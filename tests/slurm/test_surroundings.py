"""Where launch and submit are called from: other allocations, steps, shells, odd variables."""

import os
import pty
import shlex
import sys
from functools import partial
from pathlib import Path

import pytest

from hpmpi.launch.judgement import MOST_BARREN
from hpmpi.storage import heartbeat_file
from hpmpi.views.run_view import look
from tests.harness.runs import MPIRUN, Study
from tests.slurm.allocations import TUNE, Tuning
from tests.slurm.cluster import LIMIT_S, Cluster

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
]

NEVER = """#!/bin/sh
case "$*" in *--job-name=hpmpi-*) exec sleep 600;; esac
exec {srun} "$@"
"""
"""An srun that starts no ranks, and says nothing."""


def text_of(path: Path) -> str:
    """Read a file; nothing where there is none yet."""
    return path.read_text() if path.exists() else ""


def is_counted(folder: Path, count: int) -> bool:
    """Tell whether launch has counted so many starts that brought nothing."""
    return heartbeat_file.read(folder).barren == count


def array_task(cluster: Cluster, folder: Path, script: str) -> str:
    """Have task 3 of an array run a script, and stay; return its id."""
    file = folder / "outer.sh"
    file.write_text(f"#!/bin/bash\n[ -e asked ] || {{ touch asked; {script}; }}\nsleep infinity\n")
    job = cluster.sbatch(
        "--array=3", "--mem=1000", f"--chdir={folder}", f"--output={folder}/outer.log", str(file)
    )
    return f"{job}_3"


def test_what_an_arrays_task_submits_is_not_in_the_array(cluster: Cluster, tmp_path: Path) -> None:
    """The parent isn't requeued in its place, and the run has its own folder and seed."""
    tuning = Tuning(cluster, tmp_path, epoch_s=0.3)
    options = [f"--chdir={tmp_path}", f"--output={tuning.log}", "--ntasks-per-node=2"]
    words = ["sbatch", "--parsable", *options, str(TUNE), str(tuning.study.file)]
    words += ["--out", str(tuning.study.out), "--set", "limits.grace_s=1"]
    outer = array_task(cluster, tmp_path, f"{shlex.join(words)} > id")
    inner = tmp_path / "id"
    tuning.job = cluster.wait_for(lambda: text_of(inner).strip(), "an id")
    tuning.until_results(4)
    cluster.ask("scancel", "--batch", "--signal=USR1", tuning.job)
    tuning.finish()
    assert (tuning.restarts, cluster.job(outer)["Restarts"]) == (1, "0")
    assert cluster.state(outer) == "RUNNING"
    assert look(tuning.study.out).study.seed == 0


def test_what_is_submitted_from_an_allocation_needs_none_of_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    study = Study(tmp_path)
    words = [sys.executable, "-m", "hpmpi", "submit", str(study.file), "--out", str(study.out)]
    words += ["--nodes=1", "--ntasks-per-node=2", "--time=10", "--mem=900", "--wait"]
    command = f"export SLURM_MEM_PER_CPU=300; {shlex.join(words)}; echo $? > code"
    array_task(cluster, tmp_path, command)
    code = tmp_path / "code"
    said = cluster.wait_for(lambda: text_of(code).strip(), "an exit code")
    assert said == "0", text_of(tmp_path / "outer.log")
    assert look(study.out).study.seed == 0


@pytest.mark.mpi
@pytest.mark.parametrize("launcher", ["srun", "mpirun"])
def test_ranks_have_the_scripts_environment_whatever_sbatch_exports(
    cluster: Cluster, tmp_path: Path, launcher: str
) -> None:
    tuning = Tuning(cluster, tmp_path)
    with (tmp_path / "train.py").open("a") as file:
        file.write('\nassert os.environ["MY_LICENSE_SERVER"] == "27000@lic"\n')
    script = tmp_path / "job.sh"
    kept = ("PATH", "PYTHONPATH", "SLURM_CONF")
    lines = [f"export {name}={shlex.quote(cluster.env[name])}" for name in kept]
    odd = "export SLURM_CPU_BIND=none SLURM_DISTRIBUTION=plane=1 SLURM_HINT=memory_bound"
    launch = shlex.join(["python", "-m", "hpmpi", "launch", str(tuning.study.file)])
    launch += f" --out {tuning.study.out} --launcher {launcher}"
    lines += ["export MY_LICENSE_SERVER=27000@lic", odd, f"exec {launch}"]
    script.write_text("\n".join(["#!/bin/bash", *lines, ""]))
    places = ("--nodes=2", "--ntasks-per-node=2", f"--chdir={tmp_path}", "--export=NONE")
    tuning.job = cluster.sbatch(*places, f"--output={tuning.log}", str(script))
    tuning.finish()


def test_two_launches_in_an_allocation_leave_each_other_alone(
    cluster: Cluster, tmp_path: Path
) -> None:
    tuning = Tuning(cluster, tmp_path, gated=True)
    launch = shlex.join(["python", "-m", "hpmpi", "launch", str(tuning.study.file)])
    short = f"{launch} --out {tmp_path}/short --set stop.max_trials=2"
    script = tmp_path / "job.sh"
    script.write_text(f"#!/bin/bash\n{launch} --out {tuning.study.out} &\n{short}\nwait\n")
    places = ("--nodes=2", "--ntasks-per-node=2", f"--chdir={tmp_path}")
    tuning.job = cluster.sbatch(*places, f"--output={tuning.log}", str(script))
    cluster.wait_for(lambda: "best: trial" in text_of(tuning.log), "the end of one")
    tuning.open_gate()
    tuning.finish()
    assert (tuning.starts, tuning.lost) == (1, set())


def test_of_a_heterogeneous_allocation_the_scripts_part_is_used(
    cluster: Cluster, tmp_path: Path
) -> None:
    tuning = Tuning(cluster, tmp_path)
    part = ["--nodes=1", "--ntasks-per-node=2", f"--chdir={tmp_path}", f"--output={tuning.log}"]
    words = [str(TUNE), str(tuning.study.file), "--out", str(tuning.study.out)]
    tuning.job = cluster.sbatch(*part, ":", "--nodes=1", "--ntasks-per-node=2", *words)
    tuning.finish()
    log = tuning.log.read_text()
    assert f"heterogeneous allocation {tuning.job} only {tuning.job} is used" in log


def test_starts_without_a_rank_0_end_a_study_over_requeues(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is ended by a signal, as by a time limit: nothing ever was in the journal."""
    tuning = Tuning(cluster, tmp_path)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "srun").write_text(NEVER.format(srun=cluster.run("which", "srun").stdout.strip()))
    (folder / "srun").chmod(0o700)
    monkeypatch.setitem(cluster.env, "PATH", f"{folder}:{cluster.env['PATH']}")
    tuning.submit("--nodes=1", hpmpi=("--launcher", "srun"))
    for restart in range(MOST_BARREN):
        tuning.until_restarted(restart)
        cluster.wait_for(partial(is_counted, tuning.study.out, restart + 1), "a start")
        cluster.ask("scancel", "--batch", "--signal=USR1", tuning.job)
    assert cluster.until(tuning.job, "FAILED") == "FAILED"
    assert (tuning.restarts, tuning.study.lines) == (MOST_BARREN - 1, [])
    assert f"{MOST_BARREN} starts in a row" in tuning.log.read_text()


@pytest.mark.parametrize("mpi", ["none", "pmi2"])
def test_a_shell_in_a_step_of_several_tasks_is_no_rank(
    cluster: Cluster, tmp_path: Path, mpi: str
) -> None:
    study = Study(tmp_path)
    hpmpi = f"{sys.executable} -m hpmpi"
    lines = [
        '[ "$SLURM_PROCID" = 0 ] || exit 0',
        f"{hpmpi} run {study.file} --out {study.out} || exit 1",
        f"{hpmpi} show {study.out} || exit 2",
        f"{hpmpi} launch {study.file} --out {tmp_path}/launched || exit 3",
        "echo all of it",
    ]
    typed = tmp_path / "typed.sh"
    typed.write_text("\n".join(lines))
    words = ["srun", "-N1", "-n3", "--time=5", f"--mpi={mpi}", "--pty", "bash", str(typed)]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execvpe("timeout", ["timeout", str(LIMIT_S), *words], cluster.env)  # noqa: S606
    said = read_all(terminal)
    os.waitpid(pid, 0)
    assert "all of it" in said, said


def read_all(terminal: int) -> str:
    """Read what is said on a terminal, to the end of it."""
    said = b""
    try:
        while more := os.read(terminal, 1 << 16):
            said += more
    except OSError:  # that is how a terminal ends
        pass
    os.close(terminal)
    return said.decode(errors="replace")
