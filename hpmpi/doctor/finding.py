"""What was found of one thing: whether it is well, what is seen of it, what to do about it."""

import textwrap
from enum import Enum
from typing import NamedTuple

from hpmpi.model.messages import escaped

WIDTH = 80
"""Of a line, in characters."""

SEEN = 22
"""Where in a line it is said what is seen."""


class Verdict(Enum):
    """How something is; ABSENT is what may be so, a NOTE what may cost something."""

    WELL = "ok"
    ABSENT = "-"
    NOTE = "note"
    WRONG = "wrong"


class Finding(NamedTuple):
    """What was found of one thing."""

    what: str
    verdict: Verdict
    seen: str
    todo: str = ""

    def __str__(self) -> str:
        """Write it for people, in lines of at most WIDTH.

        >>> print(Finding("Slurm", Verdict.WRONG, "it is silent", "ask who runs it"))
        wrong   Slurm         it is silent
                              -> ask who runs it
        """
        head = f"{self.verdict.value:<8}{self.what:<{SEEN - 8}}"
        return "\n".join(
            line
            for first, text in ((head, self.seen), (" " * SEEN, self.todo and f"-> {self.todo}"))
            for line in wrapped(first, escaped(text))
        )


def wrapped(head: str, text: str) -> list[str]:
    """Break a text into lines, the first of which begins with `head`."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * SEEN,
        break_on_hyphens=False,
    )
