"""PMI-1, as MPICH's processes speak it with their launcher: pure lines in, lines and fences out.

    cmd=put key=K value=V     kept here until the next fence
    cmd=get key=K             answered here, of all that came by the fences so far
    cmd=barrier_in            a Fence to the first member, with what was put since the last
                              all are there: a Fence to all, with what all have put

So a world costs each member a message up and one down for each of its fences, of which MPI_Init has
one on a node and a few on several; all else is answered at once, where it was asked. (Of the wire
protocol there is the code of MPICH, src/pmi/src/pmi_v1.c.)
"""

from hpmpi.model.messages import Assign, Fence, Member, Welcome
from hpmpi.model.trial import AttemptId

MAXES = "cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=1024"

MAPPING = "PMI_process_mapping"
"""The key that says who is on which node."""


def has_world(welcome: Welcome, order: Assign | None) -> bool:
    """Tell whether a job is to have a process that was started for it, in a world of its own."""
    member = None if order is None else order.member
    return welcome.world == "mpi" and member is not None and len(member.ranks) > 1


class PmiDesk:
    """What one member's process is answered; that of the first brings the fences together."""

    def __init__(self, attempt: AttemptId, member: Member, name: str) -> None:
        """Serve the world of this name, which no other has ever had."""
        self.name = name
        self._attempt = attempt
        self._member = member
        self._size = len(member.ranks)
        self._known = {MAPPING: mapping_of(member.hosts)}
        self._put: dict[str, str] = {}
        self._fences = 0
        self._came: dict[int, dict[int, dict[str, str]]] = {}

    def hear(self, line: str) -> str | Fence | None:
        """Answer a line of the process: with a line, or with a fence that others must hear of."""
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        match words.get("cmd"):
            case "put":
                self._put[words["key"]] = line.partition("value=")[2]
                return "cmd=put_result rc=0 msg=success"
            case "get":
                return self._get(words["key"])
            case "barrier_in":
                fence = Fence(self._attempt, self._member.index, self._fences, self._put)
                self._put, self._fences = {}, self._fences + 1
                return fence
            case command:
                return self._said(command)

    def gather(self, fence: Fence) -> Fence | None:
        """Take in who has come to a fence, as the first member; once all have, it is for all."""
        came = self._came.setdefault(fence.number, {})
        came[fence.index] = fence.pairs
        if len(came) < self._size:
            return None
        pairs: dict[str, str] = {}
        for each in self._came.pop(fence.number).values():
            pairs |= each
        return Fence(self._attempt, self._member.index, fence.number, pairs)

    def open(self, fence: Fence) -> str:
        """Go on behind a fence that all have come to."""
        self._known |= fence.pairs
        return "cmd=barrier_out"

    def _get(self, key: str) -> str:
        value = (self._known | self._put).get(key)
        if value is None:
            return "cmd=get_result rc=-1 msg=key_not_found value=unknown"
        return f"cmd=get_result rc=0 msg=success value={value}"

    def _said(self, command: str | None) -> str | None:
        answers = {
            "init": "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0",
            "get_maxes": MAXES,
            "get_appnum": "cmd=appnum appnum=0",
            "get_my_kvsname": f"cmd=my_kvsname kvsname={self.name}",
            "get_universe_size": f"cmd=universe_size size={self._size}",
            "finalize": "cmd=finalize_ack",
        }
        refused = None if command in (None, "abort") else f"cmd={command}_result rc=-1 msg=unknown"
        return answers.get(command or "", refused)


def mapping_of(hosts: tuple[str, ...]) -> str:
    """Say who is on which node, as (first node, nodes, processes on each) of those in a row.

    >>> mapping_of(("a", "a", "b"))
    '(vector,(0,1,2),(1,1,1))'
    """
    nodes = list(dict.fromkeys(hosts))
    runs: list[list[int]] = []
    for host in hosts:
        node = nodes.index(host)
        if runs and runs[-1][0] == node:
            runs[-1][1] += 1
        else:
            runs.append([node, 1])
    return f"(vector,{','.join(f'({node},1,{count})' for node, count in runs)})"


def segment_of(name: str) -> str:
    """Name the shared memory of a world on a node, but for its end: MPICH has it from the name.

    It is FNV-1a of it (src/mpid/common/shm/mpidu_init_shm.c, from 4.1 on).

    >>> segment_of("hpmpi_a")
    'mpich_shm_ad7dc96f_'
    """
    number = 2166136261
    for byte in name.encode():
        number = (number ^ byte) * 16777619 % 2**32
    return f"mpich_shm_{number:x}_"
