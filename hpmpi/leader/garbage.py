"""The garbage collector, while rank 0 leads: it looks seldom, and not at what lives as long.

Of each result something is kept, and hardly anything is left for the collector: reference counts
free the rest. By its own measure it would look at all that is kept again and again, which took a
fifth of the time that a result costs.
"""

import contextlib
import gc
from collections.abc import Iterator

NEW = 50_000
"""How many new objects there are when it looks, which takes a few milliseconds; 700 by default."""


@contextlib.contextmanager
def seldom_collected() -> Iterator[None]:
    """Have garbage looked for seldom, and not among what there is by now."""
    threshold = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(NEW, *threshold[1:])
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        gc.unfreeze()
