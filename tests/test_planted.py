"""Mistakes planted into a copy of the package: each is found by a test.

HPMPI_PLANTED=all pytest tests/test_planted.py    plants all of them, which takes half an hour
python -m tests.test_planted DIR                  says what finds which, and how long it takes

Otherwise a part of them is planted, another each day: all in PARTS days.
"""

import datetime as dt
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

PARTS = 60

ROOT = Path(__file__).parents[1]
PYTEST = ["pytest", "-x", "-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]
PYTEST += ["--basetemp=temporary"]  # all others sweep a common one, and stumble over each other


SOUND: list[list[str]] = []
"""The commands that find nothing where nothing is planted, as far as that is known."""


class Check(NamedTuple):
    """What is run to find mistakes in some modules; the first of its commands that fails has."""

    modules: set[str]
    commands: list[list[str]]


def of(*names: str) -> list[str]:
    """Run some files of tests."""
    found = (sorted((ROOT / "tests").rglob(f"test_{name}.py")) for name in names)
    files = [
        next(it for it in each if it.parent.name != "docs").relative_to(ROOT) for each in found
    ]
    return [*PYTEST, *map(str, files)]


def simulated(*worlds: str, seeds: int) -> list[str]:
    """Simulate some worlds."""
    chosen = [word for world in worlds for word in ("--world", world)]
    return ["tests.harness.simulate", *chosen, "--seeds", str(seeds)]


CHECKS = [
    Check(  # the decisions: told as plays, as laws, and simulated
        {
            "master.schedulers.asha",
            "master.retries",
            "master.schedulers.full",
            "master.jobs",
            "master.incumbent",
            "master.reaction",
            "master.remaining",
            "master.restart",
            "master.suggestions",
            "master.master",
            "master.time_left",
            "master.searchers.random",
            "master.quarantine",
            "master.roster",
            "master.drain",
        }
        | {"master.rules", "master.seeds", "master.shield", "model.trial", "master.schedulers"},
        [
            simulated("everything", "queue", "queues", seeds=40),
            of("traces", "master", "roster", "queues"),
            of("quarantine"),
            of("trial", "asha", "time_left"),
            simulated("killer", "other CPU", "stopping", "later", seeds=20),
            of("searchers"),
            of("asha_delay", "median"),
            of("schedulers"),
            of("stopping", "learning"),
            of("ranking"),
        ],
    ),
    Check({"model.fronts", "master.ranking"}, [of("fronts", "ranking"), of("sha", "top")]),
    Check(  # other people's searchers
        {"master.adapters", "master.adapters.optuna", "master.adapters.gest"}, [of("adapters")]
    ),
    Check({"leader.prefetch"}, [of("prefetch")]),
    Check(
        {"master.slots", "master.dispatcher"},
        [of("groups"), of("queues"), simulated("queues", "calm queues", seeds=40)],
    ),
    Check({"worker.pmi", "worker.group"}, [of("group")]),
    Check({"views.optuna_journal"}, [of("export")]),
    Check({"doctor.ranks"}, [[*of("doctor"), "-k", "nobody or login"]]),
    Check({"views.run_view"}, [[*of("show"), "-k", "choice"]]),  # what the best is judged by
    Check({"trainables.splits"}, [[*of("trainables"), "-k", "in_no_split"]]),
    Check(  # what gp suggests, and what its model sees
        {"master.proposals", "master.surrogate.outlook"},
        [[*of("gp"), "-k", "prior or again or given_once"]],
    ),
    Check({"master.surrogate.beliefs", "master.surrogate.features"}, [of("surrogate")]),
    Check(
        {"search_cv.spaces", "search_cv.tables", "search_cv.outcomes", "search_cv.digests"},
        [of("search_space", "search_tables", "outcomes"), of("parcel")],
    ),
    Check({"master.tally"}, [of("stopping"), simulated("everything", "stopping", seeds=40)]),
    Check(  # what a run says by itself, and what is learnt from others
        {"history.agreement", "history.advice", "history.earlier"},
        [of("agreement", "advice", "earlier")],
    ),
    Check({"history.series"}, [[*of("plot"), "-k", "decades or room"]]),
    Check(  # how else trials are compared: as their papers have it, and as laws over whole runs
        {f"master.schedulers.{name}" for name in ("hyperband", "median", "pasha", "sha", "top")},
        [of("hyperband", "median", "pasha", "sha", "top"), of("scheduled_runs"), of("schedulers")],
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
            "worker.attempts",
        },
        [of("error_text", "metrics", "objective", "attempts")],
    ),
    Check({"study.command", "worker.printed"}, [of("command", "printed")]),
    Check(  # what a journal says
        {f"history.{name}" for name in ("attempts", "bounds", "history", "paid", "ranks", "rungs")}
        | {"history.standings", "history.hypervolume"},
        [of("paid", "standings", "ranks", "nonsense", "tables", "hypervolume"), of("show")],
    ),
    Check({"leader.kept_ranks"}, [of("kept_ranks")]),
    Check({"worker.lifecycle"}, [of("lifecycle")]),
    Check(  # what is looked at before a study is run
        {"master.forecast", "leader.findings"}, [of("forecast", "findings")]
    ),
    Check(  # what several ranks train together
        {f"trainables.{name}" for name in ("data_parallel", "federated", "joint", "networks")},
        [[*of("joint"), "-m", "not mpi"]],
    ),
    Check({"storage.logs", "worker.log_file"}, [of("logs", "log_file")]),
    Check({"worker.calling"}, [of("objective")]),
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
            "history.attempts",
            "history.tables",
        },
        [of("tables", "event_log", "durability", "repair")],
    ),
    Check(  # what a disk may forget
        {"storage.journal_writer"},
        [[*of("run_folder"), "-k", "sync or forgets or confirmed or replaces or cut_off"]],
    ),
    Check(  # what is seen of a run while it goes on, and how it is explained
        {"history.progress", "history.contest", "history.overview", "views.live", "views.explain"},
        [of("progress", "live", "explain")],
    ),
    Check({"views.suggestions"}, [[*of("own_searcher"), "-k", "thinks_ahead"]]),
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


def todays() -> list[Mistake]:
    """Pick the mistakes whose turn it is."""
    if os.environ.get("HPMPI_PLANTED") == "all":
        return mistakes()
    return mistakes()[dt.date.today().toordinal() % PARTS :: PARTS]  # noqa: DTZ011


def copy(target: Path) -> None:
    """Copy what the checks need."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("docs", "hpmpi", "tests", "spaces", "slurm"):
        shutil.copytree(ROOT / name, target / name, ignore=ignore)
    shutil.copyfile(ROOT / "pyproject.toml", target / "pyproject.toml")


def plant(mistake: Mistake, target: Path) -> None:
    """Make the mistake."""
    file = target / mistake.file
    text = file.read_text()
    assert text.count(mistake.old) == 1, f"{mistake.file} has no such line: {mistake.old}"
    file.write_text(text.replace(mistake.old, mistake.new))


def check_for(mistake: Mistake) -> Check:
    """Tell what is to find a mistake."""
    return next(check for check in CHECKS if mistake.module in check.modules)


class Finding(NamedTuple):
    """The first command of a check that fails, and what it says."""

    words: list[str]
    said: str


def finding(target: Path, commands: list[list[str]]) -> Finding | None:
    """Run commands until one fails; None if all is well."""
    for words in commands:
        command = [sys.executable, "-B", "-m", *words]
        done = subprocess.run(
            command, cwd=target, capture_output=True, text=True, timeout=240, check=False
        )
        if done.returncode:
            return Finding(words, done.stdout + done.stderr)
    return None


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the package once for all mistakes."""
    target = tmp_path_factory.mktemp("planted")
    copy(target)
    return target


def test_each_mistake_has_its_line_and_its_checks() -> None:
    for mistake in mistakes():
        assert (ROOT / mistake.file).read_text().count(mistake.old) == 1, mistake
        assert check_for(mistake).commands, mistake


@pytest.mark.parametrize("mistake", todays(), ids=lambda it: f"{it.module}: {it.why}")
def test_a_planted_mistake_is_found_and_nothing_without_it(mistake: Mistake, package: Path) -> None:
    plant(mistake, package)
    try:
        found = finding(package, check_for(mistake).commands)
    finally:
        shutil.copyfile(ROOT / mistake.file, package / mistake.file)
    assert found is not None
    if found.words not in SOUND:
        assert finding(package, [found.words]) is None
        SOUND.append(found.words)


def main() -> None:
    """Say what finds each mistake."""
    target = Path(sys.argv[1])
    copy(target)
    for mistake in mistakes():
        plant(mistake, target)
        began = time.monotonic()
        found = finding(target, check_for(mistake).commands)
        said = (found.said if found else "NOT FOUND").strip().splitlines()
        last = next((line for line in said if line.startswith(("FAILED", "E  "))), said[-1])
        took_s = time.monotonic() - began
        sys.stdout.write(f"{took_s:4.1f} s  {mistake.module}: {mistake.why}\n        {last}\n")
        sys.stdout.flush()
        shutil.copyfile(ROOT / mistake.file, target / mistake.file)


if __name__ == "__main__":
    main()
