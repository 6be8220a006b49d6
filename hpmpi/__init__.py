"""Tune hyperparameters on a cluster with nothing but MPI.

The map of the package, from the top down; a wing sees only what stands below it:

- `cli`: the command line; `__main__`, `command_line`, `commands` and `folders` stand beside it
- `trainables`: objectives that need no code
- `launch`: starts the ranks and sees them through; submits
- `leader`: rank 0
- `worker`: a worker rank, and the process of its objective
- `views`: what people look at
- `data`: data sets, once per node
- `slurm`: what Slurm is asked and told
- `storage`: the run folder
- `history`: what a journal says
- `study`: the study file, checked
- `master`: the decisions
- `model`: plain frozen data
- `transports`: bytes from rank to rank
- `guard`: between the launcher and the rank
- `errors`: what can go wrong with what a user gave us

The one idea: a job is "train trial t up to the resource of rung k", and the master is a pure
function of what it hears. Everything that can fail is outside of it.

Nothing of ours is imported here before it is used: the guard starts before MPI is, and pays for
every import of this file.

`python -m` has the current folder come first where modules are looked for. That may be a project's,
whose `logging.py` is for its objective. So wherever a program is ours, it comes last, at once.
"""

import os
import sys


def _let_current_folder_be_last() -> None:
    """Let nothing in the current folder stand for a module that is needed here."""
    named = (word.removeprefix("-m").partition(".")[0] for word in sys.orig_argv)
    if sys.argv[:1] != ["-m"] or __name__ not in named:  # another's program imports us
        return
    if not getattr(sys.flags, "safe_path", False):
        sys.path.append(sys.path.pop(0))
    elif "PYTHONSAFEPATH" not in os.environ:  # the -P is ours
        sys.path.append(os.path.abspath(""))


def program(module: str) -> list[str]:
    """Say how to start a module of ours as a program, whatever lies in the current folder.

    Not even what Python itself imports before it comes to a module is taken from there, from Python
    3.11 on. Where we lie there ourselves, all must be.
    """
    is_here = os.path.realpath("") == os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    safely = ["-P"] if sys.version_info >= (3, 11) and not is_here else []
    return [sys.executable, *safely, "-m", module]


_let_current_folder_be_last()

import importlib
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Find `hpmpi.submit`, the one function that is used from Python."""
    if name != "submit":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("hpmpi.launch.slurm_job").submit
