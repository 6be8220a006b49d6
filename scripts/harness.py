"""What the bench scripts do alike: options, turns, the programs they start, and what they tell.

A script says what it measures, and what is wanted of it. `--against DIR` has the same script of
another tree, older or newer, take turns with this one. Each is a process of its own tree's Python,
and only what it writes with `--json` is read of it: neither knows how the other one is laid out.

Who imports this finds the hpmpi of this tree.
"""

import argparse
import contextlib
import importlib.util
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from hpmpi.history.attempts import Attempt
from hpmpi.history.history import History
from hpmpi.model.records import Line
from hpmpi.storage import run_folder

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

Outcome = TypeVar("Outcome")
Number = TypeVar("Number", int, float)

LEAST = 0.95
"""How good what is compared with another tree has to be: this share of what is there."""

MORE, LESS = 1, -1
"""Which numbers are better ones."""

BAD_INPUT = 2
START_S = 600.0
END_S = 10.0
"""How long a program that runs meanwhile may take to begin, and to end."""


# -- options --------------------------------------------------------------------------------------


class Words(argparse.ArgumentParser):
    """A command line; what is wrong with it is said in one line."""

    def __init__(self, about: str) -> None:
        """Have no option yet."""
        super().__init__(description=about.partition("\n")[0], allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong."""
        self.exit(BAD_INPUT, f"{self.prog}: {message}\n")


class Options(Words):
    """The command line of a bench script."""

    def __init__(self, about: str, repetitions: int = 0) -> None:
        """Have the options of all; of those that repeat what they do, also how often."""
        super().__init__(about)
        self._shared = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        self._shared.add_argument("--json", type=new_file, metavar="FILE", help="gets all of it")
        if repetitions:
            told = f"default: {repetitions}"
            add = self._shared.add_argument
            add("--repetitions", type=count(), default=repetitions, metavar="N", help=told)
            add("--against", type=tree, metavar="DIR", help="take turns with another tree's script")
        self._add_container_actions(self._shared)

    def read(
        self, better: Mapping[str, int] | None = None, narrow: Sequence[str] = ()
    ) -> argparse.Namespace:
        """Read the options; compare instead, where that is asked for.

        `better` says which numbers then count, by patterns for their names, and `narrow` what the
        options are that are not given.
        """
        options = self.parse_args()
        if better and options.against:
            words = self._shared.parse_known_args()[1]
            compare(options, [*narrow, *words], better)
            sys.exit()
        return options


def count(least: int = 1) -> Callable[[str], int]:
    """Read a whole number that is not less than another."""
    return partial(_number, int, least, f"a whole number of at least {least}")


def seconds(least: float) -> Callable[[str], float]:
    """Read how many seconds something is to take, at least so many."""
    return partial(_number, float, least, f"a number of at least {least:g}")


def _number(kind: Callable[[str], Number], least: float, wanted: str, text: str) -> Number:
    try:
        number = kind(text)
    except ValueError:
        number = kind("-1")
    if not least <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
    return number


def new_file(text: str) -> Path:
    """Read the name of a file to be written: it is known at once that it can be."""
    path = Path(text)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} can't be written")
    return path


def tree(text: str) -> Path:
    """Read where another tree is, which has this script and a Python."""
    script = Path(text).resolve() / "scripts" / Path(sys.argv[0]).name
    if not script.is_file():
        raise argparse.ArgumentTypeError(f"there is no {script}")
    python_of(script.parent.parent)
    return script.parent.parent


def python_of(tree: Path) -> Path:
    """Find the Python of another tree: in an environment that is named as this one's is."""
    python = tree / Path(sys.prefix).name / "bin" / "python"
    if not python.exists():
        raise argparse.ArgumentTypeError(f"the tree has no Python of its own: {python}")
    return python


def installed(packages: Mapping[str, str]) -> list[str]:
    """Name whose package is there; the others are left out, with a word."""
    there = []
    for name, package in packages.items():
        if importlib.util.find_spec(package):
            there.append(name)
        else:
            print(f"{name} is left out: {package} is not installed", file=sys.stderr)
    return there


# -- turns ----------------------------------------------------------------------------------------


def turns(
    measures: Mapping[str, Callable[[], Outcome]], repetitions: int
) -> dict[str, list[Outcome]]:
    """Measure all, turn by turn, every other time in the opposite order.

    So what else the machine does falls on all alike.
    """
    measured: dict[str, list[Outcome]] = {name: [] for name in measures}
    for repetition in range(repetitions):
        for name in [*measures][:: -1 if repetition % 2 else 1]:
            measured[name].append(measures[name]())
    return measured


def compare(options: argparse.Namespace, words: list[str], better: Mapping[str, int]) -> None:
    """Have this script and another tree's take turns, and tell how the medians compare."""
    measures = {
        "here": partial(reported, ROOT, Path(sys.executable), words),
        "there": partial(reported, options.against, python_of(options.against), words),
    }
    measured = turns(measures, options.repetitions)
    here, there = (medians(each) for each in measured.values())
    rows = {
        name: (here[name], there[name], share(here[name], there[name], sign))
        for name in here
        if name in there and (sign := next((better[p] for p in better if re.search(p, name)), 0))
    }
    print(f"{options.repetitions} turns; medians. There: {options.against}")
    columns = {"here": (14, ",.3f"), "there": (14, ",.3f"), "ratio": (8, ".2f")}
    print(*table(columns, rows, first=max(map(len, rows), default=0)), sep="\n")
    if not rows:
        sys.exit("nothing can be compared: the two have no row of the same name")
    worst = min(rows, key=lambda name: rows[name][2])
    print(f"the worst row, {worst}: {verdict(rows[worst][2], LEAST)}")
    write(options.json, measured)


def reported(root: Path, python: Path, words: list[str]) -> dict[str, float]:
    """Run this script of a tree, once; return what it has measured."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        script = root / "scripts" / Path(sys.argv[0]).name
        print(f"{script} ...", file=sys.stderr, flush=True)
        run([str(python), str(script), *words, "--repetitions", "1", "--json", str(file)], root)
        return dict(numbers(json.loads(file.read_text())))


def numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Name each number of a report by the keys on the way to it; lists are repetitions."""
    match value:
        case dict():
            for key, each in value.items():
                yield from numbers(each, f"{name}, {key}" if name else key)
        case list():
            yield from medians([dict(numbers(each, name)) for each in value]).items()
        case int() | float():
            yield name, value


def medians(turns: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Take the median of each number over the turns that have it."""
    values = defaultdict(list)
    for turn in turns:
        for name, number in turn.items():
            values[name].append(number)
    return {name: statistics.median(those) for name, those in values.items()}


def share(here: float, there: float, sign: int) -> float:
    """Tell how good a number is, beside another: above 1, better; what both have not is equal."""
    better, worse = (here, there) if sign == MORE else (there, here)
    if better == worse:
        return 1.0
    return better / worse if worse > 0 else math.inf


# -- programs -------------------------------------------------------------------------------------


def study(folder: Path, text: str, objectives: str = "sleepers.py") -> Path:
    """Write a study file beside its objectives."""
    (folder / objectives).symlink_to(ROOT / "scripts" / objectives)
    file = folder / "study.toml"
    file.write_text(text)
    return file


def hpmpi_run(file: Path, *options: str) -> list[str]:
    """Say how to run a study: in a folder `out` beside it."""
    out = file.parent / "out"
    return [sys.executable, "-m", "hpmpi", "run", str(file), "--out", str(out), *options]


def lines_of(file: Path) -> Sequence[Line]:
    """Read the journal of a study; before there is one, there is nothing in it."""
    return run_folder.read(file.parent / "out").lines


def history_of(file: Path) -> History:
    """Tell all that it says."""
    history = History()
    for line in lines_of(file):
        history.add(line)
    return history


def results_of(history: History) -> list[Attempt]:
    """List the attempts that brought a result, as they came in."""
    return [attempt for attempt in history.answers if attempt.metrics is not None]


def mpirun(ranks: int) -> list[str]:
    """Start so many ranks, by the mpirun of this Python."""
    open_mpi = ["--oversubscribe", "--allow-run-as-root", "--bind-to", "none"]
    is_open_mpi = shutil.which("ompi_info", path=str(BIN)) is not None
    return [str(BIN / "mpirun"), *(open_mpi if is_open_mpi else []), "-n", str(ranks)]


def run(words: Sequence[str], root: Path = ROOT) -> str:
    """Run a program of a tree, which must end well; return what it prints.

    It runs in the tree's folder: of where it runs, `python -m` imports first.
    """
    done = subprocess.run(
        words, env=environment(root), cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def environment(root: Path) -> dict[str, str]:
    """Have a program find the hpmpi of a tree; compiled, as it is where people install it."""
    return os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": ""}


class Program:
    """A program that runs meanwhile; closed, it is ended with all that it has started."""

    def __init__(self, words: Sequence[str], folder: Path, **variables: str) -> None:
        """Start it; what it prints is in the folder."""
        self._log = folder / "log"
        env = environment(ROOT) | variables
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(words, env=env, cwd=ROOT, stdout=log, stderr=log)

    def close(self) -> None:
        """End it."""
        left = self.processes()
        self._process.terminate()
        for each in psutil.wait_procs(left, END_S)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        self._process.wait()

    def wait_until(self, is_so: Callable[[], object]) -> None:
        """Wait until something is so, which has to come to be."""
        ends_at = time.monotonic() + START_S
        while not is_so():
            if self._process.poll() is not None or time.monotonic() > ends_at:
                sys.exit(f"what is waited for has not come:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.02)

    def wait(self) -> None:
        """Wait for its end, which must be a good one."""
        if self._process.wait():
            sys.exit(f"it ended with {self._process.returncode}:\n{self._log.read_text()[-2000:]}")

    def processes(self) -> list[psutil.Process]:
        """List its process and all below it."""
        try:
            root = psutil.Process(self._process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


# -- what is told ---------------------------------------------------------------------------------


def table(
    columns: Mapping[str, tuple[int, str]], rows: Mapping[str, Sequence[float]], first: int
) -> Iterator[str]:
    """Write a line a row; of each column, its width and format are given. NaN is nothing."""
    yield f"{'':{first}}" + "".join(f"{name:>{width}}" for name, (width, _) in columns.items())
    for name, row in rows.items():
        cells = zip(row, columns.values(), strict=True)
        words = ((width, "-" if math.isnan(it) else f"{it:{how}}") for it, (width, how) in cells)
        yield f"{name:{first}}" + "".join(f"{word:>{width}}" for width, word in words)


def spread(name: str, values: Sequence[float], digits: int, first: int) -> str:
    """Write the median, the least and the greatest."""
    middle = f"{statistics.median(values):8.{digits}f}"
    return f"{name:{first}}{middle}  ({min(values):.{digits}f} to {max(values):.{digits}f})"


def verdict(value: float, wanted: float, sign: int = MORE) -> str:
    """Say whether what is wanted, at least or at most, is reached."""
    reached = value >= wanted if sign == MORE else value <= wanted
    most = " at most" if sign == LESS else ""
    return f"{value:.2f}, wanted {wanted:g}{most}: {'reached' if reached else 'missed'}"


def write(file: Path | None, report: object) -> None:
    """Write what was measured, where that is asked for."""
    if file is not None:
        file.write_text(json.dumps(report, indent=1) + "\n")
