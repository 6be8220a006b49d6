"""The world "torch": what torchrun sets, so that `torch.distributed.init_process_group()` works."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpmpi.model.messages import Member
from hpmpi.model.trial import AttemptId
from hpmpi.storage.files import remove
from hpmpi.worker.group import Group

STORES = "stores"
"""The folder in the run folder that has a FileStore's for each attempt in work."""

LOOPBACK = "127.0.0.1"

SIOCGIFADDR = 0x8915
"""Asks Linux for the address of a network interface."""


def address_of(member: Member) -> tuple[str, int]:
    """Find where the first member can be met: a port of its node that is free now.

    It is the first that asks. Nobody keeps the port until torch has it; who takes it meanwhile
    costs the attempt, and the next has another.
    """
    host = LOOPBACK if len(set(member.hosts)) == 1 else own_address()
    with socket.socket() as found:
        found.bind(("", 0))
        return host, found.getsockname()[1]


def own_address() -> str:
    """Name this node to others: as it is called, unless that leads nowhere, or back to itself."""
    name = os.uname().nodename
    with contextlib.suppress(OSError):
        if not socket.gethostbyname(name).startswith("127."):
            return name
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, device in socket.if_nameindex():
            with contextlib.suppress(OSError):  # it has no address
                asked = device.encode().ljust(256, b"\0")
                address = socket.inet_ntoa(fcntl.ioctl(asking, SIOCGIFADDR, asked)[20:24])
                if not address.startswith("127."):
                    return address
    return name


def environment(member: Member, host: str, port: int, store: Path) -> dict[str, str]:
    """Say what torchrun says.

    >>> member = Member(2, (4, 5, 6), ("a", "a", "b"))
    >>> told = environment(member, "a", 29400, Path("/run/stores/7-0.1"))
    >>> told["RANK"], told["LOCAL_RANK"], told["LOCAL_WORLD_SIZE"], told["GROUP_RANK"]
    ('2', '0', '1', '1')
    """
    here = member.hosts[member.index]
    numbers = {
        "RANK": member.index,
        "WORLD_SIZE": len(member.ranks),
        "LOCAL_RANK": member.hosts[: member.index].count(here),
        "LOCAL_WORLD_SIZE": member.hosts.count(here),
        "GROUP_RANK": list(dict.fromkeys(member.hosts)).index(here),
        "MASTER_PORT": port,
    }
    texts = {"MASTER_ADDR": host, "HPMPI_TRIAL_STORE": str(store)}
    return {**{name: str(number) for name, number in numbers.items()}, **texts}


@contextmanager
def joined(run_folder: str, attempt: AttemptId, group: Group) -> Iterator[None]:
    """Have it in the environment where an attempt's group meets, and a folder for a FileStore.

    The first member makes the folder, and nobody has used it before.
    """
    stores = Path(run_folder, STORES)
    store = stores / f"{attempt.trial}-{attempt.rung}.{attempt.number}"
    if group.leads:
        for old in stores.glob(f"{attempt.trial}-*"):
            remove(old)
        store.mkdir(parents=True)
    host, port = group.agree("meet", 0, lambda: address_of(group.member))
    os.environ.update(environment(group.member, str(host), int(port or 0), store))
    try:
        yield
    finally:
        if group.leads:
            remove(store)
