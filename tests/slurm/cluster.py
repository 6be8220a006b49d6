"""A real Slurm for tests: a controller and nodes on this machine, from the packages of its system.

Each node is a machine of namespaces (machines.py) with a slurmd, and so can crash or be cut off.
The head is one more, with munged, slurmctld and the switch that all cables end in. One cable joins
the switch to the network of the tests, so that sbatch works there. Everything is in one folder
(plan.py); the system's own Slurm, if it has one, is not touched.

To try things by hand, as root: `python -m tests.slurm.cluster` prints what to export, and takes
`crash node2`, `start node2`, `cut node2`, `heal node2` and `mend` until Ctrl-C or the input's end.
"""

import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from hpmpi.guard import process_tree
from tests.slurm import machines
from tests.slurm.machines import Machine, ip
from tests.slurm.plan import Plan

T = TypeVar("T")

LIMIT_S = 120.0
"""How long anything may take here, at most."""

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scancel", "scontrol", "sinfo")
PACKAGES = "slurmctld slurmd slurm-client munge libpmix-dev iproute2"

ENDS = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT")
IN_SERVICE = ("idle", "mixed", "allocated", "completing")

HEAD = """
ip link set lo up
mount --bind {folder}/hosts /etc/hosts
munged --foreground --force --key-file={folder}/munge.key --seed-file={folder}/munge.seed \
    --socket={folder}/munge.socket --pid-file={folder}/munge.pid >{folder}/log/munged 2>&1 &
until [ -S {folder}/munge.socket ]; do sleep 0.02; done
SLURM_CONF={folder}/slurm.conf slurmctld -D >/dev/null &
"""

NODE = """
ip link set lo up
ip address add {address}/24 dev eth0
ip link set eth0 up
mount --bind {folder}/hosts /etc/hosts
mount -t tmpfs shm /dev/shm
mount -t sysfs sys /sys
SLURM_CONF={folder}/slurm.conf slurmd -D >/dev/null &
"""


@functools.cache
def missing() -> str:
    """Say why there can't be a Slurm here; nothing if there can."""
    lacking = [each for each in PROGRAMS if shutil.which(each, path=machines.PATH) is None]
    if not any(Path("/usr").glob(place) for place in ("lib*/libpmix.so", "lib/*/libpmix.so")):
        lacking.append("libpmix.so")  # that is the name under which Slurm looks for PMIx
    if lacking:
        return f"no {', '.join(lacking)} here; on Debian: apt-get install {PACKAGES}"
    return machines.missing()


class Cluster:
    """A Slurm with some nodes: `node1`, ..."""

    def __init__(self, plan: Plan) -> None:
        """Have it ready; `up` brings it up."""
        self.plan = plan
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH"))},
            "SLURM_CONF": str(plan.folder / "slurm.conf"),
        }
        """What a program needs to be a user of this Slurm."""
        self._machines: dict[str, Machine] = {}

    def up(self) -> None:
        """Bring it up; all nodes are idle then."""
        self.plan.write()
        self._start_head()
        for node in self.plan.nodes:
            self._switch_on(node)
        self.wait_for(lambda: self._all_are("idle"), "idle nodes")

    def down(self) -> None:
        """Switch everything off, however far it came up."""
        for machine in self._machines.values():
            machine.off()
        ip("link", "delete", self.plan.uplink, check=False)  # it may have gone with the head

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a program as a user of the cluster; what it says is kept."""
        return subprocess.run(
            words, env=self.env, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    def ask(self, *words: str) -> str:
        """Run a program of Slurm that does no more if it is run twice, and return what it says."""
        while "timed out" in (done := self.run(*words)).stderr:
            pass  # slurmctld is busy with a node that is gone
        return said(done)

    def sbatch(self, *words: str) -> str:
        """Submit a script (or --wrap=COMMAND), and say which job it is."""
        return said(self.run("sbatch", "--parsable", *words)).strip()

    def job(self, number: str) -> dict[str, str]:
        """Say all that Slurm knows of a job; of an array, of its first."""
        told = self.ask("scontrol", "--oneliner", "show", "job", number).splitlines()[0]
        return dict(re.findall(r"(\S+?)=(.*?)(?=\s+[\w/:]+=|\s*$)", told))

    def state(self, number: str) -> str:
        """Say whether a job is PENDING, RUNNING, COMPLETED, ..."""
        return self.job(number)["JobState"]

    def until(self, number: str, *states: str, limit_s: float = LIMIT_S) -> str:
        """Wait for a job to be in one of these states, and say in which."""

        def wanted_state() -> str:
            state = self.state(number)
            if state in ENDS and state not in states:
                raise RuntimeError(f"never {' or '.join(states)}: {self.job(number)}")
            return state if state in states else ""

        return self.wait_for(wanted_state, f"job {number} that is {' or '.join(states)}", limit_s)

    def wait_for(self, has_come: Callable[[], T], what: str, limit_s: float = LIMIT_S) -> T:
        """Wait for something to come, and return it; if it doesn't, show the ends of the logs."""
        end = time.monotonic() + limit_s
        while not (come := has_come()):
            if time.monotonic() > end:
                logs = sorted(self.plan.folder.glob("log/*"))
                told = [f"== {log.name}\n{log.read_text()[-1000:]}" for log in logs]
                raise TimeoutError("\n".join([f"no {what} in {limit_s:g} s", *told]))
            time.sleep(0.05)
        return come

    def crash(self, node: str) -> None:
        """Have a node lose its power: no connection is closed, nothing ends by itself."""
        ip("link", "delete", f"port-{node}", inside=self._machines["head"])
        self._machines[node].off()

    def kill(self, node: str) -> None:
        """Kill all that runs on a node, and the node: the kernel closes its connections."""
        self._machines[node].off()
        ip("link", "delete", f"port-{node}", inside=self._machines["head"], check=False)

    def start(self, node: str) -> None:
        """Switch a node on again that crashed, and wait until Slurm uses it."""
        # Else Slurm may use it before it is there, where it has not missed it yet.
        self.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=off")
        self._switch_on(node)
        self.wait_for(lambda: self._states()[node] in IN_SERVICE, f"{node} in service")

    def cut(self, node: str) -> None:
        """Pull a node's cable."""
        ip("link", "set", f"port-{node}", "down", inside=self._machines["head"])

    def heal(self, node: str) -> None:
        """Plug it in again."""
        ip("link", "set", f"port-{node}", "up", inside=self._machines["head"])

    def cancel(self) -> None:
        """Cancel all jobs."""
        self.ask("scancel", "--user=root")

    def mend(self) -> None:
        """Cancel all jobs, repair all nodes, and wait until these are idle."""
        self.cancel()
        for node in self.plan.nodes:
            if self._machines[node].on:
                self.heal(node)
            else:
                self.start(node)
        for node, state in self._states().items():
            if state.startswith(("down", "drain")):
                self.run("scontrol", "update", f"nodename={node}", "state=resume")
        self.wait_for(lambda: self._all_are("idle"), "idle nodes")

    def _start_head(self) -> None:
        """Start munged and slurmctld, and join their network with ours."""
        head = self._machine("head")
        here, uplink = self.plan.address("tests"), self.plan.uplink
        peer = ["peer", "name", "uplink", "netns", str(head.pid)]
        ip("link", "add", "name", uplink, "type", "veth", *peer)
        ip("address", "add", f"{here}/24", "dev", uplink)
        ip("link", "set", uplink, "up")
        ip("link", "add", "name", "switch", "up", "type", "bridge", inside=head)
        ip("link", "set", "uplink", "up", "master", "switch", inside=head)
        ip("address", "add", f"{self.plan.address('head')}/24", "dev", "switch", inside=head)
        head.boot(HEAD.format(folder=self.plan.folder))
        self.wait_for(lambda: "is UP" in self.run("scontrol", "ping").stdout, "slurmctld")

    def _switch_on(self, node: str) -> None:
        """Start a node's machine, plug it in, and have it start its slurmd."""
        machine, head = self._machine(node), self._machines["head"]
        peer = ["peer", "name", "eth0", "address", self.plan.card(node), "netns", str(machine.pid)]
        ip("link", "add", "name", f"port-{node}", "type", "veth", *peer, inside=head)
        ip("link", "set", f"port-{node}", "up", "master", "switch", inside=head)
        machine.boot(NODE.format(folder=self.plan.folder, address=self.plan.address(node)))

    def _machine(self, name: str) -> Machine:
        machine = self._machines[name] = Machine(name, self.plan.folder / "log" / name)
        return machine

    def _states(self) -> dict[str, str]:
        """Say what Slurm thinks of each node; an asterisk means that it has not heard of it."""
        told = self.ask("sinfo", "--noheader", "--Node", "--partition=main", "--format=%N %T")
        return dict(line.split() for line in told.splitlines())

    def _all_are(self, state: str) -> bool:
        return self._states() == dict.fromkeys(self.plan.nodes, state)


def said(done: "subprocess.CompletedProcess[str]") -> str:
    """Return what a program said that must not have failed."""
    if done.returncode:
        raise RuntimeError(f"{' '.join(done.args)}: {done.stderr}")
    return done.stdout


@contextlib.contextmanager
def temporary(size: int = 3, cpus: int = 4, gpus: int = 2) -> Iterator[Cluster]:
    """Bring up a cluster in a folder of its own, and leave nothing of it, not even if killed."""
    folder = tempfile.mkdtemp(prefix="slurm-")
    # This one lives on until its input ends, as it does when we end.
    remove = ["sh", "-c", 'cat; until rm -rf "$0"; do sleep 1; done', folder]
    with subprocess.Popen(remove, stdin=subprocess.PIPE, start_new_session=True) as remover:
        process_tree.know(remover.pid)  # what adopts orphans here takes it for none
        cluster = Cluster(Plan(Path(folder), size, cpus, gpus))
        try:
            cluster.up()
            yield cluster
        finally:
            cluster.down()


def main() -> None:
    """Bring one up, and do what the input says until it ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    if why := missing():
        sys.exit(why)
    with contextlib.suppress(KeyboardInterrupt), temporary() as cluster:
        sys.stdout.write(f"export SLURM_CONF={cluster.env['SLURM_CONF']}\n")
        sys.stdout.flush()
        for line in sys.stdin:
            match line.split():
                case ["mend"]:
                    cluster.mend()
                case ["crash" | "start" | "cut" | "heal" as what, node] if (
                    node in cluster.plan.nodes
                ):
                    getattr(cluster, what)(node)
                case _:
                    sys.stderr.write("give me: crash, start, cut or heal NODE; mend\n")


if __name__ == "__main__":
    main()
