"""Arrays as a study's `[data]`: a file beside the run folder, which any numpy reads; no pickle.

Its name has the digest of what is in it: a call that is repeated finds it there, and a run is never
gone on with other data, as its study would name another file.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hpmpi.errors import SettingsError
from hpmpi.storage import digests, files


def keep(data: Mapping[str, Any], folder: Path) -> Path:
    """Have arrays in a file beside a run folder; return its name. Raises SettingsError, StoreError.

    What is no array, as a list or a DataFrame of numbers, is made one.
    """
    arrays = {name: array_of(name, value) for name, value in data.items()}
    beside = folder.with_name(f"{folder.name}.data")
    file = beside / f"{digests.digest(*parts_of(arrays))}.npz"
    partial = beside / f".{file.name}"
    try:
        if not file.exists():
            files.make_folder(beside)
            with partial.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **arrays)
            partial.replace(file)
    except OSError as error:
        raise files.trouble(file, error) from error
    return file


def array_of(name: str, value: Any) -> Any:
    """Make an array of a value; raises SettingsError where it would have Python's objects in it."""
    array = np.asarray(value)
    if array.dtype.hasobject:
        what = "objects of Python, as a column of texts is in numpy"
        todo = "make them numbers or texts (.astype('U')), or name a function that returns the data"
        raise SettingsError([f"data[{name!r}] has {what}: {todo}"])
    return array


def parts_of(arrays: Mapping[str, Any]) -> Iterator[Any]:
    """List the names, types and shapes of arrays, and all that is in them."""
    for name, array in sorted(arrays.items()):
        yield f"{name}\0{array.dtype.str}\0{array.shape}\0".encode()
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8)
