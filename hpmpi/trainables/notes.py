"""What people must know of how their data are trained on: said once, at the start of a run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from hpmpi.data.sheets import told
from hpmpi.trainables.dataset import Dataset, load
from hpmpi.trainables.estimator import assumed, steps_of, title
from hpmpi.trainables.fitting import stops_early
from hpmpi.trainables.options import Options
from hpmpi.trainables.splits import Layout, rare


def notes(layout: Layout, model: Any, paths: Sequence[str], options: Options) -> list[str]:
    """Say what is not as it is written, and what is assumed."""
    data = load(layout.source)
    name = Path(layout.source.dataset).name if options.dataset else "[data]"
    of_data = [*data.notes, *of_blanks(layout, data, model), *of_split(layout, data)]
    return [
        *(f"{name}: {each}" for each in of_data),
        *of_labels(layout, data, model),
        *assumed(paths, options.arguments, options.task or data.task),
    ]


def of_blanks(layout: Layout, data: Dataset, model: Any) -> Iterator[str]:
    """Say what becomes of what is not known."""
    if sparse.issparse(data.x) or data.x.dtype.kind != "f":
        return
    least = data.x.min(axis=0)  # not a number where one is none
    found = [int(it) for it in np.flatnonzero(np.isnan(least)) if int(it) not in data.words]
    names = [data.names[each] if data.names else f"feature {each + 1}" for each in found]
    if names and layout.filled:
        yield f"blanks are filled with the median of the rows trained on: {told(names)}"
    elif names:
        yield f"blanks are left to {title(model)}: {told(names)}"


def of_split(layout: Layout, data: Dataset) -> Iterator[str]:
    """Say which rows are not split as others are."""
    if data.held_out and not layout.source.validation and not layout.folds:
        yield f"its own {data.held_out} rows for a test are what is scored with"
    as_usual = layout.stratified and layout.split == "random" and data.groups is None
    if not as_usual or data.y.ndim > 1 or (data.held_out and not layout.folds):
        return
    few = [str(each) for each in rare(data.y, layout.folds or 2)]
    if few and layout.folds:
        yield f"classes with fewer rows than there are folds: {told(few)}"
    elif few:
        yield f"classes of one row are trained on, and not scored with: {told(few)}"


def of_labels(layout: Layout, data: Dataset, model: Any) -> Iterator[str]:
    """Say what a model learns in the place of labels, and where it stops."""
    name = title(steps_of(model)[-1])
    if layout.coded:
        classes = [f"{label} = {code}" for code, label in enumerate(np.unique(data.y))]
        yield f"{name} wants numbers for classes: {told(classes)}"
    if stops_early(steps_of(model)[-1]):
        yield f"{name} stops early by a tenth of the rows to train on, held out for that"
