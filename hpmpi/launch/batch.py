"""The batch script of a submission, as slurm/tune.sh is one, and its way to Slurm.

Script and log lie in DIR.slurm, beside the run folder DIR and not in it: `--fresh` moves DIR aside
while they are in use, and the tasks of an array have run folders of their own.
"""

import contextlib
import logging
import os
import shlex
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from hpmpi import program
from hpmpi.errors import SettingsError
from hpmpi.launch import placement
from hpmpi.launch.launch import Order, folder_of_task
from hpmpi.launch.launchers import OF_A_RANK
from hpmpi.slurm import sbatch, step
from hpmpi.storage.files import make_folder, trouble

SCRIPT = """\
#!/bin/bash
# Run a study to its end: through the time limit, preemption and dead nodes.
#
#   sbatch [OPTIONS OF sbatch] THIS_SCRIPT [ARGUMENTS OF hpmpi launch]
#
# What is here can be said on sbatch's command line as well; slurm/README.md says what each is for.
#
{options}

trap '' USR1  # until hpmpi listens

# Modules and the environment, with a Python that has hpmpi, on all nodes:
{setup}
exec {launch} "$@"
"""
"""Slurm's signals reach the first process of the batch step only: `exec` has that be hpmpi."""

ALWAYS = {
    "requeue": "",
    "no-kill": "",  # a node that dies takes its own ranks, and not the others
    "signal": "B:USR1@60",  # to the batch step, in time to drain
    "open-mode": "append",  # a requeued allocation goes on with the log
}

log = logging.getLogger("hpmpi")


class Request(NamedTuple):
    """A checked submission: the study of this name, launched into a run folder, on what."""

    order: Order
    folder: Path
    name: str
    needs: sbatch.Needs

    @property
    def kept(self) -> Path:
        """Where the script and the log lie."""
        return self.folder.with_name(f"{self.folder.name}.slurm")

    @property
    def options(self) -> dict[str, str]:
        """What sbatch is asked for; "" of an option that has no value."""
        asked = {"job-name": self.name} | sbatch.options(self.needs)
        output = self.log_of("%j" if self.needs.array is None else "%A_%a")
        return with_ours(asked, str(output))

    @property
    def script(self) -> str:
        """The batch script."""
        order = self.order
        changes = [word for change in order.changes for word in ("--set", change)]
        words = ["launch", str(order.study), *changes, "--out", str(self.folder)]
        launch = shlex.join([*program("hpmpi"), *words, *(["--fresh"] if order.fresh else [])])
        return script(self.options, self.needs.setup, launch)

    def names(self, number: str) -> list[str]:
        """Name the allocations that were given a number: one, or the tasks of an array."""
        array = self.needs.array
        return [number] if array is None else [f"{number}_{it}" for it in sbatch.numbers(array)]

    def folder_of(self, name: str) -> Path:
        """Name the run folder of an allocation."""
        _, is_task, task = name.partition("_")
        return folder_of_task(self.folder, task) if is_task else self.folder

    def log_of(self, name: str) -> Path:
        """Name the log of an allocation, as submitit does."""
        return self.kept / f"{name}_0_log.out"


def with_ours(asked: dict[str, str], output: str) -> dict[str, str]:
    """Add to options of sbatch the log, and those of ALWAYS that nothing there contradicts."""
    always = {name: value for name, value in ALWAYS.items() if f"no-{name}" not in asked}
    return {**asked, **always, "output": output, **asked}


def script(options: Mapping[str, str], setup: Iterable[str], launch: str) -> str:
    """Write a batch script; `setup` are lines of shell, `launch` a command of it."""
    lines = [
        f"#SBATCH --{name}={shlex.quote(value)}" if value else f"#SBATCH --{name}"
        for name, value in options.items()
    ]
    text = "".join(f"{line}\n" for line in setup)
    return SCRIPT.format(options="\n".join(lines), setup=text, launch=launch)


def send(request: Request) -> str:
    """Submit; return the number that Slurm gives it. Raises HpmpiError, nothing being left then."""
    if shutil.which("sbatch") is None:
        raise SettingsError(
            ["there is no sbatch here: submit from where Slurm is; `hpmpi launch` needs none"]
        )
    if request.needs.nodes > 1 and request.needs.ntasks_per_node == 1:
        log.warning("submit: %s", placement.advice("its first node"))
    path = request.kept / f"{os.getpid()}.sh"
    try:
        make_folder(request.kept)
        path.write_bytes(os.fsencode(request.script))
        number = sbatch.sbatch(path, environment(request.options))
        path.replace(request.kept / f"{number}_submission.sh")
    except OSError as error:
        raise trouble(request.kept, error) from error
    finally:
        with contextlib.suppress(OSError):  # it has another name unless something was refused
            path.unlink()
            request.kept.rmdir()
    return number


def environment(options: Iterable[str]) -> dict[str, str]:
    """Return the environment of sbatch: what an allocation is to have, and no options; say so.

    sbatch takes options from there rather than from a script, and hands on what it finds.
    """
    if (here := os.environ.get("SLURM_JOB_ID")) is not None:
        log.warning("submit: what Slurm has set for allocation %s is not passed on", here)
    if refused := sbatch.contradicting(options, os.environ):
        log.warning("submit: not heeded, as it is said otherwise here: %s", ", ".join(refused))
    return {
        name: value
        for name, value in os.environ.items()
        if not (name in refused or step.is_slurms(name) or name.startswith(("SLURMD_", *OF_A_RANK)))
    }
