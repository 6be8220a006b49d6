"""The words of a command: what they are filled with, what is left out, and what is wrong."""

from pathlib import Path

import msgspec
import pytest

from hpmpi.study import checks
from hpmpi.study.command import (
    ProgramArgs,
    filled,
    located,
    problems,
    problems_of_args,
    text_of,
    variable,
)
from hpmpi.study.settings import parse
from tests.study.test_settings import problems as mistakes_of
from tests.study.test_settings import write

VALUES = {"lr": "0.1", "x": "-3", "folder": "/f"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["fit", "--lr", "{lr}", "a{lr}b{x}"], ["fit", "--lr", "0.1", "a0.1b-3"]),
        (["fit", "--m", "{m}", "end"], ["fit", "end"]),
        (["fit", "--m={m}", "--lr", "{lr}"], ["fit", "--lr", "0.1"]),
        (["fit", "--quick", "--m={m}"], ["fit", "--quick"]),
        (["fit", "in", "{m}"], ["fit", "in"]),
        (["fit", "--a=1", "{m}"], ["fit", "--a=1"]),
        (["fit", "{x}", "{m}"], ["fit", "-3"]),
        (["fit", "-D{lr}", "{m}"], ["fit", "-D0.1"]),
        (["fit", "--m", "{m}", "{m}"], ["fit"]),
        (["fit", "--keep", "--m", "{m}", "{m}"], ["fit", "--keep"]),
        (["fit", "{{}}", "{{{lr}}}", "$HOME; *"], ["fit", "{}", "{0.1}", "$HOME; *"]),
    ],
)
def test_what_has_no_value_is_left_out_with_its_flag(words: list[str], expected: list[str]) -> None:
    assert filled(words, VALUES) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("a b", "a b"), (1e-3, "0.001"), (True, "true"), ([64, 64], "[64,64]")]
)
def test_a_text_is_written_as_it_is_and_all_else_as_in_json(value: object, expected: str) -> None:
    assert text_of(value) == expected


SCRIPTS = {
    "plain": "echo 1\n",
    "windows": "#!/bin/sh\r\necho 1\r\n",
    "strange": "#!/no/such/shell -e\necho 1\n",
    "good": "#! /bin/sh -e\necho 1\n",
    "binary": "\x7fELF\0",
}


@pytest.mark.parametrize("name", ["good", "binary"])
def test_what_the_kernel_can_run_is_a_program(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(SCRIPTS[name])
    (tmp_path / name).chmod(0o755)
    assert located(f"./{name}", tmp_path) == str(tmp_path / name)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["true", "{lrr}"], "command[1] = '{lrr}': {lrr} is no placeholder; did you mean {lr}?"),
        (["true", '{"a": 1}'], "{{ and }} stand for braces that are meant"),
        (["true", "{"], "a brace stands alone; write {{ for one that is meant"),
        (["true", "{lr"], "a brace stands alone"),
        (["true", "a\0b"], "no word of a command can have a NUL in it"),
        (["{lr}"], "command[0] = '{lr}' must be a program, and has no placeholders"),
        ([], "command[0] = '' must be a program"),
        (["./nothing"], "there is no file"),
        (["no-such-program"], "there is no program 'no-such-program' in PATH"),
        (["./data"], "can't be run: chmod +x it"),
        (["./"], "there is no file"),
        (["./fit {lr}"], 'each word is an element: ["./fit", "{lr}"]'),
        (["./plain"], "it is a text without #!; name what runs it before it"),
        (["./windows"], "its lines end as on Windows (CRLF)"),
        (["./strange"], "it is to be run by '/no/such/shell', which is not there"),
        (["no\0thing"], "command[0] = 'no\\x00thing'"),
    ],
)
def test_what_is_wrong_with_words_is_said(tmp_path: Path, words: list[str], expected: str) -> None:
    (tmp_path / "data").touch()
    for name, text in SCRIPTS.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    found = list(problems(words, [], ["lr"], tmp_path))
    assert [each for each in found if expected in each], found


def test_resume_is_checked_as_command_is() -> None:
    assert list(problems(["true"], ["{previous}/state"], ["lr"], Path())) == []
    assert "resume[0] = '{previus}'" in next(problems(["true"], ["{previus}"], ["lr"], Path()))


@pytest.mark.parametrize(
    "names", [["lr", "LR"], ["a.b", "a_b"], ["seed"], ["Stop"], ["allocation"]]
)
def test_no_two_values_have_one_variable(names: list[str]) -> None:
    found = list(problems(["true"], [], names, Path()))
    assert len(found) == 1
    assert f"to a program it would be {variable(names[-1]).decode()}" in found[0]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"pattern": "loss=("}, "is no regular expression"),
        ({"pattern": "loss"}, "must have a group"),
        ({"pattern": "(?P<a>.)(.)"}, "must have a group"),
        ({"pattern": "(?P<lss>.)"}, "groups for lss, and none for the studied metric, loss"),
        ({"metrics": "/etc/passwd"}, "must be a file's name in {folder}"),
        ({"saved": "../up"}, "must be a file's name in {folder}"),
        ({"saved": "saved"}, "is in {folder}, which `command` must name"),
    ],
)
def test_what_is_wrong_with_its_arguments_is_said(args: dict[str, str], expected: str) -> None:
    found = list(problems_of_args(msgspec.convert(args, ProgramArgs), ["true"], ["loss"]))
    assert len(found) == 1
    assert expected in found[0]
    right = ProgramArgs(pattern="(.)", metrics="m/a.json", saved="saved")
    assert list(problems_of_args(right, ["{folder}/it"], ["loss"])) == []


def test_a_program_with_a_slash_lies_beside_the_study_and_any_other_in_path(tmp_path: Path) -> None:
    (tmp_path / "fit").write_text("#!/bin/sh\n")
    (tmp_path / "fit").chmod(0o755)
    assert located("./fit", tmp_path) == str(tmp_path / "fit")
    assert Path(located("sh", tmp_path)).is_absolute()


HEAD = """
metric = "loss"
command = ["true", "{x}"]
[space]
x = { type = "float", low = 0.0, high = 1.0 }
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD.replace("command =", "resume ="), "resume is added to a command, and there is none"),
        (HEAD + '[objective_args]\nlr = "a"', "objective_args.lr is not a setting; "),
        (HEAD + '[objective_args]\nsignal = "KILL"', "there is: 'TERM', 'INT'"),
        (HEAD + '[run]\nisolation = "none"', 'run.isolation = "none" is for functions'),
        (HEAD.replace('["true", "{x}"]', '"true {x}"'), "command = 'true {x}' is not valid"),
        (HEAD.replace('"{x}"', "3"), "command = ['true', 3] is not valid: expected text"),
    ],
)
def test_a_study_with_a_command_is_checked_whole(tmp_path: Path, text: str, expected: str) -> None:
    found = mistakes_of(tmp_path, text)
    assert [each for each in found if expected in each], found


def test_a_study_with_a_command_needs_no_objective(tmp_path: Path) -> None:
    study = checks.read(write(tmp_path, HEAD), [])
    assert (study.objective, study.command, study.resume) == (None, ["true", "{x}"], [])
    assert parse(study.toml()) == study
