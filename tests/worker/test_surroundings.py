"""What lies beside a study, and where output goes: neither is ours to choose, nor breaks a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.runs import LIMIT_S, ROOT

STUDY = """
name = "größe"
objective = "{objective}"
[space]
x = {{ type = "float", low = 0.0, high = 1.0 }}
[stop]
max_trials = 2
"""

NEEDED = (
    *("logging", "random", "select", "queue", "signal", "platform", "token", "profile", "typing"),
    *("numpy", "h5py", "msgspec", "mpi4py", "tempfile", "shutil", "json", "inspect"),
)
"""What Python or hpmpi needs, and a project may have files of the same name for."""

OBJECTIVE = """
import logging, random, tempfile
from data import X
from settings import Y
import trial as mine

def train(config):
    print("größe")
    assert logging.getLogger and random.random and tempfile.mkdtemp
    return X + Y + mine.Z + config["x"]
"""


def project(folder: Path, objective: str = "train.py:train") -> Path:
    """Write a study, an objective, and modules for it; return the folder."""
    (folder / "study.toml").write_text(STUDY.format(objective=objective), encoding="utf-8")
    (folder / "train.py").write_text(OBJECTIVE, encoding="utf-8")
    for name, value in (("data", "X = 1"), ("settings", "Y = 2"), ("trial", "Z = 3")):
        (folder / f"{name}.py").write_text(value)
    return folder


def hpmpi(
    folder: Path, *words: str, shell: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of ours in a folder, with what a shell does to its streams."""
    command = f'exec "$0" -m hpmpi "$@" {shell}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LIMIT_S,
        check=False,
    )


@pytest.mark.parametrize("objective", ["train.py:train", "train:train"])
def test_files_beside_a_study_are_for_its_objective_only(tmp_path: Path, objective: str) -> None:
    project(tmp_path, objective)
    for name in NEEDED:
        (tmp_path / f"{name}.py").write_text("X = 1")
    done = hpmpi(tmp_path, "run", "study.toml", "--workers", "1", "--out", "out")
    assert (done.returncode, "can't be written" in done.stderr) == (0, False), done.stderr
    assert (tmp_path / "out" / "run.h5").exists()


def test_a_package_in_the_current_folder_is_found_for_a_study_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "mine").mkdir()
    project(tmp_path / "studies", "mine.train:train")
    (tmp_path / "mine" / "train.py").write_text("def train(config): return config['x']")
    done = hpmpi(tmp_path, "run", "studies/study.toml", "--workers", "1", "--out", "out")
    assert done.returncode == 0, done.stderr


def test_an_objective_in_a_file_named_as_a_module_of_python_hides_none(tmp_path: Path) -> None:
    project(tmp_path, "random.py:train").joinpath("train.py").rename(tmp_path / "random.py")
    done = hpmpi(tmp_path, "run", "study.toml", "--workers", "1", "--out", "out")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("shell", "env"),
    [
        (">&-", {}),
        ("2>&-", {}),
        ("<&- >&- 2>&-", {}),
        ("", {"PYTHONIOENCODING": "ascii"}),
        ("", {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    ],
)
def test_a_run_may_have_nowhere_to_say_it_or_few_letters(
    tmp_path: Path, shell: str, env: dict[str, str]
) -> None:
    project(tmp_path)
    words = ("run", "study.toml", "--workers", "1", "--out", "out")
    for command, code in ((words, 0), (("show", "out"), 0), (("replay", "out"), 0), (("-x",), 2)):
        done = hpmpi(tmp_path, *command, shell=shell, **env)
        assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (code, False), done
