"""`hpmpi.submit`: a submission as a Job of submitit's, for programs that wait for several."""

from pathlib import Path
from typing import Any

from hpmpi.errors import HpmpiError, SettingsError
from hpmpi.launch.batch import Request, send
from hpmpi.launch.submission import SubmissionWatch, prepare

try:
    import submitit
    from submitit.core.utils import FailedJobError, UncompletedJobError
except ImportError as error:
    raise HpmpiError(
        f"hpmpi.submit needs submitit ({error}): pip install submitit, or use `hpmpi submit`"
    ) from error


class SubmittedStudy(submitit.SlurmJob[int]):
    """A Job whose result is an exit code: it is squeue that says so, and no pickle."""

    def __init__(self, request: Request, number: str) -> None:
        """Know it by what was submitted, and the number that it was given."""
        super().__init__(request.kept, number, [0])
        self._watch = SubmissionWatch(request, number)

    @property
    def state(self) -> str:
        """How it is now."""
        self._watch.look()
        return self._watch.allocations[self.job_id].state

    def done(self, force_check: bool = False) -> bool:  # noqa: ARG002, FBT001, FBT002 - submitit's
        """Tell whether it is over."""
        return self._watch.look()

    def wait(self) -> None:
        """Wait until it is over."""
        self._watch.wait(lambda _: None)

    def results(self) -> list[int]:
        """Wait for the exit code; raises submitit's UncompletedJobError where it left none."""
        code = self._exit_code()
        return super().results() if code is None else [code]

    def exception(self) -> UncompletedJobError | FailedJobError | None:
        """Wait for what `results` would raise."""
        return super().exception() if self._exit_code() is None else None

    def _exit_code(self) -> int | None:
        self.wait()
        return self._watch.exit_code(self.job_id)


def submit(
    study: Path, changes: list[str], out: Path | None, asked: dict[str, Any], *, fresh: bool
) -> submitit.SlurmJob[int]:
    """Submit a study, as `hpmpi.submit` says; raises HpmpiError."""
    if asked.get("array") is not None:
        raise SettingsError(["submit returns one Job: call it for each, instead of an array"])
    request = prepare(study, changes, out, asked, fresh=fresh)
    return SubmittedStudy(request, send(request))
