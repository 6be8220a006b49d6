"""Data once per node, in whole runs: on this machine, and on hosts with memory of their own."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hpmpi.model.messages import Finished, Unfit
from tests.harness.runs import MPIRUN, Study, finish, mpirun, parent_of, processes_of
from tests.mpi.test_hosts import Hosts, hosts, missing

__all__ = ["hosts"]

needs_mpi = [
    pytest.mark.mpi,
    pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python"),
]
needs_hosts = [*needs_mpi, pytest.mark.skipif(bool(missing()), reason=missing())]

OBJECTIVE = """
import os, time
import numpy as np
from pathlib import Path

HERE = Path(__file__).parent

def train(config, trial):
    assert not trial.data["X"].flags.writeable
    assert (trial.data["X"][-1] == trial.data["y"]).all()
    (HERE / f"mapped.{os.uname().nodename}.{os.getpid()}").touch()
    while trial.args["gate"] and not (HERE / "gate").exists():
        time.sleep(0.02)
    return float(trial.data["X"].sum())

def fail(**args):
    raise ValueError("no such table")

def die(**args):
    os.abort()

def note():
    (HERE / f"reading.{os.uname().nodename}.{os.getpid()}").touch()

def linger(**args):
    note()
    time.sleep(600)

def load():
    note()
    while not (HERE / "loaded").exists():
        time.sleep(0.02)
    return dict(np.load(HERE / "all.npz"))
"""

ROWS = 3 * 2**17 + 1
"""Of 24 bytes."""


class DataStudy(Study):
    """A study with data, in a folder that stands for a node's memory."""

    def __init__(self, folder: Path, node: str = "") -> None:
        """Write it."""
        super().__init__(folder)
        (folder / "train.py").write_text(OBJECTIVE)
        rows = np.arange(3.0 * ROWS).reshape(ROWS, 3)
        np.savez(folder / "all.npz", X=rows, y=rows[-1])
        self.node = folder / "node"
        self.node.mkdir()
        self.table = f'\n[data]\nsource = "all.npz"\nfolder = "{node or self.node}"\n'
        self.text = self.file.read_text().replace('metric = "loss"', "") + "gate = false\n"
        self.text = self.text.replace("max_resource = 9", "max_resource = 1")
        self.file.write_text(self.text + self.table)

    def use(self, source: str) -> None:
        """Have another source."""
        self.file.write_text(self.text + self.table.replace("all.npz", source))

    def mapped(self) -> list[str]:
        """Name the host of each child that has mapped the data."""
        return sorted(path.name.split(".")[1] for path in self.folder.glob("mapped.*"))

    def readers(self) -> dict[int, str]:
        """Find the processes that have begun to read, and their hosts."""
        names = [path.name.split(".") for path in self.folder.glob("reading.*")]
        return {int(pid): host for _, host, pid in names}

    def kill(self) -> None:
        """Kill all of the run at once."""
        for process in list(processes_of(self.folder)):
            with contextlib.suppress(ProcessLookupError):  # a guard has been faster
                os.kill(int(process.split()[0]), signal.SIGKILL)


@pytest.fixture(params=["local", pytest.param("mpi", marks=needs_mpi)])
def three_ranks(request: pytest.FixtureRequest) -> list[str]:
    """Have three worker ranks; return what comes before the command, and after it."""
    return mpirun(4) if request.param == "mpi" else []


def command(study: Study, before: list[str], *options: str) -> list[str]:
    """Say how to run a study with three worker ranks."""
    return [*before, *study.command(*options, *([] if before else ["--workers", "3"]))]


def test_the_ranks_of_a_node_share_one_copy_that_goes_with_the_run(
    tmp_path: Path, three_ranks: list[str]
) -> None:
    study = DataStudy(tmp_path)
    process = study.start(command(study, three_ranks, "--set", "objective_args.gate=true"))
    study.until(lambda: len(study.mapped()) == 3, process)
    sizes = [path.stat().st_size for path in study.node.rglob("*.npy")]
    assert len(sizes) == 2
    assert 24 * ROWS < max(sizes) < 24 * ROWS + 1000
    (tmp_path / "gate").touch()
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert list(study.node.iterdir()) == []
    total = 3.0 * ROWS * (3 * ROWS - 1) / 2
    assert {finished.metrics["loss"] for _, finished in study.heard(Finished)} == {total}


def test_what_a_killed_run_has_left_goes_with_the_next(
    tmp_path: Path, three_ranks: list[str]
) -> None:
    study = DataStudy(tmp_path)
    process = study.start(command(study, three_ranks, "--set", "objective_args.gate=true"))
    study.until(lambda: len(study.mapped()) == 3, process)
    while list(processes_of(tmp_path)):
        study.kill()
    finish(process)
    (left,) = study.node.iterdir()
    (tmp_path / "gate").touch()
    done = study.run(command(study, three_ranks, "--set", "objective_args.gate=true"))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert left not in study.node.iterdir()
    assert list(study.node.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("train.py:fail", "ValueError: no such table"),
        ("train.py:die", "killed by SIGABRT"),
        ("train.py:missing", "has no 'missing'"),
    ],
)
def test_data_that_can_not_be_read_end_the_run_with_a_word(
    tmp_path: Path, three_ranks: list[str], source: str, said: str
) -> None:
    study = DataStudy(tmp_path)
    study.use(source)
    done = study.run(command(study, three_ranks))
    assert (done.returncode, study.left()) == (2, []), done.stderr
    assert said in done.stderr
    assert list(study.node.iterdir()) == []


def test_a_run_that_still_reads_its_data_can_be_ended(
    tmp_path: Path, three_ranks: list[str]
) -> None:
    study = DataStudy(tmp_path)
    study.use("train.py:linger")
    process = study.start(command(study, three_ranks))
    study.until(lambda: len(study.readers()) == 1, process)
    process.send_signal(signal.SIGUSR1)
    done = finish(process)
    assert (done.returncode, study.left()) == (75, []), done.stderr
    assert list(study.node.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_rank_that_is_killed_or_hangs_while_it_reads_costs_only_itself(
    tmp_path: Path, three_ranks: list[str], number: signal.Signals
) -> None:
    study = DataStudy(tmp_path)
    study.use("train.py:load")
    process = study.start(command(study, three_ranks, "--set", "objective_args.gate=true"))
    study.until(lambda: len(study.readers()) == 1, process)
    os.kill(parent_of(next(iter(study.readers()))), number)
    (tmp_path / "loaded").touch()
    study.until(lambda: len(study.mapped()) == 2, process)
    study.until(lambda: bool(study.lost), process)
    (tmp_path / "gate").touch()
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert len(study.readers()) == 1 + (number == signal.SIGKILL)
    if number == signal.SIGKILL or not three_ranks:  # a guard ends what hangs after rank 0's end
        assert list(study.node.iterdir()) == []


@pytest.mark.mpi
@needs_hosts[1]
@needs_hosts[2]
def test_each_host_reads_the_data_once_and_holds_them_once(hosts: Hosts, tmp_path: Path) -> None:
    study = gated(tmp_path)
    study.use("train.py:load")
    (study.folder / "loaded").touch()
    process = study.start(hosts.mpirun(*study.command("--set", "objective_args.gate=true")))
    study.until(lambda: len(study.mapped()) == 5, process)
    assert study.mapped() == ["host1", "host2", "host2", "host3", "host3"]
    assert sorted(study.readers().values()) == ["host1", "host2", "host3"]
    for number in (1, 2, 3):
        assert len(on(hosts, number, "find /dev/shm -name *.npy")) == 2
    (study.folder / "gate").touch()
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    for number in (1, 2, 3):
        assert on(hosts, number, "find /dev/shm -name hpmpi-*") == []


@pytest.mark.mpi
@needs_hosts[1]
@needs_hosts[2]
def test_a_reader_that_is_killed_is_followed_by_another_of_its_host(
    hosts: Hosts, tmp_path: Path
) -> None:
    study = gated(tmp_path)
    study.use("train.py:load")
    process = study.start(hosts.mpirun(*study.command("--set", "objective_args.gate=true")))
    study.until(lambda: len(study.readers()) == 3, process)
    (reader,) = [pid for pid, host in study.readers().items() if host == "host2"]
    os.kill(parent_of(reader), signal.SIGKILL)
    study.until(lambda: len(study.readers()) == 4, process)
    (study.folder / "loaded").touch()
    study.until(lambda: len(study.mapped()) == 4, process)
    assert study.mapped() == ["host1", "host2", "host3", "host3"]
    study.until(lambda: bool(study.lost), process)
    (study.folder / "gate").touch()
    done = finish(process)
    assert (done.returncode, study.left()) == (0, []), done.stderr
    assert len(study.lost) == 1
    for number in (1, 2, 3):
        assert on(hosts, number, "find /dev/shm -name hpmpi-*") == []


@pytest.mark.mpi
@needs_hosts[1]
@needs_hosts[2]
def test_a_host_without_room_has_no_part_and_the_others_work(hosts: Hosts, tmp_path: Path) -> None:
    study = gated(tmp_path)
    on(hosts, 3, "mount -t tmpfs -o size=8m tmpfs /mnt")
    study.file.write_text(study.file.read_text().replace("/dev/shm", "/mnt"))  # noqa: S108
    for number in (1, 2):
        on(hosts, number, "mount -t tmpfs -o size=64m tmpfs /mnt")
    done = study.run(hosts.mpirun(*study.command()))
    assert (done.returncode, study.left()) == (0, []), done.stderr
    unfit = dict(study.heard(Unfit))
    assert unfit.keys() == {4, 5}
    assert {each.host for each in unfit.values()} == {"host3"}
    assert "the data are 9.4" in unfit[4].error
    assert "MB, and host3 has room for 8.39 MB in /mnt" in unfit[4].error


@pytest.mark.mpi
@needs_hosts[1]
@needs_hosts[2]
def test_a_run_ends_where_no_host_has_room(hosts: Hosts, tmp_path: Path) -> None:
    study = gated(tmp_path)
    study.file.write_text(study.file.read_text().replace("/dev/shm", "/mnt"))  # noqa: S108
    for number in (1, 2, 3):
        on(hosts, number, "mount -t tmpfs -o size=8m tmpfs /mnt")
    done = study.run(hosts.mpirun(*study.command()))
    assert (done.returncode, study.left()) == (2, []), done.stderr
    assert "MB, and host1 has room for 8.39 MB in /mnt" in done.stderr


def gated(folder: Path) -> DataStudy:
    """Make a study whose data lie in the memory of the hosts."""
    (folder / "study").mkdir()
    return DataStudy(folder / "study", "/dev/shm")  # noqa: S108 - a host's own


def on(hosts: Hosts, number: int, shell: str) -> list[str]:
    """Run a command on a host; return its lines."""
    words = [*hosts._hosts[number].enter(), *shell.split()]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
