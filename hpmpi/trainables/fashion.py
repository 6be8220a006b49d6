"""Fashion-MNIST (Xiao et al., arXiv 1708.07747) where Debian's dataset-fashion-mnist has it.

60,000 images of clothes to train on, and 10,000 to score with, of 28 x 28 pixels, in 10 classes.
"""

import gzip
import math
from pathlib import Path

import numpy as np

from hpmpi.data.sheets import Array, Table
from hpmpi.errors import ObjectiveError

FASHION = "fashion_mnist"
HOME = Path("/usr/share/datasets/fashion-mnist")

SIZE = np.dtype(">u4")
"""How an IDX file says its magic number, and each length of its array."""


def fashion_mnist() -> Table:
    """Read all of it; raises ObjectiveError where it is not."""
    try:
        x, y = (
            np.concatenate([idx(HOME / f"{part}-{kind}-ubyte.gz") for part in ("train", "t10k")])
            for kind in ("images-idx3", "labels-idx1")
        )
        held_out = len(idx(HOME / "t10k-labels-idx1-ubyte.gz"))
    except (OSError, EOFError, ValueError) as error:
        raise ObjectiveError(
            f"{FASHION} can't be read in {HOME} ({error}); install Debian's dataset-fashion-mnist, "
            "or give a file: --set objective_args.dataset=PATH"
        ) from error
    return Table(x.reshape(len(x), -1).astype(np.float32), y, held_out=held_out)


def idx(path: Path) -> Array:
    """Read an array of bytes (yann.lecun.com/exdb/mnist); raises OSError, EOFError, ValueError."""
    data = gzip.decompress(path.read_bytes())
    lengths = np.frombuffer(data, SIZE, count=data[3], offset=SIZE.itemsize).tolist()
    return np.frombuffer(data[-math.prod(lengths) :], np.uint8).reshape(lengths)
