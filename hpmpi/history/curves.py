"""The learning curves: what objectives have reported, by trial and resource."""

from collections.abc import Iterator, Sequence

import msgspec

from hpmpi.errors import ReplayError
from hpmpi.history.attempts import pack
from hpmpi.model.messages import Point
from hpmpi.model.trial import Metrics

FURTHEST = 2**63
"""No whole number that a rank reports is beyond, on either side."""

unpack_points = msgspec.msgpack.Decoder(list[Point]).decode


class Curves:
    """All curves, packed: there may be more points than anything else."""

    def __init__(self) -> None:
        """Know of none."""
        self._packed: dict[int, list[bytes]] = {}

    def draw(self, trial: int, points: Sequence[Point]) -> None:
        """Add points; raises ReplayError for what no rank can have reported."""
        for point in points:
            if not -FURTHEST < point.resource < FURTHEST:
                raise ReplayError(f"{point.resource} is no resource of a point")
        self._packed.setdefault(trial, []).append(pack(points))

    def of(self, trial: int) -> dict[int, Metrics]:
        """Tell what was reported of a trial, by resource in order; the last word on each counts."""
        points: dict[int, Metrics] = {}
        for packed in self._packed.get(trial, ()):
            points |= {point.resource: point.metrics for point in unpack_points(packed)}
        return {resource: points[resource] for resource in sorted(points)}

    def newest(self, trial: int) -> Point | None:
        """Find what was reported last of a trial."""
        packed = self._packed.get(trial)
        points = unpack_points(packed[-1]) if packed else []
        return points[-1] if points else None

    def __iter__(self) -> Iterator[int]:
        """List the trials that have a curve."""
        return iter(sorted(self._packed))
