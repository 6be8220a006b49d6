"""The values of options: each is read, or refused with what is valid."""

import argparse
import math
from pathlib import Path

from hpmpi.slurm import sbatch


def folder(text: str) -> Path:
    """Read the name of a folder that there may not be yet."""
    if not text or Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is no run folder{' but a file' * bool(text)}")
    return Path(text)


def hosts(text: str) -> tuple[str, ...]:
    """Read names of hosts."""
    named = tuple(names(text))
    if not named:
        raise argparse.ArgumentTypeError(f"{text!r} must be names of hosts, with commas between")
    return named


def formats(text: str) -> tuple[str, ...]:
    """Read which formats figures are wanted in."""
    known = tuple(dict.fromkeys(names(text)))
    if not known or not {"png", "svg", "pdf"}.issuperset(known):
        said = f"{text!r} must be png, svg or pdf, or several with commas between"
        raise argparse.ArgumentTypeError(said)
    return known


def names(text: str) -> list[str]:
    """Read names with commas between."""
    return [name for name in text.split(",") if name]


def inches(text: str) -> float:
    """Read the width of a figure, in inches."""
    return between(text, 1.5, 50.0, "a width in inches")


def dots(text: str) -> int:
    """Read how many dots an inch has."""
    return int(between(text, 20, 2400, "a number of dots per inch"))


def between(text: str, low: float, high: float, what: str) -> float:
    """Read a number from `low` to `high`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} must be {what}, from {low:g} to {high:g}")
    return value


def seconds(text: str) -> float:
    """Read a time in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of seconds above 0")
    return value


def duration(text: str) -> float:
    """Read a time as Slurm does, in seconds."""
    if not sbatch.TIME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} must be {sbatch.TIMES}")
    return sbatch.seconds_of(text)


def from_zero(text: str) -> int:
    """Read a whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 0 on")
    return int(text)


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 1 on")
    return int(text)
