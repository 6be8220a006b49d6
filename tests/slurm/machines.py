"""Machines made of Linux namespaces: what a cluster's nodes are to its tests.

A machine has processes, a network, a name, mounts and shared memory of its own, and sees the same
files as all others. One process holds it: a SIGKILL of that one is a power loss. It ends with the
process that made it, too, whatever ends that one.
"""

import functools
import os
import shutil
import signal
import subprocess
from pathlib import Path

import psutil

from hpmpi.guard import process_tree

PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""Where daemons are, too: many a user's PATH has no place for them."""

TOOLS = ("ip", "unshare", "nsenter", "setpriv")
UNSHARE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--pid", "--uts", "--ipc"]
UNSHARE += ["--mount", "--mount-proc", "--fork", "--kill-child=KILL"]
PROBE = "ip link add name probe type bridge && ip link add name left type veth peer name right"


@functools.cache
def missing() -> str:
    """Say what is lacking here to make machines; nothing if they can be made."""
    if lacking := [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]:
        return f"no {', '.join(lacking)} here"
    env = os.environ | {"PATH": PATH}
    probe = [*UNSHARE, "sh", "-c", PROBE]
    made = subprocess.run(probe, env=env, capture_output=True, check=False)
    return "no namespaces for this user" if made.returncode else ""


def ip(*words: str, inside: "Machine | None" = None, check: bool = True) -> None:
    """Change the network of a machine, or of the one that all others are made on."""
    enter = ["nsenter", "--target", str(inside.pid), "--net"] if inside else []
    env = os.environ | {"PATH": PATH}
    command = [*enter, "ip", *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr}")


class Machine:
    """A machine: on from the start, in no network, and with nothing to do until `boot`."""

    def __init__(self, name: str, log: Path) -> None:
        """Switch it on; what its shell complains of goes to the log."""
        with log.open("a") as file:
            self._holder = subprocess.Popen(
                [*UNSHARE, "sh"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env=os.environ | {"PATH": PATH},
                start_new_session=True,  # a Ctrl-C is for the tests
                text=True,
            )
        process_tree.know(self._holder.pid)  # what adopts orphans here takes it for none
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._shell = self._holder.stdin
        print(f"hostname {name} && echo on", file=self._shell, flush=True)
        with self._holder.stdout as told:
            if told.readline() != "on\n":
                raise RuntimeError(f"{name} doesn't start: {log.read_text()}")
        [first] = psutil.Process(self._holder.pid).children()
        self.pid = first.pid
        """Of the process that is number 1 inside."""

    def boot(self, script: str) -> None:
        """Have its shell do this; what it leaves in the background goes on."""
        with self._shell:
            # The first process of a machine inherits all orphans, and `wait` buries them.
            print(script, "sleep infinity & wait", sep="\n", file=self._shell)

    @property
    def on(self) -> bool:
        """Whether it has not been switched off, nor broken down."""
        return self._holder.poll() is None

    def off(self) -> None:
        """Cut its power, if it is on: nothing of it runs once this returns."""
        if self.on:
            os.kill(self.pid, signal.SIGKILL)
        self._holder.wait()
        self._shell.close()
