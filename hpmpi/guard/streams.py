"""Standard streams that are there, and take any text.

Where one was closed, the next file that is opened would have its number, and what a library prints
would go into the journal. Where one knows few letters, the name of a study would end a run.
"""

import os
import sys


def settle() -> None:
    """Have all three, and none that refuses a text; to be done before anything is opened."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(number, True)  # noqa: FBT003 - positional only
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            stream = os.fdopen(number, "w", encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        getattr(sys, name).reconfigure(errors="backslashreplace")
