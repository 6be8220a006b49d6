"""A stranger's first hour: a study that runs as it was written, help, words that are completed."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hpmpi.cli import first_study
from hpmpi.cli.commands import COMMANDS
from hpmpi.cli.parser import parsed
from hpmpi.study import checks
from tests.harness.runs import finish, start

SMALL = [
    *("--set", "stop.max_trials=3", "--set", "scheduler.min_resource=1"),
    *("--set", "scheduler.max_resource=3"),
]


def hpmpi(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder."""
    return finish(start([sys.executable, "-m", "hpmpi", *words], folder))


@pytest.mark.parametrize("kind", first_study.KINDS)
def test_what_init_writes_runs_as_it_is(tmp_path: Path, kind: str) -> None:
    if kind == "torch" and importlib.util.find_spec("torch") is None:
        pytest.skip("no PyTorch here")
    written = hpmpi(tmp_path, "init", f"--{kind}", "mine")
    assert (written.returncode, written.stderr) == (0, "")
    assert f"hpmpi try {Path('mine/study.toml')}" in written.stdout
    name = checks.read(tmp_path / "mine" / "study.toml", []).name
    run = hpmpi(tmp_path, "run", "mine/study.toml", "--workers", "1", *SMALL)
    assert run.returncode == 0, run.stderr
    assert f"{name}: complete; 3 trials" in run.stdout
    assert "failure" not in run.stdout
    assert (tmp_path / "results" / name).is_dir(), "where its comment says"


def test_init_overwrites_nothing_and_then_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("mine")
    said = hpmpi(tmp_path, "init")
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("hpmpi: train.py is there, and nothing was written")
    assert [it.name for it in tmp_path.iterdir()] == ["train.py"]
    assert (tmp_path / "train.py").read_text() == "mine"


def test_each_study_to_begin_with_says_what_it_is_in_lines_of_100() -> None:
    for kind in first_study.KINDS:
        text = (first_study.spaces() / "first" / kind / "study.toml").read_text()
        assert text.startswith("# What is tuned, over what, how, and until when")
        assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example_that_may_be_said(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed([name, "--help"])
    told = capsys.readouterr().out
    for example in COMMANDS[name].examples:
        assert f"\n    {example}\n" in told
        for words in re.findall(r"hpmpi (\S[^;>)#]*)", example):
            assert parsed(words.split()).command == name


@pytest.mark.parametrize("words", [["help"], ["help", "export"], ["export", "--help"]])
def test_help_is_a_command_and_an_option(tmp_path: Path, words: list[str]) -> None:
    said = hpmpi(tmp_path, *words)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("usage: hpmpi")


def test_bash_completes_commands_options_and_choices(tmp_path: Path) -> None:
    (tmp_path / "complete").write_text(hpmpi(tmp_path, "completion", "bash").stdout)
    script = """
    . ./complete
    for line in "hpmpi expo" "hpmpi export d --form" "hpmpi export d --format par"; do
        COMP_WORDS=($line) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
        _shtab_hpmpi; echo "${COMPREPLY[@]}"
    done
    """
    said = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert [line.strip() for line in said.stdout.splitlines()] == ["export", "--format", "parquet"]
