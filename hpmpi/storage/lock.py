"""The lock of a run folder: two runs never share one.

    DIR/lock               who has the folder, in one line that its holder writes anew all the time

A kernel lock (fcntl) on the file is freed with its holder, however that dies; but it does not reach
over the nodes on every file system, and a dead node may hold it on a server for a while. So what
the file says counts as well, as a lease: it lives for as long as it changes.

               locked by nobody      locked by another         no locks in this file system
    no lease       take                 wait                       take
    of this host   take                 refuse                     look whether it changes
    of another     look                 look, wait for the server  look

Rules: time is only ever compared with this process's own clock, but by `sign_of_life`, which takes
nothing and is not so exact. While the lock is held the file is not opened again in this process,
for closing it would free the kernel lock. A holder that finds another's lease writes nothing any
more: it was held up for so long that it was taken for dead.
"""

import contextlib
import errno
import fcntl
import os
import struct
import time
from enum import Enum
from pathlib import Path

import msgspec

from hpmpi.errors import DiskError, StoreError
from hpmpi.storage.files import make_folder, trouble

NAME = "lock"

BEAT_S = 2.0
"""How often a lease is written anew."""

LEASE_S = 5 * BEAT_S
"""A lease that does not change for so long is nobody's any more."""

SERVER_S = 120.0
"""How long a file server may keep the lock of a node that died."""

LOOK_S = 0.5
"""How often a lease is looked at."""

SILENCE_S = 60.0
"""A lease that has not changed for so long is of somebody who is gone, as far as can be seen from
outside: the clocks of hosts and file servers differ by less."""

LINE_BYTES = 512
"""The length of the file: always the same, so that a line is replaced in one write."""

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
"""What a file system says that has no locks."""


class Lease(msgspec.Struct, frozen=True):
    """Who holds a folder; `kernel` tells hosts and boots of them apart, `beats` counts."""

    host: str
    kernel: str
    pid: int
    start: str
    since: str
    beats: int = 0
    released: bool = False


UNREADABLE = Lease("an unknown host", "", 0, "", "an unknown time")
"""What is no lease: half of one that is being written, or something else that nobody changes."""


class Sign(msgspec.Struct, frozen=True):
    """A sign of life: whose, how old, and whether the kernel knows that its process is gone."""

    lease: Lease
    age_s: float
    gone: bool

    @property
    def alive(self) -> bool:
        """Whether somebody has the folder, as far as can be seen."""
        return not self.gone and self.age_s < SILENCE_S


class Guarded(Enum):
    """What the kernel says of the lock."""

    MINE = "mine"
    ANOTHERS = "another's"
    UNKNOWN = "unknown"


class LeaseVerdict(Enum):
    """What is to be done about a folder."""

    TAKE = "take"
    WAIT = "wait"
    REFUSE = "refuse"


class LeaseWatch:
    """Judges, look by look, whether somebody holds a folder."""

    def __init__(self, kernel: str, now: float) -> None:
        """Begin to look, on the host that has this kernel."""
        self._kernel = kernel
        self._began_at = now
        self._seen_at = now
        self._seen: Lease | None = None

    def judge(self, guarded: Guarded, lease: Lease | None, now: float) -> LeaseVerdict:
        """Say what follows from another look."""
        if lease is None or lease.released:
            if guarded is not Guarded.ANOTHERS:
                return LeaseVerdict.TAKE
            # Somebody comes or goes, and will have said so in a moment.
            return self._until(self._began_at + LEASE_S, now, LeaseVerdict.REFUSE)
        if lease.kernel == self._kernel and guarded is not Guarded.UNKNOWN:
            return LeaseVerdict.TAKE if guarded is Guarded.MINE else LeaseVerdict.REFUSE
        if self._seen is not None and lease != self._seen:
            return LeaseVerdict.REFUSE
        if self._seen is None:
            self._seen, self._seen_at = lease, now
        if guarded is Guarded.ANOTHERS:
            return self._until(self._seen_at + SERVER_S, now, LeaseVerdict.REFUSE)
        return self._until(self._seen_at + LEASE_S, now, LeaseVerdict.TAKE)

    def _until(self, end: float, now: float, verdict: LeaseVerdict) -> LeaseVerdict:
        return LeaseVerdict.WAIT if now < end else verdict


class Lock:
    """A folder that is ours for as long as `beat` is called every few seconds."""

    def __init__(self, path: Path, descriptor: int, lease: Lease, now: float) -> None:
        """Hold the open file of a lock that was taken."""
        self._path = path
        self._descriptor = descriptor
        self._lease = lease
        self._due = now

    def beat(self, now: float) -> None:
        """Write the lease anew, if it is time; `now` is by any clock that never goes back.

        Raises StoreError where the folder is another run's by now, DiskError where the file can't
        be read or written for the moment.
        """
        if now < self._due:
            return
        try:
            self._check()
            beats = self._lease.beats + 1
            self._lease = msgspec.structs.replace(self._lease, beats=beats)
            write(self._descriptor, self._lease)
        except OSError as error:
            raise DiskError(f"{self._path} can't be written: {error.strerror}") from error
        self._due = now + BEAT_S

    def release(self) -> None:
        """Let the next run have the folder at once; the folder may have another name by now."""
        with contextlib.suppress(OSError):  # it expires by itself
            if self._newer() is None:
                write(self._descriptor, msgspec.structs.replace(self._lease, released=True))
        os.close(self._descriptor)

    def _check(self) -> None:
        newer = self._newer()
        if newer is not None:
            raise StoreError(
                f"the run in {self._path.parent} was taken over by {holder(newer)}, while this "
                "process was held up; it writes nothing any more"
            )
        if not is_there(self._path, self._descriptor):
            raise StoreError(
                f"{self._path} was removed while the run went on: another one may have begun "
                "in the folder, and this one writes nothing any more"
            )

    def _newer(self) -> Lease | None:
        found = read(self._descriptor)
        return None if found is None or found.start == self._lease.start else found


def take(folder: Path) -> Lock:
    """Take a run folder, made if it is not there, which may need patience; raises StoreError."""
    path = folder / NAME
    kernel = this_kernel()
    watch = LeaseWatch(kernel, time.monotonic())
    while True:
        try:
            make_folder(folder)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise trouble(folder, error) from error
        lock = None
        try:
            lock = look(path, descriptor, watch, kernel)
        finally:
            if lock is None:
                os.close(descriptor)
        if lock is not None:
            return lock
        time.sleep(LOOK_S)


def sign_of_life(folder: Path) -> Sign | None:
    """Find the last sign of life of who has a folder, None where nobody has it; raises StoreError.

    Takes and changes nothing. Not for the process that holds the lock: see above.
    """
    path = folder / NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}") from error
    try:
        lease = read(descriptor)
        if lease is None or lease.released:
            return None
        age_s = time.time() - os.fstat(descriptor).st_mtime
        gone = lease.kernel == this_kernel() and is_free(descriptor)
    finally:
        os.close(descriptor)
    return Sign(lease, max(age_s, 0.0), gone)


def look(path: Path, descriptor: int, watch: LeaseWatch, kernel: str) -> Lock | None:
    """Look at a lock once, and take it if it may be taken; raises StoreError if it may not."""
    try:
        guarded = guard(descriptor)
        lease, now = read(descriptor), time.monotonic()
        match watch.judge(guarded, lease, now):
            case LeaseVerdict.REFUSE:
                who = "somebody" if lease is None else holder(lease)
                raise StoreError(
                    f"a run is going on in {path.parent}, of {who}: wait for its end, or use "
                    "--out for another folder"
                )
            case LeaseVerdict.TAKE if is_there(path, descriptor):
                return taken(path, descriptor, kernel, guarded)
    except OSError as error:
        raise trouble(path, error) from error
    return None


def taken(path: Path, descriptor: int, kernel: str, guarded: Guarded) -> Lock:
    """Write a lease of our own; raises StoreError if another run was faster."""
    since = time.strftime("%Y-%m-%d %H:%M:%S %z")
    lease = Lease(os.uname().nodename, kernel, os.getpid(), os.urandom(8).hex(), since)
    write(descriptor, lease)
    lock = Lock(path, descriptor, lease, time.monotonic())
    if guarded is Guarded.UNKNOWN:
        # Two runs that saw the same old lease have both written: the later one's stands.
        time.sleep(BEAT_S)
        lock.beat(time.monotonic())
    return lock


def guard(descriptor: int) -> Guarded:
    """Ask the kernel for the lock; it is freed when any descriptor of the file is closed."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return Guarded.ANOTHERS
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return Guarded.UNKNOWN
    return Guarded.MINE


def is_free(descriptor: int) -> bool:
    """Ask the kernel whether nobody has the lock, and leave it so."""
    flock = "hhqqi"  # l_type, l_whence, l_start, l_len, l_pid: all of the file
    asked = struct.pack(flock, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        told = fcntl.fcntl(descriptor, fcntl.F_GETLK, asked)
    except OSError:
        return False  # there are no locks in this file system
    return bool(struct.unpack(flock, told)[0] == fcntl.F_UNLCK)


def read(descriptor: int) -> Lease | None:
    """Read a lease; None where the file is empty."""
    line = os.pread(descriptor, LINE_BYTES, 0)
    try:
        lease = msgspec.json.decode(line, type=Lease) if line else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return UNREADABLE
    return lease if lease is None or holder(lease).isprintable() else UNREADABLE


def write(descriptor: int, lease: Lease) -> None:
    """Write a lease, and have the disk, or the file server, hold it."""
    line = msgspec.json.encode(lease).ljust(LINE_BYTES - 1) + b"\n"
    os.pwrite(descriptor, line, 0)
    os.fsync(descriptor)


def is_there(path: Path, descriptor: int) -> bool:
    """Tell whether an open file still has its name."""
    try:
        named = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(descriptor))


def holder(lease: Lease) -> str:
    """Say who holds a folder."""
    return f"process {lease.pid} on {lease.host} since {lease.since}"


def this_kernel() -> str:
    """Tell this host, as booted, from all others; containers on it are the same."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return os.uname().nodename
