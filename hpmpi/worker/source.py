"""Where a study's data come from: a file, or a function of the user's; read in a process.

What is read is laid down array by array: a file need not fit into memory, but for CSV and for what
a function returns. Nothing is ever unpickled.
"""

import shutil
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hpmpi.data import mapped, scratch
from hpmpi.errors import ObjectiveError
from hpmpi.study.data_table import HDF5, Source
from hpmpi.worker.handle import Trial
from hpmpi.worker.objective import load

ONLY = "data"
"""What a single array is called."""

SLICE_BYTES = 1 << 26
"""How much of an HDF5 data set is in memory at a time."""

HEADER_BYTES = 1 << 12
"""What a file needs beside its array, about."""

UNREADABLE = (ValueError, EOFError, zipfile.BadZipFile)
"""What is raised for a file that is not what its name says."""


class Piece(NamedTuple):
    """An array to be laid down: how many bytes it has, and what writes its .npy file."""

    name: str
    size: int
    write: Callable[[Path], object]


class ReadTask(msgspec.Struct, frozen=True):
    """What the reading process is told: the source, and where the data may lie."""

    source: Source
    rooms: list[str]


def lay_down(_config: object, trial: Trial) -> float:
    """Read the data, and lay them down on this node; return their bytes.

    Called as an objective is, so that whatever happens to it is a report. Raises ObjectiveError.
    """
    task = msgspec.convert(trial.args, ReadTask)
    folders = [Path(room) for room in task.rooms]
    mapped.sweep(folders)
    pieces = list(read(task.source, trial.origin))
    if not pieces:
        raise ObjectiveError(f"{task.source.source} has no arrays")
    size = sum(piece.size + HEADER_BYTES for piece in pieces)
    room = scratch.roomy(folders, size)
    if room is None:
        raise ObjectiveError(scratch.no_room(folders, size))
    laid = mapped.begin(room)
    for piece in pieces:
        path = laid / mapped.file_of(piece.name)
        try:
            piece.write(path)
            if piece.name != mapped.NOTES:
                mapped.mapped(path)
        except UNREADABLE as error:
            said = f"{task.source.source}: {piece.name!r} can't be shared: {error}"
            raise ObjectiveError(said) from error
        except OSError as error:
            raise ObjectiveError(f"{path} can't be written: {error}") from error
    mapped.commit(laid, folders[0])
    return float(size)


def read(source: Source, origin: Path) -> Iterator[Piece]:
    """Find the arrays of a source; raises ObjectiveError for what can't be read."""
    assert source.source is not None, "only data that are there are read"
    if source.is_function:
        yield from of_function(source.source, load(source.source, origin)())
        return
    path = origin / source.source
    try:
        match path.suffix.lower():
            case ".npy":
                yield Piece(ONLY, path.stat().st_size, partial(shutil.copyfile, path))
            case ".npz":
                yield from of_npz(path)
            case suffix if suffix in HDF5:
                yield from of_hdf5(path, source.key or "/")
            case _:
                yield from of_table(path, source)
    except (*UNREADABLE, OSError) as error:
        raise ObjectiveError(f"{path} can't be read: {error}") from error


def of_function(reference: str, returned: Any) -> Iterator[Piece]:
    """Take what a function returned: a dictionary of arrays, or one."""
    import numpy as np  # noqa: PLC0415 - not for those who only name a source

    arrays = returned if isinstance(returned, dict) else {ONLY: returned}
    for name, array in arrays.items():
        is_array = isinstance(array, np.ndarray) and not isinstance(array, np.ma.MaskedArray)
        if not isinstance(name, str) or not is_array:
            raise ObjectiveError(
                f"{reference} must return a numpy array, or a dictionary of them by name; "
                f"{name!r} is a {type(array).__name__}"
            )
        yield of_array(name, array)


def of_table(path: Path, source: Source) -> Iterator[Piece]:
    """Take X and y of a table, and what is to be known of it."""
    from hpmpi.data.reading import read_table  # noqa: PLC0415 - has pandas

    found = read_table(path, source.target, source.groups)
    for name, array in found.arrays.items():
        yield of_array(name, array)
    if found.notes:
        text = "\n".join(f"{path.name}: {note}" for note in found.notes)
        write = partial(Path.write_text, data=text, encoding="utf-8")
        yield Piece(mapped.NOTES, len(text.encode()), write)


def of_array(name: str, array: Any) -> Piece:
    """Write an array as it is: its order of bytes and axes, too."""
    import numpy as np  # noqa: PLC0415 - as above

    def write(path: Path) -> None:
        np.save(path, array, allow_pickle=False)
        if (found := mapped.mapped(path).dtype) != array.dtype:
            raise ValueError(f"it is of type {array.dtype}, and would be {found}")

    return Piece(name, array.nbytes, write)


def of_npz(path: Path) -> Iterator[Piece]:
    """Copy the arrays of an archive, which are .npy files."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(mapped.SUFFIX)
            if name != member.filename:  # others are no arrays for numpy, either
                yield Piece(name, member.file_size, partial(extract, path, member.filename))


def extract(archive: Path, member: str, path: Path) -> None:
    """Copy a file out of an archive."""
    with zipfile.ZipFile(archive) as whole, whole.open(member) as file, path.open("wb") as copy:
        shutil.copyfileobj(file, copy, SLICE_BYTES)


def of_hdf5(path: Path, key: str) -> Iterator[Piece]:
    """Copy a data set, or all data sets that are directly in a group."""
    import h5py  # noqa: PLC0415 - as above

    with h5py.File(path) as file:
        there = file.get(key)
        if there is None:
            raise ObjectiveError(f"{path} has no {key!r}; there is: {', '.join(file)}")
        for each in [there] if isinstance(there, h5py.Dataset) else there.values():
            if isinstance(each, h5py.Dataset):
                name = each.name.rpartition("/")[2]
                yield Piece(name, each.nbytes, partial(copy_dataset, path, each.name))


def copy_dataset(file: Path, key: str, path: Path) -> None:
    """Copy a data set, slice by slice."""
    import h5py  # noqa: PLC0415 - as above
    import numpy as np  # noqa: PLC0415 - as above

    with h5py.File(file) as opened, path.open("wb") as copy:
        rows = opened[key]
        if rows.dtype.hasobject or rows.nbytes <= SLICE_BYTES:
            np.save(copy, rows[()], allow_pickle=False)
            return
        descr = np.lib.format.dtype_to_descr(rows.dtype)
        header = {"descr": descr, "fortran_order": False, "shape": rows.shape}
        np.lib.format.write_array_header_2_0(copy, header)
        step = max(1, SLICE_BYTES * len(rows) // rows.nbytes)
        for start in range(0, len(rows), step):
            copy.write(rows[start : start + step].tobytes())
