"""The format of run folders: one number for all files in them."""

from pathlib import Path

from hpmpi import __version__
from hpmpi.errors import StoreError

FORMAT = 3
"""The format of all files in a run folder.

1 had no checksums, and its journal did not say its format; a line of 2 was a decision.
"""


def foreign(path: Path, version: int, writer: str) -> StoreError:
    """Say that a file is of another format."""
    return StoreError(
        f"{path} has format {version}, written by {writer}, and this hpmpi {__version__} reads "
        f"format {FORMAT}: go on with the version that wrote it, or use --fresh to move the run "
        "aside"
    )
