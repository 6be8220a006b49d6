"""The studies that come with hpmpi: what is run when none is named, and what one begins with.

They lie in spaces/ of the source tree, where tests run them, and in the wheel.
"""

import shutil
from pathlib import Path

from hpmpi.errors import SettingsError, StoreError
from hpmpi.storage.files import make_folder

HERE = Path(__file__).parents[1]

KINDS = {
    "function": "a function of yours (default)",
    "torch": "a training in PyTorch, with checkpoints",
    "sklearn": "an estimator of scikit-learn's, and no code",
    "command": "any program, in any language",
}
"""What there is to begin with, and what of: each a folder in spaces/first."""

NEXT = """\
next: hpmpi check {study}               is it right, and what does it take?
      hpmpi try {study}                 one trial, in this terminal
      hpmpi run {study} --workers 2     all of it, on this machine
      mpirun -n 10 python -m hpmpi run {study}"""


def builtin() -> Path:
    """Find the study that is run when none is named."""
    return spaces() / "digits.toml"


def write(kind: str, folder: Path) -> str:
    """Write a first study into a folder; return what to do next.

    Raises SettingsError where one of its files is there, StoreError where none can be written.
    """
    files = sorted((spaces() / "first" / kind).iterdir())
    there = [str(folder / it.name) for it in files if (folder / it.name).exists()]
    if there:
        said = f"{', '.join(there)} is there, and nothing was written: name another folder"
        raise SettingsError([f"{said}, as in `hpmpi init --{kind} mine`"])
    try:
        make_folder(folder)
        for file in files:
            with (folder / file.name).open("xb") as copy:
                copy.write(file.read_bytes())
            shutil.copymode(file, folder / file.name)
    except OSError as error:
        raise StoreError(f"{folder} can't be written: {error.strerror}") from error
    written = ", ".join(str(folder / it.name) for it in files)
    return f"written: {written}\n{NEXT.format(study=folder / 'study.toml')}"


def spaces() -> Path:
    """Find the studies: in the wheel, or in the source tree."""
    inside = HERE / "spaces"
    return inside if inside.exists() else HERE.parent / "spaces"
