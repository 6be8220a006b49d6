"""Objectives that do what objectives do: well, slowly, badly. They run in children of the tests."""

import contextlib
import ctypes
import math
import multiprocessing
import os
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from hpmpi.model.trial import Config
from hpmpi.transports import is_of_a_rank
from hpmpi.transports.resources import THREADS
from hpmpi.worker.handle import Trial

EVER_S = 1000.0
SULKING: list[int] = []
NAP = "import time; time.sleep(1000)"
EAT = "import sys, time; eaten = b'1' * (int(sys.argv[1]) << 20); time.sleep(1000)"


def square(config: Config) -> float:
    """Return a number."""
    return float(config["x"]) ** 2


def own_pid(_config: Config) -> int:
    """Tell which process this is."""
    return os.getpid()


def surroundings(_config: Config) -> dict[str, float]:
    """Tell what the environment has."""
    threads = {int(os.environ[name]) for name in THREADS}
    return {
        "loss": len([name for name in os.environ if is_of_a_rank(name)]),
        "threads": threads.pop() if len(threads) == 1 else -1,
        "kept": float(os.environ.get("KEPT", "0")),
    }


def misbehave(config: Config) -> object:
    """Do what `how` says; without it, behave."""
    how = str(config.get("how", "not"))
    if how == "not":
        return os.getpid()
    return HOW[how](config)


def fail(config: Config) -> object:
    """Raise, in a function of its own."""
    return fail_deeply(str(config.get("text", "no such luck")))


def fail_deeply(text: str) -> object:
    """Raise."""
    raise ValueError(text)


def fail_with_bytes(_config: Config) -> object:
    """Raise what is no text: a file name as the system has it."""
    raise ValueError(os.fsdecode(b"caf\xe9"))


def leave(config: Config) -> object:
    """Ask Python to end."""
    sys.exit(str(config.get("code", "enough")))


def vanish(config: Config) -> object:
    """End without a word to Python, some to stdout."""
    sys.stdout.write("last words\n")
    os._exit(int(config["code"]))


def segfault(_config: Config) -> object:
    """Read what is not there."""
    return ctypes.string_at(0)


def die(config: Config) -> object:
    """End by a signal."""
    os.kill(os.getpid(), int(config["signal"]))
    return wait(config)


def sulk(config: Config) -> object:
    """Fail once, and from then on in this process always."""
    SULKING.extend([1] if config.get("hurt") else [])
    if SULKING:
        raise ValueError("hurt")
    return os.getpid()


def shrug(config: Config) -> object:
    """Get a signal, and end a pool: its processes are to end by TERM as they do anywhere."""
    os.kill(os.getpid(), int(config["signal"]))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.apply(abs, (-1,))


def wait(_config: Config) -> object:
    """Say so, and take for ever."""
    sys.stdout.write("ready\n")
    time.sleep(EVER_S)
    return 0.0


def resist(config: Config) -> object:
    """Take for ever, and have no ear for TERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return wait(config)


def round_off(_config: Config) -> object:
    """Come to a result when told to end."""
    done = []
    signal.signal(signal.SIGTERM, lambda *_: done.append(1))
    sys.stdout.write("ready\n")
    while not done:
        time.sleep(0.01)
    return os.getpid()


def await_file(config: Config) -> object:
    """Come to a result when there is a file."""
    sys.stdout.write("ready\n")
    while not Path(str(config["file"])).exists():
        time.sleep(0.01)
    return os.getpid()


def hold_gil(config: Config) -> object:
    """Be in C, with the lock that all of Python needs."""
    ctypes.PyDLL(None).usleep(int(float(config["s"]) * 1e6))
    return 0.0


def eat(config: Config) -> object:
    """Have some MB, for ever."""
    eaten = b"1" * (int(config["mb"]) << 20)
    time.sleep(EVER_S)
    return len(eaten)


def eat_together(config: Config) -> object:
    """Have some MB, each of two children half of it."""
    half = str(int(config["mb"]) // 2)
    for _ in range(2):
        subprocess.Popen([sys.executable, "-c", EAT, half])
    return wait(config)


def start_family(_config: Config) -> object:
    """Leave a process behind that has no end; return its pid."""
    return subprocess.Popen([sys.executable, "-c", NAP]).pid


def breed(config: Config) -> object:
    """Start processes that hide and have no ear for TERM; then do what `then` says."""
    file = Path(str(config["file"]))
    file.touch()
    for leads in (False, True):
        for orphaned in (False, True):
            sire(file, leads=leads, orphaned=orphaned)
    while len(file.read_text().split()) < 4:
        time.sleep(0.01)
    return misbehave({**config, "how": config.get("then", "not")})


def sire(file: Path, *, leads: bool, orphaned: bool) -> None:
    """Fork what writes its pid down: a leader of a session, an orphan, both or neither."""
    if os.fork():
        return
    if leads:
        os.setsid()
    if orphaned and os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with file.open("a") as pids:
        pids.write(f"{os.getpid()}\n")
    while True:
        signal.pause()


def eat_in_hiding(config: Config) -> object:
    """Have a daemon that has some MB, for ever."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            eat(config)
        os._exit(0)
    os.wait()
    return wait(config)


def freeze(config: Config) -> object:
    """Stop itself."""
    sys.stdout.write("ready\n")
    os.kill(os.getpid(), signal.SIGSTOP)
    return wait(config)


def spin(_config: Config) -> object:
    """Compute in C, with the lock that all of Python needs, and hear nothing."""
    sys.stdout.write("ready\n")
    return pow(3, 1 << 40)


def claim_much(config: Config) -> object:
    """Write into every socket the length of a message that is too long to come."""
    for descriptor in sockets():
        os.write(descriptor, struct.pack(">I", (1 << 32) - 1))
    return wait(config)


def babble_on(_config: Config) -> object:
    """Write into every socket, for ever, what is a message and no report."""
    found = list(sockets())
    while True:
        for descriptor in found:
            os.write(descriptor, struct.pack(">I", 60_000) + b"?" * 60_000)


def report_together(_config: Config, trial: Trial) -> object:
    """Report from many threads at a time."""

    def report() -> None:
        for step in range(500):
            trial.report(step, loss=1.0)

    threads = [threading.Thread(target=report) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0.0


def close_output(_config: Config) -> object:
    """Close stdout and stderr."""
    for each in (sys.stdout, sys.stderr):
        each.close()
    for descriptor in (1, 2):
        os.close(descriptor)
    return os.getpid()


def flood(config: Config) -> object:
    """Print to stderr until there is a file, then do what `then` says."""
    while not Path(str(config["file"])).exists():
        os.write(2, b"x" * (1 << 16))
        time.sleep(1e-3)  # or it fills the disk where the test is slow to cut it
    return misbehave({**config, "how": config.get("then", "not")})


def return_odd(config: Config) -> object:
    """Return what no metric can be, or just can."""
    return ODD[str(config["odd"])]()


def chatter(config: Config) -> object:
    """Print megabytes, then do what `then` says."""
    for _ in range(3 << 10):
        sys.stderr.write("x" * 1023 + "\n")
    return misbehave({**config, "how": config.get("then", "not")})


def babble(_config: Config) -> object:
    """Print what is no text, and end."""
    os.write(2, bytes(range(256)))
    os._exit(1)


def hang_up(config: Config) -> object:
    """Close everything, and stay."""
    os.closerange(3, 256)
    return wait(config)


def talk_rubbish(config: Config) -> object:
    """Write into every socket there is."""
    for descriptor in sockets():
        os.write(descriptor, struct.pack(">I", 3) + b"???")
    return wait(config)


def fork(_config: Config) -> object:
    """Come back twice."""
    os.fork()
    return os.getpid()


ODD: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "text": lambda: "x" * (100 << 20),
    "array": lambda: numpy().zeros(1000),
    "nested": lambda: {"loss": {"loss": 1.0}},
    "complex": lambda: 1j,
    "decimal": lambda: Decimal("0.5"),
    "no metric": lambda: {1: 2.0},
    "itself": lambda: setdefault_self({}),
    "number of numpy": lambda: numpy().float32(0.5),
    "array of one": lambda: numpy().array([0.5]),
    "key no text": lambda: {"loss": 1.0, 7: 2.0, None: 3.0},
    "many": lambda: {"loss": 0.0, **dict.fromkeys(map(str, range(1_000_000)), 1.0)},
    "many others": lambda: dict.fromkeys(range(1_000_000), 1.0),
    "long name": lambda: {"loss": 0.0, "x" * (100 << 20): 1.0},
    "name no text": lambda: {"loss": 0.0, os.fsdecode(b"caf\xe9"): 1.0},
    "nan": lambda: math.nan,
    "huge": lambda: 10**400,
}


def numpy() -> Any:
    """Import numpy where it is needed: it takes a while."""
    import numpy as np  # noqa: PLC0415

    return np


def setdefault_self(values: dict[str, object]) -> object:
    """Make a dictionary that has itself as a metric."""
    values["loss"] = values
    return values


HOW = {
    each.__name__: each
    for each in (
        *(
            fail,
            fail_with_bytes,
            leave,
            vanish,
            segfault,
            die,
            shrug,
            sulk,
            wait,
            resist,
            round_off,
            await_file,
            hold_gil,
        ),
        *(eat, eat_together, eat_in_hiding, start_family, breed, freeze, spin, close_output),
        *(claim_much, babble_on, flood, return_odd, chatter, babble, hang_up, talk_rubbish, fork),
    )
}


def count(config: Config, trial: Trial) -> dict[str, float]:
    """Count to `trial.stop`, on from where the checkpoint is; `die_at` some number, once."""
    number = int((trial.previous / "number").read_text()) if trial.previous else 0
    for reached in range(trial.start + 1, trial.stop + 1):
        number += 1
        trial.report(reached, number=number)
        with trial.checkpoint(reached) as folder:
            (folder / "number").write_text(str(number))
        if reached == config.get("die_at") and trial.start == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return {"loss": -number, "start": trial.start}


def sockets() -> Iterator[int]:
    """Find the sockets of this process."""
    for name in sorted(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(name.name)).st_mode):
                yield int(name.name)
