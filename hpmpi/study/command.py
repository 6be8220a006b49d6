"""The program that a study may have in place of a function: its words, and what they stand for.

    command = ["./fit", "--lr", "{lr}", "--epochs", "{stop}", "--out", "{folder}"]
    resume = ["--resume", "{previous}/state"]    added where the trial has a checkpoint

No shell reads them: each word is an argument, whatever is in it. `{{` and `}}` are braces. Rules:

- A value that is a text is written as it is, any other as in JSON: 0.001, true, [64, 64].
- A word is left out where a placeholder in it has no value: a hyperparameter that is inactive or
  None, `previous` without a checkpoint, `gpus` without any.
- With it goes the flag before it, which is a word that begins with `-` and has neither `=` nor a
  placeholder; but no word that begins with `-` takes another along: `--momentum={momentum}`.
- A program with a slash in its name is looked up from the study file, any other in PATH.
"""

import difflib
import functools
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from hpmpi.errors import ObjectiveError

OURS = ("start", "stop", "previous", "folder", "config", "trial", "seed", "gpus", "origin")
"""The placeholders beside hyperparameters: as a trial has them, `gpus` as CUDA_VISIBLE_DEVICES has
them, `config`, a JSON file of the configuration in `folder`, and `origin`, the study's folder."""

TAKEN = (b"HPMPI_ALLOCATION", b"HPMPI_GUARD", b"HPMPI_HELD", b"HPMPI_LOCAL", b"HPMPI_SET")
"""What has a meaning in an environment already."""

LONGEST_FIRST_LINE = 256
"""How much of a script the kernel reads to find what runs it."""

BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")

PROGRAM = "hpmpi.worker.program:Program"
"""The objective of a study that has a command."""


class ProgramArgs(msgspec.Struct, frozen=True):
    """`[objective_args]` of a program: how it says what it has come to, and is told to save.

    `step`: what the resource is called in a line of its learning curve; `pattern`: a regular
    expression, for lines that are no JSON; `metrics`: a file in `{folder}` that has the result;
    `saved`: one that it touches whenever `{folder}` is worth keeping; `signal`: what asks it to.
    """

    step: str = "epoch"
    pattern: str | None = None
    metrics: str | None = None
    saved: str | None = None
    signal: Literal["TERM", "INT", "HUP", "QUIT", "ALRM", "USR1", "USR2", "XCPU"] | None = None


# -- what a job makes of it ------------------------------------------------------------------------


def filled(words: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Fill in what there is, and leave out what has no value.

    >>> filled(["fit", "--lr={lr}", "--momentum", "{momentum}", "{{}}"], {"lr": "0.1"})
    ['fit', '--lr=0.1', '{}']
    """
    line: list[str] = []
    follows_flag = False
    for word in words:
        if values.keys() >= names_in(word):
            line.append(BRACES.sub(lambda found: value_of(found, values), word))
            follows_flag = is_flag(word)
            continue
        if follows_flag and not word.startswith("-"):
            del line[-1]
        follows_flag = False
    return line


def value_of(found: re.Match[str], values: Mapping[str, str]) -> str:
    """Say what stands for a placeholder, or for two braces."""
    return found[0][0] if found[1] is None else values[found[1]]


def names_in(word: str) -> set[str]:
    """Find the placeholders of a word."""
    return {found[1] for found in BRACES.finditer(word) if found[1] is not None}


def is_flag(word: str) -> bool:
    """Tell whether a word may be there for the next one's sake."""
    return word.startswith("-") and "=" not in word and not names_in(word)


def text_of(value: object) -> str:
    """Write a value for a program."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


@functools.cache
def variable(name: str) -> bytes:
    """Name what a program finds a value by, in its environment.

    >>> variable("model.dropout")
    b'HPMPI_MODEL_DROPOUT'
    """
    return b"HPMPI_" + re.sub(r"\W", "_", name, flags=re.ASCII).upper().encode()


def located(program: str, origin: Path) -> str:
    """Find a program; raises ObjectiveError where there is none that can be run."""
    path = str(origin / program) if "/" in program else shutil.which(program)
    if path is None:
        beside = f" (write './{program}' for the one there)" if (origin / program).exists() else ""
        raise ObjectiveError(f"there is no program {program!r} in PATH{beside}")
    if not Path(path).is_file():
        raise ObjectiveError(f"there is no file {path}")
    if not os.access(path, os.X_OK):
        raise ObjectiveError(f"{path} can't be run: chmod +x it, or name what runs it before it")
    if why := not_started(Path(path)):
        raise ObjectiveError(f"{path} can't be run: {why}")
    return os.path.abspath(path)  # noqa: PTH100 - a link is run by its own name


def not_started(program: Path) -> str:
    """Say why the kernel would not know how to run a script; nothing where it would, or may."""
    try:
        with program.open("rb") as file:
            start = file.read(LONGEST_FIRST_LINE)
    except OSError:  # who may run it need not be able to read it
        return ""
    if b"\0" in start:  # it is no text
        return ""
    if not start.startswith(b"#!"):
        return 'it is a text without #!; name what runs it before it: ["bash", ...]'
    line = start.partition(b"\n")[0]
    if line.endswith(b"\r"):
        return "its lines end as on Windows (CRLF), and so does the name of what is to run it"
    interpreter = line[2:].split(maxsplit=1)[0].decode(errors="replace") if line[2:].strip() else ""
    found = Path(interpreter).is_file()
    return "" if found else f"it is to be run by {interpreter!r}, which is not there"


# -- what is wrong with it -------------------------------------------------------------------------


def problems(
    command: Sequence[str], resume: Sequence[str], names: Collection[str], origin: Path | None
) -> Iterator[str]:
    """Say what is wrong with the words of a study whose hyperparameters have these names."""
    program = command[0] if command else ""
    if names_in(program) or not program:
        apart = ", ".join(f'"{word}"' for word in program.split())
        each = f"; each word is an element: [{apart}]" if len(program.split()) > 1 else ""
        yield f"command[0] = {program!r} must be a program, and has no placeholders{each}"
    elif origin is not None:
        try:
            located(program, origin)
        except (ObjectiveError, ValueError, OSError) as error:
            yield f"command[0] = {program!r}: {error}"
    for title, words in (("command", command), ("resume", resume)):
        for number, word in enumerate(words):
            for mistake in mistakes(word, [*names, *OURS]):
                yield f"{title}[{number}] = {word!r}: {mistake}"
    called = dict.fromkeys(TAKEN, "what is hpmpi's own") | {variable(name): name for name in OURS}
    for name in names:
        if (known := variable(name)) in called:
            it_would_be = f"to a program it would be {known.decode()}, as {called[known]}"
            yield f"space.{name}: {it_would_be}: give it another name"
        called[known] = name


def mistakes(word: str, valid: Sequence[str]) -> Iterator[str]:
    """Say which braces of a word are no placeholders, and what no program can be given."""
    if "\0" in word:
        yield "no word of a command can have a NUL in it"
    for found in BRACES.finditer(word):
        name = found[1]
        if name is None and len(found[0]) == 1:
            yield f"a brace stands alone; write {2 * found[0]} for one that is meant"
        elif name is not None and name not in valid:
            close = difflib.get_close_matches(name, valid, n=1)
            hint = f"did you mean {{{close[0]}}}? " if close else ""
            braces = "" if name.isidentifier() else "; {{ and }} stand for braces that are meant"
            yield f"{{{name}}} is no placeholder; {hint}there is: {', '.join(valid)}{braces}"


def problems_of_args(
    args: ProgramArgs, words: Sequence[str], studied: Sequence[str]
) -> Iterator[str]:
    """Say what is wrong with `[objective_args]`, beside their types, where these are `studied`."""
    for key, name in (("metrics", args.metrics), ("saved", args.saved)):
        path = PurePosixPath(name or "it")
        if path.is_absolute() or ".." in path.parts or not path.name:
            yield f"objective_args.{key} = {name!r} must be a file's name in {{folder}}"
        elif name is not None and not any("folder" in names_in(word) for word in words):
            yield f"objective_args.{key} = {name!r} is in {{folder}}, which `command` must name"
    if args.pattern is not None:
        try:
            groups = re.compile(args.pattern)
        except re.error as error:
            yield f"objective_args.pattern = {args.pattern!r} is no regular expression: {error}"
            return
        if groups.groups != (len(groups.groupindex) or 1):
            yield (
                f"objective_args.pattern = {args.pattern!r} must have a group, the studied metric, "
                "or groups with the names of metrics, as (?P<loss>[^ ]+); others are (?:...)"
            )
        elif args.metrics is None and groups.groupindex:
            named = ", ".join(groups.groupindex)
            yield from (
                f"objective_args.pattern = {args.pattern!r} has groups for {named}, and "
                f"none for the studied metric, {name}: (?P<{name}>...)"
                for name in studied
                if name not in groups.groupindex
            )
