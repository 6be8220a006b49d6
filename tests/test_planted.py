"""Mistakes planted into a copy of the package: each is found by a test.

python -m tests.test_planted       says which test finds which, and how long it takes
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PYTEST = ["pytest", "-x", "-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]


class Check(NamedTuple):
    """What is run to find mistakes in some modules; the first of its commands that fails has."""

    modules: set[str]
    commands: list[list[str]]


def of(*names: str) -> list[str]:
    """Run some files of tests."""
    files = [next((ROOT / "tests").rglob(f"test_{name}.py")).relative_to(ROOT) for name in names]
    return [*PYTEST, *map(str, files)]


def simulated(*worlds: str, seeds: int) -> list[str]:
    """Simulate some worlds."""
    chosen = [word for world in worlds for word in ("--world", world)]
    return ["tests.harness.simulate", *chosen, "--seeds", str(seeds)]


CHECKS = [
    Check(  # the decisions: told as plays, as laws, and simulated
        {
            "master.schedulers.asha",
            "master.blame",
            "master.schedulers.full",
            "master.jobs",
            "history.leaderboard",
            "master.master",
            "master.time_left",
            "master.searchers.random",
            "master.roster",
        }
        | {"master.rules", "master.seeds", "master.shield", "model.trial", "master.schedulers"},
        [
            simulated("everything", "queue", seeds=40),
            of("traces", "master", "roster", "leaderboard"),
            of("trial", "asha", "time_left"),
            simulated("killer", "other CPU", seeds=20),
            of("searchers"),
            of("schedulers"),
        ],
    ),
    Check(
        {"study.changes", "model.dimensions", "master.searchers", "model.values"},
        [of("space", "changes", "searchers")],
    ),
    Check(  # what is between the user's code and the master
        {
            "worker.error_text",
            "worker.handle",
            "model.messages",
            "worker.metrics",
            "worker.runner",
        },
        [of("error_text", "metrics", "objective", "runner")],
    ),
    Check({"worker.lifecycle"}, [of("lifecycle")]),
    Check({"study.checks", "study.methods", "study.references"}, [of("references", "settings")]),
    Check({"data.columns", "data.dialect", "data.reading"}, [of("reading")]),
    Check({"data.mapped", "worker.shared_data"}, [of("shared_data")]),
    Check(  # what is written
        {
            "worker.checkpoints",
            "storage.files",
            "storage.journal",
            "storage.lock",
            "leader.event_log",
            "storage.results_file",
            "storage.run_folder",
            "storage.repair",
            "history.tables",
        },
        [of("tables", "event_log", "durability", "repair")],
    ),
    Check(  # what of Slurm's is ours
        {"slurm.allocation", "slurm.squeue", "slurm.step", "launch.placement"},
        [of("allocation", "step", "placement")],
    ),
    Check(  # what launch goes by
        {"launch.judgement", "launch.starts", "model.timers", "storage.heartbeat_file"},
        [of("judgement", "starts", "timers", "heartbeat_file")],
    ),
    Check(  # what is submitted, and how it is followed
        {"launch.batch", "launch.submission", "slurm.sbatch"},
        [of("submission")],
    ),
]


class Mistake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a module, as it is and as it should not be."""

    module: str
    why: str
    old: str
    new: str

    @property
    def file(self) -> str:
        """Where the line is."""
        path = Path("hpmpi", *self.module.split("."))
        return str(path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py"))


def mistakes() -> list[Mistake]:
    """Read the list."""
    table = tomllib.loads(Path(__file__).with_name("planted.toml").read_text())
    return [Mistake(module, **fields) for module, several in table.items() for fields in several]


def copy(target: Path) -> None:
    """Copy what the checks need."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("hpmpi", "tests", "spaces", "slurm"):
        shutil.copytree(ROOT / name, target / name, ignore=ignore)
    shutil.copyfile(ROOT / "pyproject.toml", target / "pyproject.toml")


def plant(mistake: Mistake, target: Path) -> None:
    """Make the mistake."""
    file = target / mistake.file
    text = file.read_text()
    assert text.count(mistake.old) == 1, f"{mistake.file} has no such line: {mistake.old}"
    file.write_text(text.replace(mistake.old, mistake.new))


def commands_for(mistake: Mistake) -> list[list[str]]:
    """Tell what is to find a mistake."""
    return next(check.commands for check in CHECKS if mistake.module in check.modules)


def finder(target: Path, commands: list[list[str]]) -> str | None:
    """Run commands; return what the first that fails said, or None if all is well."""
    for words in commands:
        command = [sys.executable, "-B", "-m", *words]
        done = subprocess.run(
            command, cwd=target, capture_output=True, text=True, timeout=240, check=False
        )
        if done.returncode:
            return done.stdout + done.stderr
    return None


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the package once for all mistakes."""
    target = tmp_path_factory.mktemp("planted")
    copy(target)
    return target


def test_the_checks_find_nothing_where_nothing_is_planted(package: Path) -> None:
    assert finder(package, [words for check in CHECKS for words in check.commands]) is None


@pytest.mark.parametrize("mistake", mistakes(), ids=lambda it: f"{it.module}: {it.why}")
def test_a_planted_mistake_is_found(mistake: Mistake, package: Path) -> None:
    plant(mistake, package)
    try:
        assert finder(package, commands_for(mistake)) is not None
    finally:
        shutil.copyfile(ROOT / mistake.file, package / mistake.file)


def main() -> None:
    """Say what finds each mistake."""
    target = Path(sys.argv[1])
    copy(target)
    for mistake in mistakes():
        plant(mistake, target)
        began = time.monotonic()
        said = (finder(target, commands_for(mistake)) or "NOT FOUND").strip().splitlines()
        last = next((line for line in said if line.startswith(("FAILED", "E  "))), said[-1])
        took_s = time.monotonic() - began
        sys.stdout.write(f"{took_s:4.1f} s  {mistake.module}: {mistake.why}\n        {last}\n")
        sys.stdout.flush()
        shutil.copyfile(ROOT / mistake.file, target / mistake.file)


if __name__ == "__main__":
    main()
