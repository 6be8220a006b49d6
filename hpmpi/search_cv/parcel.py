"""How a search reaches the ranks: arrays by name, and a file of objects; no pickle on disk.

    FOLDER/<digest>.skops    the estimator, the scorer and the choices, as skops writes them
    FOLDER/run.data/         X, y, weights and splits, array by array: each node has them once

skops writes what objects are made of, by import path. The file is named by a digest of what is in
it, and written once: an allocation may wait for it while the same is called again. What skops can't
write, as a class or a function that
stands in a notebook, goes by cloudpickle to processes of this machine: through memory that is the
caller's, and gone with it. Ranks of other nodes would find neither; there it is refused.
"""

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec
import numpy as np
import skops.io

from hpmpi.errors import ObjectiveError, SettingsError
from hpmpi.search_cv.digests import MAIN, NO_DIGEST, digest_of, digest_of_parts
from hpmpi.search_cv.fits import FitContext, Split
from hpmpi.search_cv.forms import Array, Parts, Value
from hpmpi.search_cv.spaces import SearchSpace
from hpmpi.search_cv.tables import put_together, take_apart
from hpmpi.storage import files

SUFFIX = ".skops"
"""How the name ends of the file of a search's objects, in its folder."""

MEMORY = re.compile(r"/proc/\d+/fd/\d+")
ANONYMOUS = "/memfd:"
"""How a process's memory is named, and what it must be for us to read it."""

DATA = ("X", "y")
ROWS_OF_SPLITS, ENDS_OF_SPLITS = "splits.rows", "splits.ends"
OBJECTS = ("estimator", "scorer", "resource", "error_score", "return_train_score", "config")
"""What of the context are data, what are splits, and what are objects."""

PART = "part/"
"""What stands before the names of objects that are parts of data."""

TOO_OWN = (
    "{what}; ranks import what they run. Write it to a module of its own (in a notebook: "
    "`%%writefile my_parts.py` at the top of its cell), import it from there, and call again"
)


class Parcel(msgspec.Struct, frozen=True):
    """Where a search is: in a `file` that has this `sha256`, or in the `memory` of who has called.

    `path` is where Python looks for modules there.
    """

    path: list[str]
    file: str | None = None
    sha256: str | None = None
    memory: str | None = None


# -- where it is sent ----------------------------------------------------------------------------


class Sending:
    """A search that is taken apart: its arrays by name, and its objects."""

    def __init__(self, context: FitContext, space: SearchSpace) -> None:
        """Take a search apart."""
        self.parts = Parts({}, {})
        forms = {name: take_apart(name, value, self.parts) for name, value in data_of(context)}
        whole = {name: getattr(context, name) for name in OBJECTS}
        self.digests = {name: digest_of_parts(form, self.parts) for name, form in forms.items()}
        lay_splits(context.splits, self.parts)
        self.digests["splits"] = digest_of([tuple(split) for split in context.splits])
        self.digests |= {name: digest(whole[name]) for name in OBJECTS}
        self.digests["space"] = digest(space.axes)
        self.objects = {
            **{f"{PART}{name}": value for name, value in self.parts.objects.items()},
            **whole,
            "axes": space.axes,
            "forms": msgspec.json.encode(forms).decode(),
        }

    @contextmanager
    def parcel(self, folder: Path, *, local: bool) -> Iterator[Parcel]:
        """Lay the objects where ranks find them; raises SettingsError for what can't go there."""
        file = folder / f"{digest_of(sorted(self.digests.items()))}{SUFFIX}"
        try:
            if not file.exists():
                files.replace(file, as_skops(self.objects))
        except UnsendableError as error:
            if not local:
                raise SettingsError([TOO_OWN.format(what=error)]) from error
            with in_memory(cloudpickle.dumps(self.objects)) as path:
                yield Parcel(sys.path, memory=path)
            return
        yield Parcel(sys.path, str(file), hashlib.sha256(file.read_bytes()).hexdigest())


class UnsendableError(Exception):
    """What skops can't write, or would make another thing of; it is said what."""


def data_of(context: FitContext) -> Iterator[tuple[str, Any]]:
    """Name what may be large."""
    yield from ((name, getattr(context, name)) for name in DATA)
    for kind in ("fit", "score"):
        for name, value in getattr(context, f"{kind}_params").items():
            yield f"{kind}/{name}", value


def lay_splits(splits: list[Split], parts: Parts) -> None:
    """Lay down the rows of all splits, one after another."""
    rows = [row_numbers(each) for split in splits for each in split]
    parts.arrays[ROWS_OF_SPLITS] = np.concatenate([np.empty(0, np.int64), *rows])
    parts.arrays[ENDS_OF_SPLITS] = np.cumsum([len(each) for each in rows])


def row_numbers(rows: Array) -> Array:
    """Count rows that are said by truth values."""
    return np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)


def digest(value: Any) -> str:
    """Make a digest; "" of what has none, and is not compared."""
    try:
        return digest_of(value)
    except NO_DIGEST:
        return ""


def as_skops(objects: dict[str, Any]) -> bytes:
    """Write objects, and see that they can be read; raises UnsendableError that names one."""
    try:
        return written(objects, "the search")
    except UnsendableError as error:
        for name, value in objects.items():
            written(value, f"{name.removeprefix(PART)} = {value!r:.200}")
        raise error from None


def written(value: Any, what: str) -> bytes:
    """Write a value as skops does; raises UnsendableError unless another process reads the same."""
    try:
        found: bytes = skops.io.dumps(value)
        types = skops.io.get_untrusted_types(data=found)
        same = digest_of(skops.io.loads(found, trusted=types)) == digest_of(value)
    except Exception as error:  # anybody's objects, and what they are made of
        raise UnsendableError(f"{what} can't be written without pickle ({error})") from error
    own = [it for it in types if it.partition(".")[0] == MAIN or "<locals>" in it]
    if own:
        raise UnsendableError(f"{what} has {own[0]}, which stands in no module")
    if not same:
        raise UnsendableError(f"{what} would be something else where it is read")
    return found


@contextmanager
def in_memory(written: bytes) -> Iterator[str]:
    """Hold bytes where processes of this user and machine can read them, as long as we live."""
    descriptor = os.memfd_create("hpmpi-search")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as memory:
            memory.write(written)
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)


# -- where it is opened --------------------------------------------------------------------------


def opened(parcel: Parcel, arrays: Mapping[str, Array]) -> tuple[FitContext, SearchSpace]:
    """Put a search together; raises ObjectiveError."""
    sys.path += [folder for folder in parcel.path if folder not in sys.path]
    objects = read(parcel)
    parts = Parts(dict(arrays), of_kind(PART, objects))
    forms = msgspec.json.decode(objects["forms"], type=dict[str, Value])
    data = {name: put_together(form, parts) for name, form in forms.items()}
    context = FitContext(
        **{name: data[name] for name in DATA},
        splits=splits_in(parts),
        fit_params=of_kind("fit/", data),
        score_params=of_kind("score/", data),
        **{name: objects[name] for name in OBJECTS},
    )
    return context, SearchSpace(objects["axes"])


def of_kind(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Take the parameters of a kind by their own names."""
    return {name.removeprefix(kind): it for name, it in data.items() if name.startswith(kind)}


def splits_in(parts: Parts) -> list[Split]:
    """Part the rows of all splits."""
    rows, ends = parts.arrays[ROWS_OF_SPLITS], parts.arrays[ENDS_OF_SPLITS]
    parted = np.split(rows, ends[:-1])
    return [Split(*pair) for pair in zip(parted[::2], parted[1::2], strict=True)]


def read(parcel: Parcel) -> dict[str, Any]:
    """Read the objects; raises ObjectiveError unless they are those that were sent."""
    try:
        if parcel.memory is not None:
            return in_memory_of_caller(parcel.memory)
        assert parcel.file is not None, "objects are in memory or in a file"
        written = Path(parcel.file).read_bytes()
    except OSError as error:
        raise ObjectiveError(f"the search can't be read: {error}") from error
    if hashlib.sha256(written).hexdigest() != parcel.sha256:
        raise ObjectiveError(f"{parcel.file} is not what was written for this run")
    types = skops.io.get_untrusted_types(data=written)
    objects: dict[str, Any] = skops.io.loads(written, trusted=types)
    return objects


def in_memory_of_caller(path: str) -> dict[str, Any]:
    """Read what a process of this user's holds in memory, and nothing that lies on a disk."""
    if not MEMORY.fullmatch(path) or not str(Path(path).readlink()).startswith(ANONYMOUS):
        raise ObjectiveError(f"{path} is no memory of a process: nothing else is unpickled")
    objects: dict[str, Any] = cloudpickle.loads(Path(path).read_bytes())
    return objects
