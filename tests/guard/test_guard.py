"""What the guard does, without MPI: this test is the launcher, and speaks PMI-1 as hydra does."""

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hpmpi.guard import guard, guarded_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="guards are for Linux")

GUARD = """
import os, sys
from hpmpi.guard import guard
guard.HEALTHY_LOOK_S = 0.5
guard.GRACE_S = float(os.environ.get("GRACE_S", guard.GRACE_S))
code = guard.watch()
if code is not None:
    os._exit(code)
del sys.argv[0]
exec(sys.argv[0])
"""
UNTOLD = """
import ctypes, os, signal, sys
from pathlib import Path
from hpmpi.guard import guard
guard.bind_to_guard()
"""
TOLD = UNTOLD + "guard.tell_guard(Path(sys.argv[1]) / 'status', 'this')\n"
READY = "os.write(1, b'%d\\n' % os.getpid())\n"
LIVE = TOLD + READY + "signal.pause()\n"
FAMILY = """
def breed(generations):
    os.setsid()
    if generations > 0 and os.fork() == 0:
        breed(generations - 1)
    os.write(1, b"%d\\n" % os.getpid())
    signal.pause()

if os.fork() == 0:
    breed(2)
"""
LIMIT_S = 20
LOOK_S = 0.5
GRACE_S = 2.0
"""Of a guard whose rank is told to go on, which is to be held to it soon."""


@dataclass
class Launched:
    """A guard that was started as hydra starts a rank, and the launcher's end of its wire."""

    process: subprocess.Popen[str]
    wire: socket.socket

    def hear(self) -> int:
        """Wait for the next number that the rank, or what it started, says."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def tell(self) -> None:
        """Have the rank go on that waits for a line."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str]:
        """Wait for its end: its exit code, and what it told the launcher."""
        said = self.wire.recv(100)
        with contextlib.suppress(OSError):
            self.wire.sendall(b"cmd=finalize_ack\n")
        return self.process.wait(LIMIT_S), said.decode().strip()


@contextlib.contextmanager
def launched(
    code: str, folder: Path, *words: str, rank: int = 1, told: bool = False
) -> Iterator[Launched]:
    """Start a guard with `code` as its rank, which may be `told` to go on."""
    here, there = socket.socketpair()
    here.settimeout(LIMIT_S)
    env = environment(rank) | {"PMI_FD": str(there.fileno())}
    if told:
        env["GRACE_S"] = str(GRACE_S)
    command = [sys.executable, "-c", GUARD, code, str(folder), *words]
    with (
        here,
        subprocess.Popen(
            command,
            env=env,
            pass_fds=[there.fileno()],
            stdin=subprocess.PIPE if told else None,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        there.close()
        try:
            yield Launched(process, here)
        finally:
            process.kill()


def environment(rank: int) -> dict[str, str]:
    here = Path(guard.__file__).parents[2]
    return os.environ | {"PMI_RANK": str(rank), "PYTHONPATH": str(here)}


def say(folder: Path, line: str) -> None:
    (folder / "status.new").write_text(line + "\n")
    (folder / "status.new").replace(folder / "status")


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def sleeps(pid: int) -> int:
    """Count how often a process has let others have its core."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("voluntary_ctxt")).split()[1])


def await_looks(pid: int, looks: float) -> None:
    """Wait until the guard of a rank has looked so often."""
    before = sleeps(parent(pid))
    while sleeps(parent(pid)) < before + looks:
        time.sleep(LOOK_S / 5)


def await_death(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        try:
            assert select.select([fd], [], [], LIMIT_S)[0], f"{pid} lives on"
        finally:
            os.close(fd)


HYDRA = {"PMI_FD": "9", "PMI_RANK": "0", "MPI_LOCALRANKID": "0"}
OPEN_MPI = {"OMPI_COMM_WORLD_RANK": "0", "PMIX_RANK": "0"}
SLURM = {"SLURM_PROCID": "0", "SLURM_STEP_ID": "0"}


@pytest.mark.parametrize(
    ("env", "needed"),
    [
        ({}, False),
        (HYDRA, True),
        (OPEN_MPI, True),
        (HYDRA | SLURM, True),
        (OPEN_MPI | SLURM, True),
        (SLURM | {"PMI_FD": "9", "PMI_RANK": "0", "PMI_JOBID": "1.0"}, False),
        (SLURM | {"PMIX_RANK": "0"}, False),
        (HYDRA | {"HPMPI_GUARD": "5"}, False),
        (OPEN_MPI | {"HPMPI_GUARD": "5"}, False),
    ],
)
def test_only_what_a_launcher_started_needs_a_guard(
    *, env: dict[str, str], needed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", env)
    assert guard.needed() is needed


@pytest.mark.parametrize(
    ("line", "over"),
    [
        ("this running", False),
        ("this complete", True),
        ("another running", True),
        ("another complete", True),
        ("", False),
        ("this", False),
    ],
)
def test_a_start_is_over_when_its_status_says_so(tmp_path: Path, *, line: str, over: bool) -> None:
    say(tmp_path, line)
    assert guard.Told(str(tmp_path / "status"), "this").is_over() is over


def test_a_status_that_can_not_be_read_says_nothing(tmp_path: Path) -> None:
    told = guard.Told(str(tmp_path / "status"), "this")
    assert not told.is_over()
    (tmp_path / "status").mkdir()
    assert not told.is_over()


def test_a_start_is_over_when_its_folder_is_gone(tmp_path: Path) -> None:
    assert guard.Told(str(tmp_path / "gone" / "status"), "this").is_over()


@pytest.mark.parametrize(
    ("rank", "code", "state", "seen", "said"),
    [
        (0, 0, "complete", 0, "cmd=finalize"),
        (0, 75, "drained", 75, "cmd=finalize"),
        (0, 1, "running", 1, "cmd=abort exitcode=1"),
        (1, 0, "running", 0, "cmd=finalize"),
        (1, 1, "complete", 0, "cmd=finalize"),
    ],
)
def test_the_launcher_sees_the_code_of_rank_0_only(  # noqa: PLR0913  (a table)
    tmp_path: Path, *, rank: int, code: int, state: str, seen: int, said: str
) -> None:
    say(tmp_path, f"this {state}")
    with launched(f"{TOLD}os._exit({code})", tmp_path, rank=rank) as it:
        assert it.end() == (seen, said)


@pytest.mark.parametrize(
    ("rank", "code", "said"),
    [(0, 2, "cmd=abort exitcode=2"), (1, 2, "cmd=abort exitcode=2"), (1, 0, "cmd=finalize")],
)
def test_a_rank_that_does_not_get_going_spoils_the_start(
    tmp_path: Path, rank: int, code: int, said: str
) -> None:
    with launched(f"{UNTOLD}os._exit({code})", tmp_path, rank=rank) as it:
        assert it.end() == (code, said)


def test_a_rank_may_finalize_itself(tmp_path: Path) -> None:
    with launched(f"{UNTOLD}{READY}signal.pause()", tmp_path) as it:
        rank = it.hear()
        it.wire.close()  # as hydra does when it has heard the rank finalize
        os.kill(rank, signal.SIGTERM)
        assert it.process.wait(LIMIT_S) == 128 + signal.SIGTERM


def test_a_killed_rank_is_finalized_when_the_run_is_over(tmp_path: Path) -> None:
    say(tmp_path, "this running")
    with launched(LIVE, tmp_path) as it:
        os.kill(it.hear(), signal.SIGKILL)
        with pytest.raises(subprocess.TimeoutExpired):
            it.process.wait(1.5)
        say(tmp_path, "this complete")
        assert it.end() == (0, "cmd=finalize")


def test_a_killed_rank_0_ends_its_run(tmp_path: Path) -> None:
    say(tmp_path, "this running")
    with launched(LIVE, tmp_path, rank=0) as it:
        os.kill(it.hear(), signal.SIGKILL)
        assert it.end() == (137, "cmd=abort exitcode=137")


def test_the_end_of_the_folder_is_the_end_of_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    say(run, "this running")
    with launched(LIVE, run) as it:
        os.kill(it.hear(), signal.SIGKILL)
        shutil.rmtree(run)
        assert it.end() == (0, "cmd=finalize")


@pytest.mark.parametrize("name", ["a\nb", "a\u2028b", os.fsdecode(b"caf\xe9"), "a=b\rc"])
def test_a_run_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    say(folder, "this running")
    with launched(LIVE, folder) as it:
        rank = it.hear()
        os.kill(rank, signal.SIGKILL)
        await_death(rank)
        say(folder, "this complete")
        assert it.end() == (0, "cmd=finalize")


def test_a_stopped_rank_does_not_hold_up_the_end(tmp_path: Path) -> None:
    say(tmp_path, "this running")
    with launched(LIVE, tmp_path) as it:
        rank = it.hear()
        os.kill(rank, signal.SIGSTOP)
        say(tmp_path, "this complete")
        assert it.end() == (0, "cmd=finalize")
        await_death(rank)


def test_a_hung_rank_does_not_hold_up_the_end(tmp_path: Path) -> None:
    say(tmp_path, "this running")
    hang = f"{TOLD}signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{READY}ctypes.PyDLL(None).pause()"
    with launched(hang, tmp_path) as it:
        rank = it.hear()
        say(tmp_path, "this complete")
        assert it.end() == (0, "cmd=finalize")
        await_death(rank)


def test_a_rank_between_two_runs_is_left_alone_and_then_held_to_the_next(tmp_path: Path) -> None:
    say(tmp_path, "this running")
    code = (
        TOLD + READY + "sys.stdin.readline()\n"
        "guard.tell_of_no_run()\n" + READY + "sys.stdin.readline()\n"
        "guard.tell_guard(Path(sys.argv[1]) / 'status', 'next')\n" + READY + "signal.pause()\n"
    )
    with launched(code, tmp_path, told=True) as rank:
        front = rank.hear()
        await_looks(front, 1)
        say(tmp_path, "this complete")
        await_looks(front, 1)  # it knows that the run is over
        rank.tell()
        rank.hear()
        await_looks(front, 2 * GRACE_S / LOOK_S)
        say(tmp_path, "next running")
        rank.tell()
        rank.hear()
        await_looks(front, 2 * GRACE_S / LOOK_S)
        say(tmp_path, "next complete")
        assert rank.end() == (0, "cmd=finalize")


def test_a_rank_that_dies_between_two_runs_ends_all(tmp_path: Path) -> None:
    say(tmp_path, "this complete")
    code = TOLD + "guard.tell_of_no_run()\nos._exit(9)\n"
    with launched(code, tmp_path) as rank:
        assert rank.end() == (9, "cmd=abort exitcode=9")


def test_a_rank_that_was_stopped_may_go_on(tmp_path: Path) -> None:
    say(tmp_path, "this running")
    leave = "signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))\n"
    with launched(f"{TOLD}{leave}{READY}signal.pause()", tmp_path) as it:
        rank = it.hear()
        os.kill(rank, signal.SIGSTOP)
        os.kill(rank, signal.SIGCONT)
        it.process.send_signal(signal.SIGUSR1)
        assert it.end() == (0, "cmd=finalize")


@pytest.mark.parametrize("number", sorted(guarded_process.FORWARDED))
def test_signals_reach_the_rank(tmp_path: Path, number: int) -> None:
    handle = f"signal.signal({number}, lambda number, _: os._exit(number))\n"
    with launched(f"{UNTOLD}{handle}{READY}signal.pause()", tmp_path, rank=0) as it:
        it.hear()
        it.process.send_signal(number)
        assert it.end() == (number, f"cmd=abort exitcode={number}")


def test_orphans_are_killed_when_their_rank_is_gone(tmp_path: Path) -> None:
    say(tmp_path, "this running")
    with launched(f"{TOLD}{READY}{FAMILY}signal.pause()", tmp_path) as it:
        family = [it.hear() for _ in range(4)]
        os.kill(family[0], signal.SIGKILL)
        for pid in family:
            await_death(pid)
        assert it.process.poll() is None
        say(tmp_path, "this complete")
        assert it.end() == (0, "cmd=finalize")


TRACKED = """
import time
from multiprocessing.shared_memory import SharedMemory
memory = SharedMemory(create=True, size=100)
(Path(sys.argv[1]) / "name").write_text(memory.name)
"""


def test_what_a_killed_rank_has_in_shared_memory_is_tidied_up(tmp_path: Path) -> None:
    say(tmp_path, "this running")
    with launched(TOLD + TRACKED + READY + "time.sleep(1000)", tmp_path) as it:
        os.kill(it.hear(), signal.SIGKILL)
        say(tmp_path, "this complete")
        assert it.end() == (0, "cmd=finalize")
    assert not Path("/dev/shm", (tmp_path / "name").read_text()).exists()  # noqa: S108


def test_all_die_with_their_launcher(tmp_path: Path) -> None:
    say(tmp_path, "this running")
    launcher = f"{UNTOLD}import subprocess\nsubprocess.run([sys.executable, *sys.argv[1:]])"
    command = [sys.executable, "-c", launcher, "-c", GUARD]
    rank = f"{TOLD}{READY}{FAMILY}signal.pause()"
    with subprocess.Popen(
        [*command, rank, str(tmp_path)], env=environment(0), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        family = [int(process.stdout.readline()) for _ in range(4)]
        process.kill()
        for pid in family:
            await_death(pid)
        process.stdout.read()  # ends when nobody is left who could write, the guard neither


def test_all_die_with_what_the_launcher_kills(tmp_path: Path) -> None:
    with launched(f"{TOLD}{READY}{FAMILY}signal.pause()", tmp_path) as it:
        family = [it.hear() for _ in range(4)]
        it.process.kill()
        for pid in family:
            await_death(pid)


def test_all_die_with_the_guard(tmp_path: Path) -> None:
    with launched(f"{TOLD}{READY}{FAMILY}signal.pause()", tmp_path) as it:
        family = [it.hear() for _ in range(4)]
        os.kill(parent(family[0]), signal.SIGKILL)
        for pid in family:
            await_death(pid)
        assert it.process.wait(LIMIT_S) == 128 + signal.SIGKILL


def test_a_rank_whose_guard_is_dead_does_not_start(tmp_path: Path) -> None:
    orphaned = (
        "import os, select, signal\nguard = os.pidfd_open(os.getppid())\n"
        "os.kill(os.getppid(), signal.SIGKILL)\nselect.select([guard], [], [])\n"
    )
    with launched(f"{orphaned}{LIVE}", tmp_path) as it:
        assert it.process.stdout is not None
        assert it.process.stdout.read() == ""


def test_a_guard_costs_no_cpu_even_while_it_looks_once_a_second(tmp_path: Path) -> None:
    say(tmp_path, "this running")
    with launched(LIVE, tmp_path) as it:
        rank = it.hear()
        guards = it.process.pid, parent(rank)
        os.kill(rank, signal.SIGSTOP)
        for pid in guards:
            began_at, slept = time.monotonic(), sleeps(pid)
            while sleeps(pid) < slept + 4:  # who never sleeps is never done here
                assert time.monotonic() < began_at + LIMIT_S
                time.sleep(0.01)
            assert time.monotonic() - began_at >= 1.0, "it looks more often"


def test_settings_for_mpi_are_defaults_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMPI_MCA_osc", "7")
    names = "OMPI_MCA_osc", "OMPI_MCA_mpi_ft_enable", "MPIR_CVAR_NO_COLLECTIVE_FINALIZE"
    show = f"for name in {names}: os.write(1, os.environ[name].encode() + b'\\n')"
    with launched(f"{UNTOLD}{show}", tmp_path) as it:
        assert [it.hear(), it.hear(), it.hear()] == [7, 1, 1]
        assert it.end() == (0, "cmd=finalize")


def test_without_a_guard_nothing_is_bound_or_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HPMPI_GUARD", raising=False)
    guard.bind_to_guard()
    guard.tell_mpi()
    guard.tell_guard(tmp_path / "status", "this")


def test_the_table_has_an_answer_for_everything() -> None:
    assert set(guard.ENDINGS) == set(guard.Condition)
    assert {len(row) for row in guard.ENDINGS.values()} == {3}


def test_a_guard_stays_only_while_the_run_goes_on_or_its_rank_has_grace() -> None:
    """No rank keeps a launcher for ever that has nothing to wait for."""
    ends = {guard.Action.CLEAR, guard.Action.FINALIZE, guard.Action.ABORT}
    for condition, (_, over, late) in guard.ENDINGS.items():
        assert late in ends
        assert over in ends or condition is guard.Condition.LIVES


def test_a_guard_loads_little() -> None:
    code = "import sys, hpmpi.guard.guard; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(0), capture_output=True, text=True, check=True
    )
    heavy = {"mpi4py", "numpy", "msgspec", "subprocess", "socket", "threading", "logging"}
    assert not heavy & set(done.stdout.split())
