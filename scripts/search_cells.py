"""What was measured of searches, in a file: of each case a line, with a course for each seed."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from virtual import Case, Course

from hpmpi.errors import StoreError
from hpmpi.storage import files

Pairs = list[tuple[Case, list[Course]]]


class Cells:
    """The courses of each case, by seed."""

    def __init__(self, file: Path | None) -> None:
        """Read what there is, raising StoreError; without a file nothing is kept."""
        self._file = file
        self.courses: dict[Case, list[Course]] = {}
        if file is not None and file.exists():
            try:
                self.courses = dict(msgspec.json.decode(file.read_bytes(), type=Pairs))
            except msgspec.DecodeError as error:
                raise StoreError(f"{file} is none that was written here: {error}") from error

    def add(self, case: Case, course: Course) -> None:
        """Have the course of the next seed, and keep it."""
        self.courses.setdefault(case, []).append(course)
        if self._file is not None:
            lines = (msgspec.json.encode(pair).decode() for pair in self.courses.items())
            files.replace(self._file, ("[\n" + ",\n".join(lines) + "\n]\n").encode())


class Mean(NamedTuple):
    """A mean over the seeds, and its standard error."""

    value: float
    error: float

    def is_above(self, other: "Mean") -> bool:
        """Tell whether it is so by more than two standard errors."""
        return self.value - other.value > 2 * math.hypot(self.error, other.error)


def mean(values: Sequence[float]) -> Mean:
    """Average over the seeds; of one seed, no error is known."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Mean(statistics.fmean(values), error)


def regrets(case: Case, courses: Sequence[Course]) -> dict[int, Mean]:
    """Average the regret after each worth."""
    places = enumerate(case.worth)
    return {worth: mean([it.regrets[place] for it in courses]) for place, worth in places}


def good_after(courses: Sequence[Course]) -> float:
    """Tell when a run was good, in the median; infinity where half of them never were."""
    times = (math.inf if it.good_after is None else it.good_after for it in courses)
    return statistics.median_high(times)
