"""What a DIR on the command line is: the folder of a run, of several, or something beside one."""

import json
from collections.abc import Iterator
from pathlib import Path

from hpmpi.errors import HpmpiError, SettingsError, StoreError
from hpmpi.leader.run import RESULTS
from hpmpi.model.messages import escaped
from hpmpi.storage import run_folder
from hpmpi.study.toml import load
from hpmpi.views import show, show_json
from hpmpi.views.run_view import look

MOST_NAMED = 10
"""How many runs are named of a folder that has more."""


def run_at(path: Path) -> Path:
    """Return the folder of a run, or raise StoreError, saying what is there and where a run is."""
    if holds_run(path):
        return path
    try:
        is_file = path.is_file()
    except OSError as error:
        raise StoreError(f"{path} can't be a folder: {error.strerror}") from error
    if is_file:
        raise StoreError(f"{path} {what_is(path)}")
    if inside := runs_in(path):
        names = [*map(str, inside[:MOST_NAMED]), *(["..."] if len(inside) > MOST_NAMED else [])]
        raise StoreError(f"{path} is no run, but has some; name one: {', '.join(names)}")
    if holds_run(RESULTS / path):
        raise StoreError(f"there is no run in {path}; did you mean {RESULTS / path}?")
    return path


def what_is(file: Path) -> str:
    """Say what a file is that is taken for the folder of a run."""
    if file.suffix == ".toml":
        folder = RESULTS / name_of(file)
        there = "its run is in" if holds_run(folder) else "its run, by default, would be in"
        return f"is a study; {there} {folder}"
    if holds_run(file.parent):
        return f"is a file of a run, whose folder is {file.parent}"
    return "is a file, and a run is a folder"


def name_of(study: Path) -> str:
    """Read the name of a study, as far as that can be."""
    try:
        name = load(study.read_text(encoding="utf-8"), str(study)).get("name")
    except (OSError, ValueError, SettingsError):
        name = None
    return name if isinstance(name, str) else study.stem


def runs_in(folder: Path) -> list[Path]:
    """List the runs whose folders are in a folder that is none of a run."""
    try:
        inside = [] if holds_run(folder) else sorted(folder.iterdir())
    except OSError:  # it is no folder, or nobody may look into it
        return []
    return [each for each in inside if holds_run(each)]


def holds_run(folder: Path) -> bool:
    """Tell whether a folder is that of a run, as far as can be seen."""
    try:
        return run_folder.holds_run(folder)
    except OSError:
        return False


def text(folders: list[Path]) -> str:
    """Say of each run in a line how it stands, or why that can't be said."""
    return "\n".join(escaped(f"{folder}: {line}") for folder, line in headlines(folders))


def headlines(folders: list[Path]) -> Iterator[tuple[Path, str]]:
    """Look at each run."""
    for folder in folders:
        try:
            yield folder, show.headline(look(folder))
        except HpmpiError as error:
            yield folder, str(error)


def as_json(folders: list[Path]) -> str:
    """Say how each run stands as JSON; where that can't be said, `error` says why."""
    return json.dumps([*objects(folders)], indent=2, allow_nan=False)


def objects(folders: list[Path]) -> Iterator[dict[str, object]]:
    """Say the same for programs."""
    for folder in folders:
        try:
            yield {"folder": str(folder), **show_json.heading(look(folder))}
        except HpmpiError as error:
            yield {"folder": str(folder), "error": str(error)}
