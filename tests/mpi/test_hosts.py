"""Whole studies on several hosts, and what befalls the hosts and their links.

The hosts are made here: each has a network, a name and shared memory of its own (Linux namespaces
that processes hold, so they end with these), and all see the same files, as on a cluster. Their
cables end in a switch, which is one more namespace: this machine's own network is not touched. The
launcher reaches a host through an agent that does what ssh does.
"""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hpmpi
from hpmpi.model.records import Assigned, Back, Failure, Result
from tests.harness import pages
from tests.harness.groups_of_ranks import WORLDS, has_torch, study_of_groups
from tests.harness.runs import IS_OPEN_MPI, MPIRUN, Study, finish

TOOLS = ("ip", "unshare", "nsenter", "setpriv", "mount")
UNSHARE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--uts", "--ipc", "--mount"]


@functools.cache
def missing() -> str:
    """Say what this machine lacks to make hosts of namespaces; nothing if it can."""
    if lacking := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"no {', '.join(lacking)} here"
    made = subprocess.call([*UNSHARE, "true"], stderr=subprocess.DEVNULL)
    return "no namespaces for this user" if made else ""


pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]

FREE = 6
"""How many trials come to an end before the gate is open."""

GATED = f"""
import time
from pathlib import Path

GATE = Path(__file__).with_name("gate")

def train(config, trial):
    while trial.number >= {FREE} and not GATE.exists():
        time.sleep(0.02)
    return config["x"] + 1 / trial.stop
"""

AGENT = """#!/bin/sh
# ssh [-o WORD | OPTION...] ADDRESS COMMAND...
while [ "${1#-}" != "$1" ]; do [ "$1" = -o ] && shift; shift; done
address=$1; shift
exec nsenter --target "$(cat "$0.$address")" --net --uts --ipc --mount sh -c "$*"
"""


class Host:
    """A host: the namespaces of a process that holds them."""

    def __init__(self, number: int) -> None:
        """Switch it on; it has no cable yet."""
        self.number = number
        self.address = f"10.77.0.{number}"
        memory = "mount -t tmpfs -o size=256m tmpfs /dev/shm"
        hold = f"hostname host{number} && {memory} && echo on && exec sleep infinity"
        self._holder = subprocess.Popen(
            [*UNSHARE, "sh", "-c", hold], stdout=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        with self._holder.stdout as told:
            assert told.readline() == "on\n"
        self.pid = self._holder.pid
        self._network = network_of(self.pid)

    def enter(self) -> list[str]:
        """Say how to run a program there."""
        return ["nsenter", "--target", str(self.pid), "--net", "--uts", "--ipc", "--mount"]

    def ip(self, *words: str) -> None:
        """Change its network."""
        subprocess.run([*self.enter(), "ip", *words], check=True)

    def off(self) -> None:
        """Power it off, if it is on: nothing that runs there ends by itself."""
        while self._holder.poll() is None:
            others = [pid for pid in pids() if pid != self.pid and network_of(pid) == self._network]
            # The holder is the last: once it ends, the number of its network may be another's.
            for pid in others or [self.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


class Hosts:
    """Hosts, numbered from 1, that a switch (number 0) joins."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        """Have none yet; `stack` is what switches them off at the end."""
        self._stack = stack
        self._agent = folder / "ssh"
        self._agent.write_text(AGENT)
        self._agent.chmod(0o700)
        self._hosts: dict[int, Host] = {}
        self._on(0).ip("link", "add", "name", "switch", "up", "type", "bridge")

    def add(self, number: int) -> None:
        """Switch a host on, and plug it in."""
        host, switch = self._on(number), self._hosts[0]
        peer = ["peer", "name", "eth0", "netns", str(host.pid)]
        switch.ip("link", "add", "name", f"port{number}", "type", "veth", *peer)
        switch.ip("link", "set", f"port{number}", "up", "master", "switch")
        host.ip("address", "add", f"{host.address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            host.ip("link", "set", device, "up")
        self._agent.with_name(f"ssh.{host.address}").write_text(str(host.pid))

    def cut(self, number: int) -> None:
        """Pull a host's cable."""
        self._hosts[0].ip("link", "set", f"port{number}", "down")

    def mend(self, number: int) -> None:
        """Plug it in again."""
        self._hosts[0].ip("link", "set", f"port{number}", "up")

    def off(self, number: int) -> None:
        """Power a host off: it answers nobody from the first moment on."""
        host = self._hosts.pop(number)
        self._agent.with_name(f"ssh.{host.address}").unlink()
        host.off()

    def mpirun(self, *words: str) -> list[str]:
        """Say how to start two ranks on each host that is on."""
        on = [host for number, host in sorted(self._hosts.items()) if number > 0]
        places = ",".join(f"{host.address}:2" for host in on)
        agent = str(self._agent)
        if IS_OPEN_MPI:
            how = ["--host", places, "--prtemca", "plm_ssh_agent", agent, "-x", "PYTHONPATH"]
            how += ["--prtemca", "prte_tmpdir_base", str(self._agent.parent)]
            how += ["--allow-run-as-root", "--bind-to", "none"]
        else:
            how = ["-hosts", places, "-launcher", "ssh", "-launcher-exec", agent, "-iface", "eth0"]
        return [*on[0].enter(), str(MPIRUN), *how, "-n", str(2 * len(on)), *words]

    def launch(self, study: Study, launch_on: int) -> list[str]:
        """Say how to launch a study on all hosts that are on, from one of them."""
        on = [host.address for number, host in sorted(self._hosts.items()) if number > 0]
        words = ["launch", str(study.file), "--out", str(study.out), "--hosts", ",".join(on)]
        env = {
            "PATH": f"{self._agent.parent}:{os.environ['PATH']}",
            "HYDRA_LAUNCHER_EXEC": str(self._agent),
            "HYDRA_IFACE": "eth0",
            "PRTE_MCA_plm_ssh_agent": str(self._agent),
            "PRTE_MCA_prte_tmpdir_base": str(self._agent.parent),
        }
        settings = [f"{name}={value}" for name, value in env.items()]
        python = [sys.executable, "-m", "hpmpi", *words, "-n", str(2 * len(on))]
        return [*self._hosts[launch_on].enter(), "env", *settings, *python]

    def _on(self, number: int) -> Host:
        host = self._hosts[number] = Host(number)
        self._stack.callback(host.off)
        return host


def pids() -> list[int]:
    """List the processes of this machine."""
    return [int(process.name) for process in Path("/proc").glob("[0-9]*")]


def network_of(pid: int) -> Path | None:
    """Name the network that a process sees; None if it has just ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/ns/net").readlink()
    return None


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """Make three hosts, 1 to 3; ranks 4 and 5 are on the third."""
    with contextlib.ExitStack() as stack:
        made = Hosts(tmp_path, stack)
        for number in (1, 2, 3):
            made.add(number)
        yield made


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Write a study whose later trials wait at a gate."""
    folder = tmp_path / "study"
    folder.mkdir()
    study = Study(folder)
    (study.folder / "train.py").write_text(GATED)
    return study


def test_a_host_cut_off_for_longer_than_patience_is_used_again(hosts: Hosts, study: Study) -> None:
    process = study.start(hosts.mpirun(*study.command()))
    study.until(lambda: len(study.busy()) == 5, process)
    hosts.cut(3)
    study.until(lambda: sorted(set(study.lost)) == [4, 5], process)
    hosts.mend(3)
    study.until(lambda: ranks_back(study) == [4, 5], process)
    open_gate(study)
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    check_complete(study)


def test_a_rank_killed_on_another_host_costs_its_job_only(hosts: Hosts, study: Study) -> None:
    process = study.start(hosts.mpirun(*study.command()))
    study.until(lambda: len(study.busy()) == 5, process)
    os.kill(study.ranks()[5], signal.SIGKILL)
    study.until(lambda: sorted(set(study.lost)) == [5], process)
    open_gate(study)
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    check_complete(study)


def test_a_host_powered_off_ends_the_launcher_and_loses_no_result(
    hosts: Hosts, study: Study
) -> None:
    process = study.start(hosts.mpirun(*study.command()))
    study.until(lambda: len(study.busy()) == 5 and len(study.results) >= FREE, process)
    hosts.off(3)
    finish(process)  # with what code is not to be relied on
    assert study.left() == []
    before = study.results
    open_gate(study)
    done = study.run(hosts.mpirun(*study.command()))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert study.results[: len(before)] == before
    check_complete(study)


@pytest.mark.parametrize("number", [pytest.param(1, id="of-rank-0"), pytest.param(3, id="other")])
def test_a_launch_goes_on_by_itself_on_the_hosts_that_are_left(
    hosts: Hosts, study: Study, number: int
) -> None:
    process = study.start(hosts.launch(study, launch_on=2))
    study.until(lambda: len(study.busy()) == 5 and len(study.results) >= FREE, process)
    before = study.results
    hosts.off(number)
    study.until(lambda: len(ranks_started(study)) == 2, process)
    open_gate(study)
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert ranks_started(study) == [5, 3]
    assert study.results[: len(before)] == before
    check_complete(study)


def ranks_started(study: Study) -> list[int]:
    """Count the worker ranks of each start."""
    return [each.ranks for each in study.starts]


def ranks_back(study: Study) -> list[int]:
    """List the ranks that were lost, and are no more."""
    return sorted({each.rank for each in study.decided(Back)})


def open_gate(study: Study) -> None:
    """Let the later trials go on."""
    study.folder.joinpath("gate").touch()


def check_complete(study: Study) -> None:
    """Every trial has its result at the bottom, and no job has two."""
    assert {trial for trial, rung in study.results if rung == 0} == set(range(12))
    assert len(study.results) == len(set(study.results))


@pytest.mark.skipif(IS_OPEN_MPI, reason="its mpirun can't be told to end a host that is cut off")
def test_a_host_cut_off_for_good_keeps_nothing_from_ending(hosts: Hosts, study: Study) -> None:
    process = study.start(hosts.mpirun(*study.command("--set", "limits.patience_s=0.7")))
    study.until(lambda: len(study.busy()) == 5, process)
    hosts.cut(3)
    study.until(lambda: sorted(set(study.lost)) == [4, 5], process)
    open_gate(study)
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    check_complete(study)


@pytest.mark.parametrize("world", WORLDS)
def test_the_members_of_a_group_meet_over_hosts(
    world: str, hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth0")  # nobody knows the hosts by their names
    (tmp_path / "study").mkdir()
    study = study_of_groups(tmp_path / "study", world, kills=True)
    changes = ["stop.max_trials=1", "run.ranks_per_trial=5", "scheduler.min_resource=4"]
    words = [word for change in changes for word in ("--set", change)]
    done = study.run(hosts.mpirun(*study.command(*words)))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert [it.attempt.number for it in study.decided(Result)] == [2]
    assert len(study.decided(Failure)) == 1


DDP = """
objective = "ddp.py:train"
metric = "loss"

[space]
lr = { type = "float", low = 0.01, high = 0.1, log = true }

[stop]
max_trials = 4

[run]
world = "torch"
"""

AT_ONCE = "ranks_per_trial = 2\n[scheduler]\nmax_resource = 4\n"
GROWING = 'ranks_per_trial = [1, 2, 4]\n[scheduler]\nmethod = "asha"\nmax_resource = 4\neta = 2\n'


@pytest.mark.skipif(not has_torch, reason="no torch")
def test_a_training_that_grows_over_hosts_is_that_of_one_that_does_not(
    hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth0")
    (tmp_path / "study").mkdir()
    study = Study(tmp_path / "study")
    study.file.write_text(DDP + GROWING)
    (example,) = (each for each in pages.blocks("several-ranks.md") if each.title == "ddp.py")
    text = example.text.replace("loss=loss)", "loss=loss, begun_at=trial.start)")
    (study.folder / "ddp.py").write_text(text)
    done = study.run(hosts.mpirun(*study.command()))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    sizes = {(it.attempt.rung, 1 + len(it.others)) for it in study.decided(Assigned)}
    assert sizes == {(0, 1), (1, 2), (2, 4)}
    grown = hpmpi.load(study.out)
    begun_at = set(zip(grown.curves.resource, grown.curves.begun_at, strict=True))
    assert begun_at == {(1, 0), (2, 1), (3, 2), (4, 2)}

    monkeypatch.delenv("GLOO_SOCKET_IFNAME")
    study.file.write_text(DDP + AT_ONCE)
    done = study.run(study.command("--workers", "2", "--fresh"))
    assert done.returncode == 0, done.stderr
    curves = hpmpi.load(study.out).curves.set_index(["trial", "resource"]).loss
    alike = [curves[it.trial, it.resource] for it in grown.results.itertuples()]
    assert list(grown.results.loss) == pytest.approx(alike, rel=1e-5)
