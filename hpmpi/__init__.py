"""Tune hyperparameters on a cluster with nothing but MPI.

The map of the package; imports go down the list, never up:

- front doors: `cli` (the command line), `commands` (whether it is one for ranks), `folders` (what
  a DIR is), `show`, `watch`, `export`, `replay`, and their `answer` on stdout, `plot` and its
  `figures`, `launch` (starts the ranks, and sees it through) and its `signals`, `submission` (has
  Slurm do so), made of `needs` and `batch`
- a run: `settings` (one study file, checked), read by `toml`, and the `candidates` it names, `data_table`,
  `changes` (what of it may differ from the run that is there), `run` (as rank 0 leads it),
  `leader` (its loop), `summons` (what ends it), `service` (what the others do), `resume` (where a
  folder says that a study is), `summary` (what a run came to), `book` (the process that writes
  run.h5 from the journal)
- I/O, one dangerous thing each: `guard` (between the launcher and the rank), which holds its
  `connections`, `transports` (MPI, or sockets on one machine), `frames` (messages over a socket),
  `worker` (the agent on a rank),
  `child` (the objective's process, from outside), `head` (how it starts) and its `environment`,
  `perform` (from inside), `ending` (why and when it ends), `bare` (an objective without a process),
  `family` (all that a child has started) and its `memory`, `streams` (for what is printed),
  `variables` (of ours, in a rank's environment),
  `output` (what it prints), `objective` (the user's function), its `handle` of a trial, `metrics`
  (what comes of it), `accounts` (what is told of its errors), `checkpoints` (of a trial),
  `baseline`, `store` (the run folder), made of `journal` and `results`, `scribe` (has the latter
  written), `lock` (whose it is), its `keeper`, and the `vitals` it shows, `files`, `narrator` (the
  log), `trainables` (objectives that need no code), `squeue` (what Slurm says), `allocation` (which
  is ours), `step` (of it: what srun is told and sees), `place` (what of a node is a rank's), `team`
  (the nodes that answer), `launchers` (how each is told), `vigil` (whether one hangs), `starts`
  (what brought nothing), `lifeline` (from launch to its ranks), `standby` (for when launch dies);
  of a study's data: `source` (where they come from), `sheets` (tables as arrays), made by `reading`
  of `columns` and, where they are text, by its `dialect`; `supply` (from rank 0),
  `delivery` (to a rank), `rooms` (on its node), `data` (what a trial sees of them)
- decisions, pure: `searchers`, `schedulers` and their `shield` (what they raise), `pace` (what
  there is time for), `blame` (what is given up), `jobs` (what outlives the ranks), `roster` (the
  ranks), `rules` (when it is over), `master` (all together), `leaderboard`, `tables`, `progress`
  (how far a journal is), `series` (what it tells about time), `audit` (what it can say)
- words: `errors`, `trial`, `messages` (between ranks), `decisions` (lines of the journal),
  `events` (and commands), `space`, of `dimensions`, its table (`space_table`), `values`,
  `names`, `forms`, `shuffle`

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
    return importlib.import_module("hpmpi.submission").submit
