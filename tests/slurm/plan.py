"""What a cluster for tests is to be: its names, its addresses, and the files that its daemons read.

All of these come from its folder, so that several clusters can be up at the same time.
"""

import os
import secrets
import socket
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = """
ClusterName=tests
SlurmctldHost=head({head})
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmUser=root
FirstJobId={first_job}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld
SlurmdLogFile={folder}/log/slurmd-%n
MailProg=/bin/true
# Nodes that share /tmp trip over each other's MPI session folders, which a pid names.
TmpFS={folder}/tmp-%n
TaskProlog={folder}/prolog

# Neither cgroups nor affinity: a node claims more CPUs than there are.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu

# Quick to start a job, to miss a node, to kill, and to requeue (see also cred_expire).
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=100000
SlurmdTimeout=15
KillWait=5
ReturnToService=2
MinJobAge=3600

NodeName=DEFAULT CoresPerSocket={cpus} RealMemory=65536 {gres}
{nodes}

PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=DEFAULT Nodes=ALL DefaultTime=60
PartitionName=main Default=YES PriorityTier=10 PreemptMode=OFF
PartitionName=low  PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
PartitionName=lowc PriorityTier=1 PreemptMode=CANCEL GraceTime=10
"""

PROLOG = """#!/bin/sh
echo "export TMPDIR={folder}/tmp-$SLURMD_NODENAME"
"""

CGROUP = "CgroupPlugin=cgroup/v1\n"
"""Nothing uses it, but slurmd gives up where it is not told which one and finds none."""

DEV_NULL = os.makedev(1, 3)


@dataclass(frozen=True, slots=True)
class Plan:
    """A cluster in an empty folder, whose path is short: sockets are in it."""

    folder: Path
    size: int = 3
    """How many nodes."""
    cpus: int = 4
    """That each node claims to have."""
    gpus: int = 2
    """Likewise."""

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes."""
        return [f"node{number}" for number in range(1, 1 + self.size)]

    @property
    def uplink(self) -> str:
        """What the cable to the cluster is called in the network of the tests."""
        return f"slurm{self._mark:08x}"

    def address(self, name: str) -> str:
        """Say where a node is, or the head, or the tests."""
        number = {"head": 1, "tests": 254}.get(name) or 10 + self._number(name)
        return f"10.{200 + self._mark % 50}.{self._mark // 50 % 256}.{number}"

    def card(self, node: str) -> str:
        """Say which network card a node has, also after a crash: its neighbours remember it."""
        return f"02:00:00:00:00:{self._number(node):02x}"

    def write(self) -> None:
        """Write all files."""
        self.folder.chmod(0o755)
        for node in self.nodes:
            self.folder.joinpath(f"spool-{node}").mkdir()
            self.folder.joinpath(f"tmp-{node}").mkdir()
        self.folder.joinpath("log").mkdir()
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        devices = [self.folder / f"gpu{number}" for number in range(self.gpus)]
        for device in devices:  # slurmd asks no more of a GPU than to be a device
            os.mknod(device, 0o666 | stat.S_IFCHR, DEV_NULL)
        gres = "".join(f"Name=gpu File={device}\n" for device in devices)
        prolog = self.folder / "prolog"
        prolog.touch(0o755)
        prolog.write_text(PROLOG.format(folder=self.folder))
        self.folder.joinpath("gres.conf").write_text(gres)
        self.folder.joinpath("cgroup.conf").write_text(CGROUP)
        self.folder.joinpath("hosts").write_text(self._hosts())
        self.folder.joinpath("slurm.conf").write_text(self._configuration())

    def _configuration(self) -> str:
        nodes = [f"NodeName={node} NodeAddr={self.address(node)}" for node in self.nodes]
        return CONFIGURATION.format(
            folder=self.folder,
            head=self.address("head"),
            first_job=1 + self._mark % 60_000_000,  # no job of another cluster has its number
            cpus=self.cpus,
            gres=f"Gres=gpu:{self.gpus}" if self.gpus else "",
            nodes="\n".join(nodes),
        )

    def _hosts(self) -> str:
        names = {name: self.address(name) for name in ("head", *self.nodes)}
        names |= {"localhost": "127.0.0.1", socket.gethostname(): self.address("tests")}
        return "".join(f"{address} {name}\n" for name, address in names.items())

    def _number(self, node: str) -> int:
        return 1 + self.nodes.index(node)

    @property
    def _mark(self) -> int:
        """A number of its own."""
        return zlib.crc32(bytes(self.folder))
