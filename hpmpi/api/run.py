"""`hpmpi.run`: a study from Python, on processes of this machine, on ranks, or in an allocation."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hpmpi.api import leading
from hpmpi.api import slurm as allocation
from hpmpi.api.results import Results, load
from hpmpi.api.studies import Given, study_of
from hpmpi.errors import HpmpiError
from hpmpi.leader.run_requests import RunRequest

Watch = Callable[[Results], None]

OPTIONS = {"--fresh": "fresh=True", "--out": 'out="..."', "--workers": "workers=..."}
"""Of the command line, which messages name, as arguments of `run`."""


def run(  # noqa: PLR0913 - all but the study by name
    study: Given = None,
    /,
    *,
    out: str | Path | None = None,
    fresh: bool = False,
    workers: int | None = None,
    slurm: Mapping[str, Any] | None = None,
    progress: bool | Watch = True,
    **keys: Any,
) -> Results:
    """Run a study to its end, or go on with it where it was, and return what it came to.

    `study` is a study file, the same as a dict, an objective, or its import path. `keys` are the
    keys of a study file (`space`, `metric`, `mode`, `stop`, `scheduler`, ...), and count over what
    `study` says; of a table in it, over the keys that they name:

        hpmpi.run("study.toml", stop={"max_trials": 20})
        hpmpi.run(train, space={"lr": {"type": "float", "low": 1e-4, "high": 0.1, "log": True}},
                  metric="accuracy", mode="max", data={"X": X, "y": y})

    `objective` and `baseline` may be functions that stand at the top of a module or of the script,
    which then has its calls of `run` under `if __name__ == "__main__":`; `data` may be arrays by
    name, which are kept in a file beside the run folder. Files are named from the current folder.

    `out`: the run folder; `results/<name>`, if nothing is said. `fresh`: move what is there aside.
    `workers`: how many processes of this machine; as many as cores, if nothing is said. Under
    `mpirun -n 10 python -m hpmpi script.py` the ranks work instead. `slurm`: submit it, and wait
    for its end; what `hpmpi submit` may be told, as `{"nodes": 8, "ntasks_per_node": 4, "time":
    "8:00:00"}`. `progress`: True for a line on stderr for each thing that happens, or a function
    that is called with the Results so far, about once a second.

    Raises HpmpiError, SettingsError before anything starts. KeyboardInterrupt drains the run first,
    as other signals do, and the end of an allocation, which raise Drained: the same call goes on.
    """
    checked = study_of(study, keys, out)
    settings, origin, folder = checked
    look = watcher(folder, progress)
    with options_named():
        if slurm is not None:
            allocation.lead(checked, slurm, look, fresh=fresh, quiet=progress is not True)
        else:
            level = logging.INFO if progress is True else logging.WARNING
            request = RunRequest(settings, str(origin), str(folder), fresh, workers, level)
            leading.lead(request, look)
    return load(folder)


@contextmanager
def options_named() -> Iterator[None]:
    """Have an error that names options of the command line say what they are in Python."""
    try:
        yield
    except HpmpiError as error:
        named = [f"{option} is {word}" for option, word in OPTIONS.items() if option in str(error)]
        if named:
            error.add_note(f"(in Python: {', '.join(named)})")
        raise


def watcher(folder: Path, progress: bool | Watch) -> Callable[[], None]:  # noqa: FBT001 - as in `run`
    """Make what tells a program how far a run is, which has not begun yet."""

    def look() -> None:
        if callable(progress):
            try:
                results = load(folder)
            except HpmpiError:  # nothing is decided yet
                return
            progress(results)

    return look
