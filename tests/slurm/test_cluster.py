"""The cluster of the tests is a cluster: laws that the tests beside this one rely on."""

import fcntl
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.harness.runs import ROOT
from tests.slurm.cluster import LIMIT_S, Cluster
from tests.slurm.plan import Plan

pytestmark = pytest.mark.slurm

REQUEUES = """#!/bin/sh
echo "${SLURM_RESTART_COUNT:-0}" >>runs
[ -n "$SLURM_RESTART_COUNT" ] || { scontrol requeue "$SLURM_JOB_ID"; sleep infinity; }
"""


def run_job(cluster: Cluster, folder: Path, command: str, *options: str) -> list[str]:
    """Have a job run a command on all three nodes, and return what it says, in order."""
    said = folder / "said"
    words = ["--nodes=3", f"--output={said}", f"--chdir={folder}", f"--wrap={command}"]
    cluster.until(cluster.sbatch(*options, *words), "COMPLETED")
    return sorted(said.read_text().splitlines())


def test_a_job_runs_on_nodes_with_names_and_folders_of_their_own(
    cluster: Cluster, tmp_path: Path
) -> None:
    said = run_job(cluster, tmp_path, """srun sh -c 'echo "$(hostname) $TMPDIR"'""")
    folders = {node: cluster.plan.folder / f"tmp-{node}" for node in cluster.plan.nodes}
    assert said == [f"{node} {folder}" for node, folder in folders.items()]


def test_each_task_of_a_node_sees_a_gpu_of_its_own(cluster: Cluster, tmp_path: Path) -> None:
    command = """srun sh -c 'echo "$SLURMD_NODENAME $CUDA_VISIBLE_DEVICES"'"""
    said = run_job(cluster, tmp_path, command, "--ntasks-per-node=2", "--gpus-per-task=1")
    assert said == [f"node{n} {gpu}" for n in (1, 2, 3) for gpu in (0, 1)]


def test_a_job_that_requeues_itself_runs_again(cluster: Cluster, tmp_path: Path) -> None:
    script = tmp_path / "requeues"
    script.write_text(REQUEUES)
    job = cluster.sbatch("--output=/dev/null", f"--chdir={tmp_path}", str(script))
    cluster.until(job, "COMPLETED")
    assert (tmp_path / "runs").read_text() == "0\n1\n"


def test_a_node_that_crashes_ends_all_that_ran_there_and_can_be_mended(
    cluster: Cluster, tmp_path: Path
) -> None:
    lock, begun = tmp_path / "lock", tmp_path / "begun"
    os.mkfifo(begun)
    words = ["--nodelist=node2", "--output=/dev/null", f"--chdir={tmp_path}"]
    cluster.sbatch(*words, "--wrap=flock lock sh -c 'echo yes >begun; sleep infinity'")
    assert begun.read_text() == "yes\n"
    cluster.crash("node2")
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    cluster.mend()
    assert run_job(cluster, tmp_path, "srun hostname") == cluster.plan.nodes


def test_a_node_that_is_cut_off_is_out_of_reach_until_it_is_mended(cluster: Cluster) -> None:
    slurmd = (cluster.plan.address("node3"), 6818)
    cluster.cut("node3")
    with pytest.raises(OSError, match=r"timed out|No route"):
        socket.create_connection(slurmd, timeout=1)
    cluster.mend()
    socket.create_connection(slurmd, timeout=LIMIT_S).close()


def test_nothing_is_left_of_a_cluster_whose_owner_is_killed(cluster: Cluster) -> None:
    program = [sys.executable, "-m", "tests.slurm.cluster"]
    with subprocess.Popen(
        program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().removeprefix("export SLURM_CONF=")).parent
        assert left_of(folder) == ["daemons", "folder", "cable"]
        owner.kill()
    end = time.monotonic() + LIMIT_S
    while left_of(folder) and time.monotonic() < end:
        time.sleep(0.05)
    assert left_of(folder) == []
    assert left_of(cluster.plan.folder) == ["daemons", "folder", "cable"]


def left_of(folder: Path) -> list[str]:
    """Say what there is of a cluster."""
    sought = f"SLURM_CONF={folder}/slurm.conf".encode()
    there = {
        "daemons": any(sought in environment(process.pid) for process in psutil.process_iter()),
        "folder": folder.exists(),
        "cable": Path("/sys/class/net", Plan(folder).uplink).exists(),
    }
    return [what for what, is_there in there.items() if is_there]


def environment(pid: int) -> bytes:
    """Read a process's environment; nothing if it has just ended."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
