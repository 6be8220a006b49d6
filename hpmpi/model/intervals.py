"""Arithmetic of intervals: numbers in a range, and parts of [0, 1)."""

import math
from collections.abc import Callable


def rounded(value: float, low: float, high: float) -> float:
    """Round to 12 digits, within the bounds.

    So it is 0.3, and not 0.30000000000000004 or what another machine's exp makes of it.

    >>> rounded(0.1 + 0.2, 0.0, 1.0), rounded(2 / 3, 0.0, 2 / 3)
    (0.3, 0.6666666666666666)
    """
    value = float(f"{value:.12g}")
    if value < low:
        return low
    return min(value, high)


def part_of(size: int, unit: float) -> int:
    """Find in which of `size` equal parts of [0, 1) a number lies."""
    return min(int(unit * size), size - 1)


def middle(size: int, number: int) -> float:
    """Find the middle of one of `size` equal parts of [0, 1), by its number.

    >>> middle(4, 0), middle(4, 3)
    (0.125, 0.875)
    """
    return (number + 0.5) / size


def between(low: float, high: float, unit: float) -> float:
    """Interpolate; exact at both ends, and free of overflow."""
    return low * (1 - unit) + high * unit


def share(low: float, high: float, value: float) -> float:
    """Lead back from `between`; exact at both ends, and free of overflow.

    It is measured from the end that is nearer, as there are the digits.
    """
    if not math.isfinite(high - low):
        low, high, value = low / 2, high / 2, value / 2
    below, above = value - low, high - value
    return below / (high - low) if below <= above else 1 - above / (high - low)


def leading_back(at: Callable[[float], float], value: float, unit: float) -> float:
    """Return what a rising function `at` leads from to a value: `unit`, if that is near enough.

    Where rounding has it miss the value, halve [0, 1] until it does not; a value that no float
    leads to has `unit`.
    """
    low, high, near = 0.0, 1.0, unit
    while (there := at(near)) != value:
        low, high = (near, high) if there < value else (low, near)
        near = (low + high) / 2
        if not low < near < high:
            return unit
    return near
