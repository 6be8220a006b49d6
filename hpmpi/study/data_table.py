"""The `[data]` table of a study: where its data come from, and where on a node they are to lie."""

from pathlib import Path
from typing import Annotated

import msgspec

from hpmpi.study.references import answers

NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]

HDF5 = (".h5", ".hdf5")
TEXTS = tuple(
    kind + packed for kind in (".csv", ".tsv") for packed in ("", ".gz", ".bz2", ".xz", ".zip")
)
TABLES = (*TEXTS, ".parquet", ".pq")
SUFFIXES = (".npy", ".npz", *TABLES, *HDF5)


class Source(msgspec.Struct, frozen=True):
    """`[data]`: what is laid down on each node, and where.

    `key`: a group or data set of an HDF5 file; of a table, `target`: the column to predict, and
    `groups`: one that says which rows belong together; `folder`: of each node, instead of memory.
    """

    source: NonEmpty | None = None
    key: NonEmpty | None = None
    target: NonEmpty | None = None
    groups: NonEmpty | None = None
    folder: NonEmpty | None = None

    @property
    def is_function(self) -> bool:
        """Whether a function returns the data."""
        return self.source is not None and not self.source.lower().endswith(SUFFIXES)

    def problems(self, origin: Path | None) -> list[str]:
        """Say what is wrong; what a function is worth is looked at elsewhere."""
        if self.source is None:
            return [] if self == Source() else ["data.source is missing; it must be given"]
        found = []
        for name, suffixes in (("key", HDF5), ("target", TABLES), ("groups", TABLES)):
            if getattr(self, name) is not None and not self.source.lower().endswith(suffixes):
                kinds = " or ".join(each for each in suffixes if each.count(".") == 1)
                found.append(f"data.{name} is for {kinds}, and data.source = {self.source!r}")
        if self.folder is not None and not self.folder.startswith(("/", "$")):
            found.append(f"data.folder = {self.folder!r} must begin with / or a variable")
        if (
            origin is not None
            and not self.is_function
            and not answers((origin / self.source).is_file)
        ):
            found.append(f"data.source = {self.source!r}: there is no file {origin / self.source}")
        return found
