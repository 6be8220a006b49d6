"""A function as a study names it: other processes import it, so it is at the top of a module.

Nothing of it is pickled, and nothing in this process goes along: a run that was killed is gone on
with from another process, on another node maybe, which has the name and the file.

    script.py, run as a program    its file        imported under its own name, not as __main__
    a module of one file           its file        with what lies beside it, as for any script
    a module of a package          its whole name  where any Python here would find it
    a notebook, `python -c`        refused: there is no file
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from hpmpi.errors import ObjectiveError

NO_FILE = (
    "it is defined in a notebook, or at a prompt, and other processes import what they run: write "
    "it to a file (`%%writefile train.py` at the top of its cell), and import it from there"
)

LOOK = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"


def reference(function: Callable[..., Any]) -> str:
    """Name a function as a study does; raises ObjectiveError for one that can't be imported."""
    name = str(getattr(function, "__qualname__", type(function).__qualname__))
    module = sys.modules.get(getattr(function, "__module__", ""))
    if module is None or getattr(module, name, None) is not function:
        raise ObjectiveError(
            f"{name} can't be imported by its name: name a function or a class that stands at the "
            "top of a module, or write an import path, as 'train.py:train'"
        )
    return f"{place_of(module, name)}:{name}"


def place_of(module: ModuleType, function: str) -> str:
    """Say where other processes find a module: its file, or its whole name."""
    spec = module.__spec__
    name = module.__name__ if spec is None else spec.name  # of `python -m package.module`
    file = getattr(module, "__file__", None)
    if name == "__main__" and (file is None or not Path(file).is_file()):
        raise ObjectiveError(f"objective = {function}: {NO_FILE}")
    if "." not in name and file is not None and file.endswith(".py") and not is_package(module):
        return str(Path(file).absolute())
    if not is_found_by_others(name):
        package = name.partition(".")[0]
        raise ObjectiveError(
            f"objective = {function}: no other Python here finds the package {package!r}: start "
            "from the folder that it is in, name that in PYTHONPATH, or install the package"
        )
    return name


def is_package(module: ModuleType) -> bool:
    """Tell whether a module is a package, whose file is not all of it."""
    return hasattr(module, "__path__")


def is_found_by_others(name: str) -> bool:
    """Tell whether a package is where other processes look: here, or where any Python does."""
    package = name.partition(".")[0]
    if Path(package).is_dir() or package in sys.stdlib_module_names:
        return True
    return subprocess.run([sys.executable, "-c", LOOK, package], check=False).returncode == 0
