"""Studies that run in an allocation: submitted from Python, and waited for."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpmpi.api import leading
from hpmpi.api.leading import Look
from hpmpi.api.studies import Study
from hpmpi.errors import HpmpiError, SettingsError
from hpmpi.launch import batch
from hpmpi.launch.batch import Request
from hpmpi.launch.submission import SubmissionWatch, last_lines, prepare, say
from hpmpi.leader import run
from hpmpi.leader.run_requests import end_of
from hpmpi.slurm import squeue
from hpmpi.storage import digests, files
from hpmpi.views import run_view


def submit(
    study: str | Path,
    *,
    changes: Sequence[str] = (),
    out: str | Path | None = None,
    fresh: bool = False,
    **asked: Any,
) -> Any:
    """Submit a study; `result()` of the Job of submitit's that is returned is the exit code.

    What is asked are the options of `hpmpi submit`: `nodes=2, ntasks_per_node=4, time="8:00:00"`;
    `changes` are those of `--set`. Raises HpmpiError, also where there is no submitit.
    """
    from hpmpi.launch import slurm_job  # noqa: PLC0415 - submitit is not everywhere

    folder = None if out is None else Path(out)
    return slurm_job.submit(Path(study), list(changes), folder, asked, fresh=fresh)


def lead(study: Study, asked: Mapping[str, Any], look: Look, *, fresh: bool, quiet: bool) -> None:
    """Have a study run in an allocation, and `look` until its end; raises as leading.lead does.

    An allocation that an earlier call has submitted, and that is not over, is waited for. What
    becomes of it is told on stderr, unless `quiet`.
    """
    if asked.get("array") is not None:
        raise SettingsError(["slurm: run returns the Results of one run, and no array"])
    if not fresh and run.is_complete(plan := run.plan_for(*study, fresh=False)):
        run.tell_complete(plan)
        return
    request = prepare(kept(study), [], study.folder, dict(asked), fresh=fresh)
    number = (None if fresh else waiting(request)) or batch.send(request)
    tell = silent if quiet else say
    tell(f"job {number}: its log is {request.log_of(number)}")
    watch = SubmissionWatch(request, number)
    try:
        watch.wait(tell, look)
    except KeyboardInterrupt:
        say(f"job {number} goes on: the same call waits for it, `scancel {number}` ends it")
        raise
    if watch.exit_code(number) is None:
        state = watch.allocations[number].state.lower()
        raise HpmpiError(f"job {number} left no exit code ({state}): {last_words(request, number)}")
    try:
        summary = run_view.look(study.folder)
    except HpmpiError as error:  # it never began
        raise HpmpiError(f"job {number}: {last_words(request, number)}") from error
    leading.come_to(end_of(summary), None)


def silent(*_: object) -> None:
    """Tell nothing."""


def kept(study: Study) -> Path:
    """Write a study where an allocation will find it: beside what it names; return the file.

    Its name has a digest: what waits in a queue is not changed by a later call.
    """
    text = study.settings.toml().encode()
    name = f".{study.settings.name}-{digests.digest(text)}.toml"
    path = study.origin / name
    try:
        files.replace(path, text)
    except OSError as error:
        raise files.trouble(path, error) from error
    return path


def waiting(request: Request) -> str | None:
    """Find the allocation that was submitted for the same run before, and is not over."""
    rows = squeue.known("--array", f"--user={os.getuid()}") or []
    alive = {row.name for row in rows if not row.is_over}
    scripts = request.kept.glob("*_submission.sh")
    return next(
        (it for it in (file.name.partition("_")[0] for file in scripts) if it in alive), None
    )


def last_words(request: Request, number: str) -> str:
    """Say how the log of an allocation ends, and where it is."""
    path = request.log_of(number)
    return "\n".join([f"see {path}", *last_lines(path)])
