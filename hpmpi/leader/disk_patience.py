"""Patience with a disk that takes nothing for now: the ranks go on with their jobs meanwhile."""

import logging
import math
import time
from collections.abc import Callable

from hpmpi.errors import DiskError

PATIENCE_S = 600.0
"""How long to wait for a disk that is full."""

log = logging.getLogger("hpmpi")


class DiskPatience:
    """Waits until what is written is on the disk."""

    def __init__(
        self, hurries: Callable[[], bool], meanwhile: Callable[[], None], pause_s: float
    ) -> None:
        """Do something `meanwhile`, every `pause_s`; where somebody `hurries`, don't wait."""
        self._hurries = hurries
        self._meanwhile = meanwhile
        self._pause_s = pause_s

    def write(self, write: Callable[[], object]) -> None:
        """Write; raises DiskError when the disk has not let us for long, or somebody hurries."""
        gives_up_at = math.inf
        while True:
            try:
                write()
            except DiskError as error:
                if self._hurries() or time.monotonic() >= gives_up_at:
                    raise
                if gives_up_at == math.inf:
                    gives_up_at = time.monotonic() + PATIENCE_S
                    log.error("%s; waiting until it can", error)  # noqa: TRY400
            else:
                return
            self._meanwhile()
            time.sleep(self._pause_s)
