"""Generators of the gest-api standard, as libEnsemble and Xopt have them: for tests."""

import math
from random import Random
from typing import Any

from gest_api import Generator
from gest_api.vocs import VOCS, ContinuousVariable

Point = dict[str, Any]


class Mutants(Generator):  # type: ignore[misc]
    """Give mutants of the best point, each with an identifier; what has failed is no point."""

    returns_id = True

    def __init__(self, vocs: VOCS, *, width: float = 0.1, seed: int = 0) -> None:
        """Know of no point."""
        super().__init__(vocs)
        self.vocs, self.width, self.random = vocs, width, Random(seed)  # noqa: S311
        self.asked: dict[int, Point] = {}
        self.ingested: list[Point] = []
        self.best: Point | None = None

    def _validate_vocs(self, vocs: VOCS) -> None:
        if vocs.objective_names != ["loss"]:
            raise ValueError("one objective is what it can do with")

    def suggest(self, num_points: int | None) -> list[Point]:
        """Give as many as are wanted."""
        begin = len(self.asked)
        for _ in range(num_points or 1):
            self.asked[len(self.asked)] = self._point()
        return [dict(self.asked[number]) for number in range(begin, len(self.asked))]

    def ingest(self, results: list[Point]) -> None:
        """Keep the best."""
        for result in results:
            if "_id" in result and result["_id"] not in self.asked:
                raise ValueError(f"it suggested nothing with the _id {result['_id']}")
            self.ingested.append(result)
            loss = result["loss"]
            if not math.isnan(loss) and (self.best is None or loss < self.best["loss"]):
                self.best = result

    def _point(self) -> Point:
        values: Point = {"_id": len(self.asked)}
        for name, variable in self.vocs.variables.items():
            if not isinstance(variable, ContinuousVariable):
                values[name] = self.random.choice(sorted(variable.values))
            elif self.best is None:
                values[name] = self.random.uniform(*variable.domain)
            else:
                low, high = variable.domain
                moved = self.best[name] + self.random.gauss(0.0, self.width)
                values[name] = min(max(moved, low), high)
        return values


class Generations(Mutants):
    """Give four at a time, no more and no less, when all before have come back."""

    def suggest(self, num_points: int | None) -> list[Point]:
        """Give a generation, or nothing yet."""
        if num_points not in (None, 4):
            raise ValueError("it gives four at a time")
        return super().suggest(4) if len(self.ingested) == len(self.asked) else []
