"""What sbatch is asked for, in its own words, checked before it sees it; and its answer."""

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from hpmpi.errors import SettingsError, SlurmError
from hpmpi.study.schema import fill_struct

Count = Annotated[int, msgspec.Meta(ge=1)]
NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]

OURS = {"array", "error", "open-mode", "output", "parsable", "test-only", "wait", "wrap"}
"""Options of sbatch that have another door here, or that would hide the answer or the log."""

VARIABLES = {"SBATCH_TIMELIMIT": "time", "SBATCH_ARRAY_INX": "array"}
"""Variables of sbatch that are not named like their options."""

KEY = re.compile(r"[a-z][a-z0-9-]*")
ID = re.compile(r"[0-9]+(_[0-9]+)?")
TIME = re.compile(r"(?=.*[1-9])([0-9]+-[0-9]+(:[0-9]+){0,2}|[0-9]+(:[0-9]+){0,2})")
TIMES = "minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS, and more than nothing"
RANGE = re.compile(r"([0-9]{1,7})(?:-([0-9]{1,7})(?::([1-9][0-9]{0,6}))?)?")

ANSWER = re.compile(r"^([0-9]+)(;.*)?$", re.MULTILINE)
"""How `sbatch --parsable` says the number of an allocation; a site's own sbatch may say more."""


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What an allocation is to be like; `time` in any of Slurm's forms, or in minutes.

    `after` is an allocation whose end is waited for, `setup` lines of shell that come first,
    `sbatch` options that have no name here.
    """

    job_name: NonEmpty | None = None
    nodes: Count
    ntasks_per_node: Count
    cpus_per_task: Count | None = None
    gpus_per_task: Count | NonEmpty | None = None
    gpus_per_node: Count | NonEmpty | None = None
    mem: NonEmpty | None = None
    time: Count | NonEmpty
    partition: NonEmpty | None = None
    account: NonEmpty | None = None
    qos: NonEmpty | None = None
    constraint: NonEmpty | None = None
    array: NonEmpty | None = None
    after: Count | NonEmpty | None = None
    setup: list[str] = []
    sbatch: list[str] = []


def check(table: dict[str, Any]) -> Needs:
    """Make needs of what was asked for; raises SettingsError with every mistake."""
    problems: list[str] = []
    needs = fill_struct(Needs, table, "submit", problems)
    if needs is not None:
        problems += mistakes(needs)
    if needs is None or problems:
        raise SettingsError(problems)
    return needs


def seconds_of(time: str) -> float:
    """Read one of Slurm's forms of a time, in seconds.

    >>> seconds_of("90"), seconds_of("1:30"), seconds_of("2:00:00"), seconds_of("1-2:30")
    (5400.0, 90.0, 7200.0, 95400.0)
    """
    days, _, rest = time.rpartition("-")
    parts = list(map(int, rest.split(":")))
    units = (3600.0, 60.0, 1.0)[0 if days or len(parts) > 2 else 1 :]  # noqa: PLR2004 - of minutes
    return int(days or 0) * 86400.0 + sum(
        part * unit for part, unit in zip(parts, units, strict=False)
    )


def mistakes(needs: Needs) -> list[str]:
    """Say what Slurm would take for something else."""
    problems = []
    for name, value in msgspec.structs.asdict(needs).items():
        lines = map(str, value if isinstance(value, list) else [value])
        problems += [f"{name} = {line!r} is no line" for line in lines if not line.isprintable()]
    if not TIME.fullmatch(str(needs.time)):
        problems.append(f"time = {needs.time!r} must be {TIMES}")
    try:
        numbers(needs.array or "0")
    except ValueError as error:
        problems.append(str(error))
    if needs.after is not None and not ID.fullmatch(str(needs.after)):
        problems.append(f"after = {needs.after!r} must be the id of a job of Slurm's")
    for option in needs.sbatch:
        key = option.partition("=")[0]
        if key in OURS or not KEY.fullmatch(key):
            problems.append(
                f"sbatch = {option!r} must be KEY=VALUE, an option's long name without dashes, and "
                f"none of: {', '.join(sorted(OURS))}"
            )
    return problems


def options(needs: Needs) -> dict[str, str]:
    """Name the options of sbatch by which it is asked for that; "" of one that has no value."""
    asked = msgspec.structs.asdict(needs)
    others = dict(option.partition("=")[::2] for option in needs.sbatch)
    after = asked.pop("after")
    asked["dependency"] = None if after is None else f"afterany:{after}"
    del asked["setup"], asked["sbatch"]
    named = {name.replace("_", "-"): value for name, value in asked.items()}
    return {name: str(value) for name, value in named.items() if value is not None} | others


def contradicting(options: Iterable[str], environment: Iterable[str]) -> list[str]:
    """List the variables by which sbatch would take other options than those of a script."""
    said = {option_of(option) for option in (*options, *OURS)}
    return [
        name
        for name in sorted(environment)
        if name.startswith("SBATCH_") and option_of(name) in said
    ]


def option_of(name: str) -> str:
    """Name what an option of sbatch's, or a variable of its environment, is about.

    >>> [option_of(name) for name in ("SBATCH_NO_REQUEUE", "SBATCH_TIMELIMIT", "mem-per-cpu")]
    ['requeue', 'time', 'mem']
    """
    named = VARIABLES.get(name, name.removeprefix("SBATCH_").lower().replace("_", "-"))
    return named.removeprefix("no-").partition("-per-" if named.startswith("mem") else "\0")[0]


def sbatch(script: Path, environment: Mapping[str, str]) -> str:
    """Have Slurm take a script, and return the number that it is given; raises HpmpiError."""
    done = subprocess.run(
        ["sbatch", "--parsable", str(script)],  # noqa: S607 - Slurm's programs are found on PATH
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SettingsError([f"Slurm refuses it: {done.stderr.strip() or done.stdout.strip()}"])
    if (answer := ANSWER.search(done.stdout)) is None:
        raise SlurmError(f"sbatch has told no number: {done.stdout.strip()}")
    return answer[1]


def numbers(text: str) -> list[int]:
    """List the tasks of an array, which Slurm writes as `0-3`, `1,5`, `0-9:3`, all with `%2` or so.

    Raises ValueError.

    >>> numbers("0-3%2"), numbers("1,5"), numbers("7,0-9:3")
    ([0, 1, 2, 3], [1, 5], [0, 3, 6, 7, 9])
    """
    tasks, percent, most = text.partition("%")
    parts = [RANGE.fullmatch(part) for part in tasks.split(",")]
    found = set()
    for part in parts:
        if part is not None:
            first, last, step = part.groups()
            found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    if None in parts or not found or (percent and not re.fullmatch("[1-9][0-9]*", most)):
        raise ValueError(f"array = {text!r} must be numbers and ranges, as in 0-3, 1,5 or 0-9%2")
    return sorted(found)
