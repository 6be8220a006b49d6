"""Where a study's data come from: a file, or a function of the user's; read once, in a process.

`[data]` names it. What is read is laid down at once, array by array: a file need not fit into
memory, but for what a function returns and for CSV. Nothing is ever unpickled.
"""

import contextlib
import shutil
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NamedTuple

import msgspec

from hpmpi import data, rooms
from hpmpi.columns import columns_of
from hpmpi.errors import ObjectiveError
from hpmpi.files import NO_ROOM
from hpmpi.objective import Trial, load
from hpmpi.rooms import PARENTS

NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]

SUFFIXES = (".npy", ".npz", ".csv", ".h5", ".hdf5")

ONLY = "data"
"""What a single array is called."""

COPY_BYTES = 1 << 22
SLICE_BYTES = 1 << 26
"""How much of a file, and of an HDF5 data set, is read at a time."""

HEADER_BYTES = 1 << 12
"""What a file needs beside its array, at most, in general."""

OPTIONS = {"key": (".h5", ".hdf5"), "target": (".csv",), "args": ()}
"""What may be said of which kind of file; the rest is of functions."""


class Source(msgspec.Struct, frozen=True):
    """`[data]`: what is laid down on each node, and where.

    `key`: a group or data set in an HDF5 file; `target`: the column of a CSV file that becomes "y",
    the others becoming "X"; `args`: of the function; `folder`: of each node, instead of its memory.
    """

    source: NonEmpty | None = None
    key: NonEmpty | None = None
    target: NonEmpty | None = None
    args: dict[str, Any] | None = None
    folder: NonEmpty | None = None

    @property
    def is_function(self) -> bool:
        """Whether a function returns the data."""
        return self.source is not None and not self.source.lower().endswith(SUFFIXES)

    @property
    def parents(self) -> list[str]:
        """Where on a node the data may lie; nowhere if there are none."""
        if self.source is None:
            return []
        return list(PARENTS) if self.folder is None else [self.folder]

    def problems(self, origin: Path | None) -> list[str]:
        """Say what is wrong; what a function is worth is looked at elsewhere."""
        if self.source is None:
            return [] if self == Source() else ["data.source is missing; it must be given"]
        found = []
        suffix = Path(self.source).suffix.lower()
        for name, suffixes in OPTIONS.items():
            wanted = self.is_function if name == "args" else suffix in suffixes
            if getattr(self, name) is not None and not wanted:
                kind = " or ".join(suffixes) if suffixes else "module:function"
                found.append(f"data.{name} is for {kind}, and data.source = {self.source!r}")
        if self.folder is not None and not self.folder.startswith(("/", "$")):
            found.append(f"data.folder = {self.folder!r} must begin with / or a variable")
        if origin is not None and not self.is_function and not is_file(origin / self.source):
            found.append(f"data.source = {self.source!r}: there is no file {origin / self.source}")
        return found


class Piece(NamedTuple):
    """An array to be laid down: how many bytes it has, and what writes its .npy file."""

    name: str
    size: int
    write: Callable[["Stream"], None]


class Stream:
    """A file that is written to; numpy takes what is none for one that may say why it failed."""

    def __init__(self, file: BinaryIO) -> None:
        """Write to an open file."""
        self._file = file

    def write(self, content: Any) -> int:
        """Write all of it; raises OSError."""
        return self._file.write(content)


class Task(msgspec.Struct, frozen=True):
    """What the reading process is told: the source, what it is relative to, and the rooms."""

    source: Source
    origin: str
    rooms: list[str]


def lay_down(_config: object, trial: Trial) -> float:
    """Read the data, and lay them down on this node; return their bytes.

    Called as an objective is, so that whatever happens to it is a report. Raises ObjectiveError.
    """
    task = msgspec.convert(trial.args, Task)
    pieces = list(read(task.source, Path(task.origin)))
    if not pieces:
        raise ObjectiveError(f"{task.source.source} has no arrays")
    size = sum(piece.size + HEADER_BYTES for piece in pieces)
    folders = [Path(room) for room in task.rooms]
    for room in rooms.roomy(folders, size):
        part = data.begin(room, 0)
        try:
            write(pieces, part)
        except OSError as error:
            rooms.vanish(part)
            if error.errno not in NO_ROOM:
                raise
        else:
            data.commit(part, folders[0])
            return float(sum(piece.size for piece in pieces))
    raise ObjectiveError(rooms.no_room(folders, size))


def write(pieces: list[Piece], part: Path) -> None:
    """Write a file for each, and what there is; raises OSError."""
    entries = []
    for number, piece in enumerate(pieces):
        path = part / f"{number}.npy"
        with path.open("wb") as file:
            piece.write(Stream(file))
        entries.append(data.Entry(piece.name, path.name, path.stat().st_size))
    (part / data.INDEX).write_bytes(data.write_index(entries))


def read(source: Source, origin: Path) -> Iterator[Piece]:
    """Find the arrays of a source; raises ObjectiveError for what can't be laid down."""
    assert source.source is not None, "only data that are there are read"
    if source.is_function:
        return of_function(source.source, load(source.source, origin)(**(source.args or {})))
    path = origin / source.source
    reader = {".npy": of_npy, ".npz": of_npz, ".csv": of_csv}.get(path.suffix.lower())
    if reader is None:
        return of_hdf5(path, source.key or "/")
    return of_csv(path, source.target) if reader is of_csv else reader(path)


def of_function(reference: str, returned: Any) -> Iterator[Piece]:
    """Take what a function returned: a dictionary of arrays, or one."""
    arrays = returned if isinstance(returned, dict) else {ONLY: returned}
    for name, each in arrays.items():
        if not isinstance(name, str):
            raise ObjectiveError(f"{reference} returned an array by {name!r}, which is no text")
        yield of_array(name, each, reference)


def of_array(name: str, each: Any, origin: object) -> Piece:
    """Take an array as it is: its order of bytes and axes, too."""
    import numpy as np  # noqa: PLC0415 - not for those who only name a source

    if isinstance(each, np.generic):
        each = np.asarray(each)
    if not isinstance(each, np.ndarray) or isinstance(each, np.ma.MaskedArray):
        kind = f"{type(each).__module__}.{type(each).__name__}".removeprefix("builtins.")
        raise ObjectiveError(
            f"{origin}: {name!r} is a {kind}, and must be a numpy array; return a dictionary of "
            "arrays, or one array"
        )
    check_type(name, each.dtype, origin)

    def write(file: Stream) -> None:
        np.save(file, each, allow_pickle=False)

    return Piece(name, each.nbytes, write)


def check_type(name: str, dtype: Any, origin: object) -> None:
    """Raise ObjectiveError for what a file can't have without pickle, or would not give back."""
    from numpy.lib import format as npy  # noqa: PLC0415 - as above

    kept = False
    if not dtype.hasobject:
        with contextlib.suppress(TypeError, ValueError, UserWarning):
            kept = npy.descr_to_dtype(npy.dtype_to_descr(dtype)) == dtype
    if not kept:
        raise ObjectiveError(
            f"{origin}: {name!r} is of type {dtype}, which can't be shared: make it numbers, or "
            "texts of a fixed width (array.astype('U'))"
        )


# -- files -----------------------------------------------------------------------------------------


def of_npy(path: Path) -> Iterator[Piece]:
    """Copy the array of a file."""
    yield of_stream(ONLY, path, lambda: path.open("rb"))


def of_npz(path: Path) -> Iterator[Piece]:
    """Copy the arrays of an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise ObjectiveError(f"{path} is no .npz file: {error}") from error
    for name in names:
        yield of_stream(name.removesuffix(".npy"), path, partial(member, path, name))


@contextlib.contextmanager
def member(path: Path, name: str) -> Iterator[Any]:
    """Open a file in an archive."""
    with zipfile.ZipFile(path) as archive, archive.open(name) as file:
        yield file


def of_stream(name: str, path: Path, reopen: Callable[[], Any]) -> Piece:
    """Copy an array in numpy's format, whoever wrote it; only its header is written anew."""
    from numpy.lib import format as npy  # noqa: PLC0415 - as above

    def header(file: Any) -> tuple[Any, bool, Any]:
        try:
            major, _ = npy.read_magic(file)
            read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
            return read(file, max_header_size=data.LONGEST_HEADER)
        except ValueError as error:
            raise ObjectiveError(
                f"{path}: {name!r} is no array in numpy's format: {error}"
            ) from error

    with reopen() as file:
        shape, fortran, dtype = header(file)
    check_type(name, dtype, path)
    size = size_of(shape, dtype)

    def write(target: Stream) -> None:
        with reopen() as file:
            header(file)
            write_header(target, shape, dtype, fortran=fortran)
            shutil.copyfileobj(file, target, COPY_BYTES)

    return Piece(name, size, write)


def of_hdf5(path: Path, key: str) -> Iterator[Piece]:
    """Copy a data set, or all data sets that are directly in a group."""
    import h5py  # noqa: PLC0415 - as above

    try:
        with h5py.File(path) as file:
            there = file.get(key)
            if there is None:
                raise ObjectiveError(f"{path} has no {key!r}; there is: {', '.join(file)}")
            found = [there] if isinstance(there, h5py.Dataset) else there.values()
            sets = [each for each in found if isinstance(each, h5py.Dataset)]
            kinds = [(each.name, each.shape, each.dtype) for each in sets]
    except OSError as error:
        raise ObjectiveError(f"{path} can't be read: {error}") from error
    for name, shape, dtype in kinds:
        yield of_dataset(path, name, shape, dtype)


def of_dataset(path: Path, key: str, shape: Any, dtype: Any) -> Piece:
    """Copy a data set, slice by slice."""
    import h5py  # noqa: PLC0415 - as above

    name = key.rpartition("/")[2]
    if shape is None:
        raise ObjectiveError(f"{path}: {key!r} is empty: it has no shape")
    check_type(name, dtype, path)
    size = size_of(shape, dtype)

    def write(target: Stream) -> None:
        write_header(target, shape, dtype, fortran=False)
        with h5py.File(path) as file:
            if not shape:
                target.write(file[key][()].tobytes())
                return
            step = max(1, SLICE_BYTES * shape[0] // max(1, size))
            for start in range(0, shape[0], step):
                target.write(file[key][start : start + step].tobytes())

    return Piece(name, size, write)


def write_header(target: Stream, shape: Any, dtype: Any, *, fortran: bool) -> None:
    """Begin a .npy file."""
    from numpy.lib import format as npy  # noqa: PLC0415 - as above

    said = {"descr": npy.dtype_to_descr(dtype), "fortran_order": fortran, "shape": tuple(shape)}
    npy.write_array_header_2_0(target, said)


def size_of(shape: Any, dtype: Any) -> int:
    """Count the bytes of an array."""
    size = int(dtype.itemsize)
    for length in shape:
        size *= int(length)
    return size


def of_csv(path: Path, target: str | None = None) -> Iterator[Piece]:
    """Read columns by their names in the first line: whole numbers, numbers, or else texts.

    With a target, the others side by side are "X", and it is "y".
    """
    import numpy as np  # noqa: PLC0415 - as above

    columns = columns_of(path)
    if target is None:
        for name, column in columns.items():
            yield of_array(name, np.asarray(column), path)
        return
    if target not in columns:
        raise ObjectiveError(f"{path} has no column {target!r}; there is: {', '.join(columns)}")
    yield of_array("y", np.asarray(columns.pop(target)), path)
    if texts := [name for name, column in columns.items() if isinstance(column, list)]:
        raise ObjectiveError(
            f"{path}: X can't have texts, as in the column {', '.join(texts)}; without "
            "data.target, each column is an array of its own"
        )
    yield of_array("X", np.column_stack([np.asarray(each) for each in columns.values()]), path)


def is_file(path: Path) -> bool:
    """Tell whether a file is there, whatever its name."""
    with contextlib.suppress(OSError, ValueError):
        return path.is_file()
    return False
