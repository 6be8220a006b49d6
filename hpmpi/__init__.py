"""Tune hyperparameters on a cluster with nothing but MPI.

    hpmpi.run(study, ...)      run a study, or an objective and its space; return its Results
    hpmpi.SearchCV(est, space) scikit-learn's GridSearchCV, and what it has, on these
    hpmpi.load(folder)         read the Results of a run, finished or not
    hpmpi.submit(study, ...)   have Slurm run a study file; return a job of submitit's

A space is of `Float`, `Int`, `Choice`, `Ordinal` and `OptionalRange`, or of tables as in a file.
`Results` has the best trial, and all trials, results, curves and failures as pandas DataFrames.
What is wrong with what was given is an `HpmpiError`, whose message says what is valid and what to
do: SettingsError, SpaceError, ObjectiveError, SearcherError, StoreError, SlurmError or
TransportError. A run that was ended before its end raises `Drained`, or KeyboardInterrupt: the same
call goes on with it.

docs/python.md leads from a function to its best configuration; docs/code.md is for who changes the
code.
"""

# Nothing of ours is imported here before it is used: the guard starts before MPI is, and pays for
# every import of this file.
#
# `python -m` has the current folder come first where modules are looked for. That may be a
# project's, whose `logging.py` is for its objective. So wherever a program is ours, it comes last,
# at once.

import os
import sys


def _let_current_folder_be_last() -> None:
    """Let nothing in the current folder stand for a module that is needed here."""
    named = (word.removeprefix("-m").partition(".")[0] for word in sys.orig_argv)
    if sys.argv[:1] != ["-m"] or __name__ not in named:  # another's program imports us
        return
    if not sys.flags.safe_path:
        sys.path.append(sys.path.pop(0))
    elif "PYTHONSAFEPATH" not in os.environ:  # the -P is ours
        sys.path.append(os.path.abspath(""))


def program(module: str) -> list[str]:
    """Say how to start a module of ours as a program, whatever lies in the current folder.

    Not even what Python itself imports before it comes to a module is taken from there. Where we
    lie there ourselves, all must be.
    """
    is_here = os.path.realpath("") == os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    safely = [] if is_here else ["-P"]
    return [sys.executable, *safely, "-m", module]


_let_current_folder_be_last()

import importlib
from typing import Any

__version__ = "0.2.0"

HOMES = {
    "run": "api.run",
    "load": "api.results",
    "Results": "api.results",
    "submit": "api.slurm",
    "SearchCV": "search_cv.search",
    **dict.fromkeys(("Float", "Int", "Choice", "Ordinal", "OptionalRange"), "model.dimensions"),
    **dict.fromkeys(("HpmpiError", "SettingsError", "SpaceError", "ObjectiveError"), "errors"),
    **dict.fromkeys(("SearcherError", "StoreError", "SlurmError", "TransportError"), "errors"),
    "Drained": "errors",
}
"""What may be called from Python, and the modules that have it."""

__all__ = list(HOMES)


def __getattr__(name: str) -> Any:
    """Import what may be called when it is first named."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"hpmpi.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Name what there is, for `help` and for who completes names."""
    return sorted([*globals(), *HOMES])
