"""`hpmpi show --trial N --log`: what a trial printed, attempt by attempt, from whichever ranks."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from hpmpi.history.attempts import Attempt, Fate
from hpmpi.history.history import History
from hpmpi.model.messages import escaped
from hpmpi.model.trial import AttemptId
from hpmpi.storage import logs
from hpmpi.views import story
from hpmpi.views.run_view import Summary


def text(summary: Summary, trial: int, folder: Path) -> str:
    """Tell it; raises StoreError where there is no such trial."""
    history = summary.history
    story.find(history, trial)
    attempts = story.attempts_of(history, trial)
    befores = [None, *attempts]
    printed = cache(partial(logs.printed, trial=trial))  # one rank may have made several
    return "".join(
        part
        for before, attempt in zip(befores, attempts, strict=False)
        for part in (
            f"[hpmpi: {escaped(story.beginning_of(attempt, before))}]\n",
            ended(output_of(attempt, logs.path_of(folder, attempt.rank), printed)),
            f"[hpmpi: {escaped(end_of(attempt, history))}]\n",
        )
    )


def output_of(
    attempt: Attempt, path: Path, printed: Callable[[Path], Mapping[AttemptId, bytes]]
) -> str:
    """Read what an attempt printed into a log, or say why that is not there."""
    try:
        output = printed(path).get(attempt.id)
    except OSError as error:
        return f"[hpmpi: {path} can't be read: {error.strerror}]"
    if output is None:
        return f"[hpmpi: {path} has no word of it: it has not begun to print, or that was cut]"
    return output.decode(errors="backslashreplace")


def ended(output: str) -> str:
    """End the last line."""
    return output if not output or output.endswith("\n") else f"{output}\n"


def end_of(attempt: Attempt, history: History) -> str:
    """Tell what became of an attempt."""
    if attempt.fate in (Fate.FAILED, Fate.LOST):
        failures = story.failures_of(history, attempt.id.trial)
        return next(story.failure_of(it) for it in failures if it.attempt == attempt.id)
    return story.ending_of(attempt, history)


def for_terminal(output: str) -> str:
    r"""Give what overwrites a line, as a progress bar does, a line of its own; and tabs as blanks.

    >>> for_terminal("1 %\r2 %\r\nx\ty")
    '1 %\n2 %\nx       y'
    """
    return output.replace("\r\n", "\n").replace("\r", "\n").expandtabs()
