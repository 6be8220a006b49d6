"""What checkpoints promise: whole or not at all, and no attempt harms another."""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpmpi.worker import checkpoints
from hpmpi.worker.checkpoints import Checkpoints, discard, discard_all_but, reached, trial_folder

ROOT = Path(__file__).parents[2]


def save(attempt: Checkpoints, resource: int, text: str = "") -> Path:
    """Write a checkpoint, with a file in it and one in a folder of it."""
    with attempt.save(resource) as folder:
        (folder / "model").write_text(text)
        (folder / "more").mkdir()
        (folder / "more" / "model").write_text(text)
    assert attempt.path is not None
    return attempt.path


def start(
    folder: Path, attempt: int, *, rung: int = 0, heard_of: int = 0, limit: int = 9
) -> Checkpoints:
    """Start an attempt."""
    started = Checkpoints(folder, rung, attempt)
    started.claim(heard_of=heard_of, limit=limit)
    return started


def text_of(attempt: Checkpoints) -> str:
    """Read the checkpoint that an attempt owns."""
    assert attempt.path is not None
    texts = {(attempt.path / name).read_text() for name in ("model", "more/model")}
    assert len(texts) == 1
    return texts.pop()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_the_first_attempt_finds_nothing_and_touches_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "0"
    assert Checkpoints(folder, 0, 1).claim(heard_of=0, limit=9) is None
    assert not folder.exists()


def test_a_checkpoint_is_what_was_written(tmp_path: Path) -> None:
    first = start(tmp_path, 1)
    save(first, 3, "three")
    assert text_of(first) == "three"
    assert first.newest == (3, 0, 1)


def test_only_the_newest_is_kept(tmp_path: Path) -> None:
    first = start(tmp_path, 1)
    for resource in (1, 2, 3):
        save(first, resource)
    assert names(tmp_path) == {"3-0.1"}


def test_all_are_kept_on_request(tmp_path: Path) -> None:
    for attempt, resources in ((1, (1, 2)), (2, (3, 4))):
        keeper = Checkpoints(tmp_path, 0, attempt, keep_all=True)
        keeper.claim(heard_of=0, limit=9)
        for resource in resources:
            save(keeper, resource)
    assert names(tmp_path) == {"1-0.1", "2-0.2", "3-0.2", "4-0.2"}


def test_how_far_a_trial_has_come_is_what_is_whole(tmp_path: Path) -> None:
    folder = trial_folder(tmp_path, 7)
    assert reached(tmp_path, 7) == 0
    for name in ("3-0.1", "9-1.2", ".27-2.1", "other"):
        (folder / name).mkdir(parents=True)
    (folder / "81-3.1").write_text("no folder")
    assert reached(tmp_path, 7) == 9


def test_the_same_resource_may_be_saved_again(tmp_path: Path) -> None:
    first = start(tmp_path, 1)
    save(first, 3, "three")
    save(first, 3, "three again")
    assert text_of(first) == "three again"
    assert names(tmp_path) == {"3-0.1"}


def write_half(folder: Path, error: type[BaseException]) -> None:
    (folder / "model").write_text("half")
    raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_in_the_block_leaves_what_was_there(
    tmp_path: Path, error: type[BaseException]
) -> None:
    first = start(tmp_path, 1)
    save(first, 3, "three")
    with pytest.raises(error), first.save(4) as folder:
        write_half(folder, error)
    assert names(tmp_path) == {"3-0.1"}
    assert text_of(first) == "three"


def run(code: str, folder: Path) -> int:
    """Run a program in a process; return how it ends."""
    return subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, check=False).returncode


KILLED = """
import os, signal, sys
from pathlib import Path
from hpmpi.worker.checkpoints import Checkpoints
first = Checkpoints(Path(sys.argv[1]), 0, 1)
with first.save(3) as folder:
    (folder / "model").write_text("three")
with first.save(4) as folder:
    (folder / "model").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_in_the_block_leaves_what_was_there(tmp_path: Path) -> None:
    assert run(KILLED, tmp_path) == -signal.SIGKILL
    assert names(tmp_path) == {"3-0.1", ".4-0.1"}
    second = start(tmp_path, 2, heard_of=3)
    assert second.newest == (3, 0, 2)
    assert names(tmp_path) == {"3-0.2"}


KILLED_WHILE_REMOVING = """
import os, shutil, signal, sys
from pathlib import Path
from hpmpi.worker.checkpoints import Checkpoints
def save(text):
    with first.save(3) as folder:
        (folder / "model").write_text(text)
        (folder / "more").mkdir()
        (folder / "more" / "model").write_text(text)
def remove(path, ignore_errors):
    if Path(path).exists():
        (Path(path) / "model").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
first = Checkpoints(Path(sys.argv[1]), 0, 1)
save("three")
shutil.rmtree = remove
save("three again")
"""


def test_a_kill_while_a_checkpoint_is_replaced_leaves_no_half_of_one(tmp_path: Path) -> None:
    assert run(KILLED_WHILE_REMOVING, tmp_path) == -signal.SIGKILL
    assert text_of(start(tmp_path, 2, heard_of=3)) == "three again"
    assert names(tmp_path) == {"3-0.2"}


KILLED_WHILE_REPLACING = """
import os, signal, sys
from pathlib import Path
from hpmpi.worker.checkpoints import Checkpoints
def save(text):
    with first.save(3) as folder:
        (folder / "model").write_text(text)
first = Checkpoints(Path(sys.argv[1]), 0, 1)
save("three")
rename = Path.rename
def rename_once(path, target):
    rename(path, target)
    os.kill(os.getpid(), signal.SIGKILL)
Path.rename = rename_once
save("three again")
"""


def test_a_kill_between_an_old_checkpoint_and_its_new_one_leaves_the_old(tmp_path: Path) -> None:
    assert run(KILLED_WHILE_REPLACING, tmp_path) == -signal.SIGKILL
    assert names(tmp_path) == {".3-0.1", ".3-0.1.replaced"}
    found = start(tmp_path, 2, heard_of=3).path
    assert found is not None
    assert (found / "model").read_text() == "three"
    assert names(tmp_path) == {"3-0.2"}


def test_an_older_attempt_does_not_touch_what_a_newer_one_replaces(tmp_path: Path) -> None:
    (tmp_path / ".3-0.2.replaced").mkdir()
    start(tmp_path, 1)
    assert names(tmp_path) == {".3-0.2.replaced"}


@pytest.mark.parametrize(
    "saved",
    [
        [(2, 0, 1), (5, 0, 2)],
        [(5, 0, 1), (2, 0, 2)],
        [(5, 0, 1), (3, 1, 1)],
        [(4, 1, 1), (5, 0, 1)],
    ],
)
def test_the_newest_wins_whoever_wrote_it(
    tmp_path: Path, saved: list[tuple[int, int, int]]
) -> None:
    for resource, rung, attempt in saved:
        save(Checkpoints(tmp_path, rung, attempt), resource, str(resource))
    late = start(tmp_path, 3, rung=1)
    assert text_of(late) == "5"
    assert names(tmp_path) == {"5-1.3"}


def test_between_equals_the_later_attempt_wins(tmp_path: Path) -> None:
    for attempt in (1, 10, 9):
        save(Checkpoints(tmp_path, 0, attempt), 3, str(attempt))
    assert text_of(start(tmp_path, 11)) == "10"


def test_what_is_beyond_the_job_is_not_taken(tmp_path: Path) -> None:
    save(Checkpoints(tmp_path, 0, 1), 3, "three")
    save(Checkpoints(tmp_path, 1, 1), 9, "nine")
    assert start(tmp_path, 2, rung=1, limit=8).newest == (3, 1, 2)


def test_leftovers_are_removed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), Checkpoints(tmp_path, 0, 1).save(4) as folder:
        folder.rename(tmp_path / "junk")
    (tmp_path / ".4-0.1").mkdir()
    (tmp_path / ".4-0.1" / "model").write_text("half")
    start(tmp_path, 2)
    assert names(tmp_path) == set()


def test_an_older_attempt_can_not_remove_what_a_newer_one_owns(tmp_path: Path) -> None:
    older = start(tmp_path, 1)
    save(older, 3, "three")
    newer = start(tmp_path, 2)
    assert older.path is not None
    assert not older.path.exists()
    save(older, 4, "four of the older")
    assert text_of(newer) == "three"
    save(newer, 4, "four of the newer")
    save(older, 5, "five of the older")
    assert text_of(newer) == "four of the newer"
    assert text_of(older) == "five of the older"


def test_an_older_attempt_that_starts_late_harms_no_newer_one(tmp_path: Path) -> None:
    save(start(tmp_path, 1), 3, "three")
    newer = start(tmp_path, 3)
    with newer.save(4) as folder:
        (folder / "more").mkdir()
        late = start(tmp_path, 2)
        assert late.path is None
        for name in ("model", "more/model"):
            (folder / name).write_text("four")
    assert text_of(newer) == "four"
    assert start(tmp_path, 2).path is None
    assert names(tmp_path) == {"4-0.3"}


def test_a_late_attempt_at_a_lower_rung_harms_no_job_of_a_higher(tmp_path: Path) -> None:
    save(start(tmp_path, 1), 3, "three")
    higher = start(tmp_path, 1, rung=1)
    assert start(tmp_path, 2, rung=0).path is None
    assert text_of(higher) == "three"


def test_a_checkpoint_that_was_heard_of_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(start(tmp_path, 1), 3, "three")

    def show_up(_: float) -> None:
        save(Checkpoints(tmp_path, 0, 1), 5, "five")

    monkeypatch.setattr(checkpoints, "PATIENCE_S", 1e6)
    monkeypatch.setattr(time, "sleep", show_up)  # it is there once somebody waits, and not before
    assert text_of(start(tmp_path, 2, heard_of=5)) == "five"


def test_patience_for_a_checkpoint_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "PATIENCE_S", 0.05)
    save(start(tmp_path, 1), 3, "three")
    assert text_of(start(tmp_path, 2, heard_of=5)) == "three"


def test_nothing_is_waited_for_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "PATIENCE_S", 1e6)
    save(start(tmp_path, 1), 5, "five")
    assert text_of(start(tmp_path, 2, heard_of=5)) == "five"
    assert text_of(start(tmp_path, 3, heard_of=3)) == "five"


def test_a_checkpoint_that_can_not_be_taken_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(start(tmp_path, 1), 3)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError):
        start(tmp_path, 2)


def test_discarding_takes_all_of_a_trial_and_nothing_else(tmp_path: Path) -> None:
    for trial in (1, 2, 12):
        save(Checkpoints(trial_folder(tmp_path, trial), 0, 1), 3)
    discard(tmp_path, 2)
    discard(tmp_path, 5)
    assert names(tmp_path / "checkpoints") == {"1", "12"}


@pytest.mark.parametrize(
    ("kept", "left"), [([1], {"1"}), ([], set()), ([3], set()), ([2, 12], {"2", "12"})]
)
def test_discarding_all_but_some_leaves_these(
    tmp_path: Path, kept: list[int], left: set[str]
) -> None:
    for trial in (1, 2, 12):
        save(Checkpoints(trial_folder(tmp_path, trial), 0, 1), 3)
    list(discard_all_but(tmp_path, kept))
    assert names(tmp_path / "checkpoints") == left


def test_discarding_in_a_run_without_checkpoints_does_nothing(tmp_path: Path) -> None:
    list(discard_all_but(tmp_path, [1]))
    assert names(tmp_path) == set()


@pytest.mark.parametrize("kind", ["file", "link", "broken link"])
def test_what_has_the_name_of_a_trials_folder_makes_way(tmp_path: Path, kind: str) -> None:
    folder, precious = tmp_path / "checkpoints" / "3", tmp_path / "precious"
    stray(folder, precious, kind)
    save(start(folder, 1), 3, "three")
    assert text_of(start(folder, 2)) == "three"
    assert names(precious) <= {"3-0.1"}


@pytest.mark.parametrize("kind", ["file", "link", "broken link"])
@pytest.mark.parametrize("name", ["5-0.1", ".5-0.1", ".5-0.1.replaced", "else"])
def test_only_a_folder_is_a_checkpoint(tmp_path: Path, name: str, kind: str) -> None:
    folder, precious = tmp_path / "3", tmp_path / "precious"
    first = start(folder, 1)
    save(first, 3, "three")
    stray(folder / name, precious, kind)
    second = start(folder, 2)
    assert second.newest == (3, 0, 2)
    assert names(folder) == {"3-0.2"}
    stray(folder / name, precious, kind)
    save(first, 5, "five")
    assert text_of(first) == "five"
    assert names(precious) <= {"3-0.1"}


def stray(path: Path, precious: Path, kind: str) -> None:
    """Put something where a folder is due; `precious` is what a link leads to."""
    path.parent.mkdir(exist_ok=True)
    if kind == "file":
        path.write_text("")
        return
    if kind == "link":
        (precious / "3-0.1").mkdir(parents=True, exist_ok=True)
    path.symlink_to(precious)


@pytest.mark.parametrize("kind", ["file", "link", "broken link"])
def test_discarding_takes_strays_and_not_what_they_lead_to(tmp_path: Path, kind: str) -> None:
    precious = tmp_path / "precious"
    for trial in (1, 2):
        stray(trial_folder(tmp_path, trial), precious, kind)
    discard(tmp_path, 1)
    assert names(tmp_path / "checkpoints") == {"2"}
    list(discard_all_but(tmp_path, []))
    assert names(tmp_path / "checkpoints") == set()
    assert precious.exists() == (kind == "link")
    assert names(precious) <= {"3-0.1"}


def test_what_is_no_file_in_a_checkpoint_is_let_be(tmp_path: Path) -> None:
    first = start(tmp_path, 1)
    with first.save(3) as folder, socket.socket(socket.AF_UNIX) as listener:
        os.mkfifo(folder / "pipe")
        (folder / "link").symlink_to("pipe")
        (folder / "nowhere").symlink_to("no such file")
        (folder / "up").symlink_to("..")
        before = Path.cwd()
        os.chdir(folder)  # the name of a socket has 107 letters at most
        listener.bind("socket")
        os.chdir(before)
    assert first.path is not None
    assert names(first.path) == {"pipe", "link", "nowhere", "up", "socket"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_costs_the_checkpoint_and_not_the_job(
    tmp_path: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    first = start(tmp_path / "3", 1)
    save(first, 3, "three")
    with first.save(9) as folder:
        (folder / "model").write_text("half")
        raise OSError(number, "full")
    assert names(tmp_path / "3") == {"3-0.1"}
    assert text_of(first) == "three"
    assert capsys.readouterr().err == "trial 3: no room for a checkpoint at 9; going on without\n"
    save(first, 9, "nine")
    assert text_of(first) == "nine"


def test_a_disk_that_is_full_of_folders_costs_no_job_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start(tmp_path / "3", 1)
    save(first, 3, "three")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as full:
        full.setattr(Path, "mkdir", refuse)
        with first.save(9) as folder:
            (folder / "model").write_text("nine")
    assert not folder.exists()
    assert names(tmp_path / "3") == {"3-0.1"}
    assert text_of(first) == "three"


def test_another_trouble_of_the_disk_is_an_error(tmp_path: Path) -> None:
    first = start(tmp_path, 1)
    with pytest.raises(OSError, match="broken"), first.save(9):
        raise OSError(errno.EIO, "broken")
    assert names(tmp_path) == set()


FULL = """
import os, sys
from pathlib import Path
from hpmpi.worker.checkpoints import Checkpoints
folder = Path(sys.argv[1], "3")
first = Checkpoints(folder, 0, 1)
first.claim(heard_of=0, limit=9)
for resource, size in ((1, 100), (2, 10**6), (3, 100)):
    with first.save(resource) as checkpoint:
        (checkpoint / "model").write_bytes(bytes(size))
    print(resource, sorted(os.listdir(folder)))
"""


def test_a_disk_that_is_really_full_costs_the_checkpoint_only(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=64k none "$1" || exit 42; shift; exec "$@"'
    words = ["unshare", "-m", "sh", "-c", mount, "sh", str(tmp_path), sys.executable]
    try:
        done = subprocess.run(
            [*words, "-c", FULL, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if done.returncode == 42 or "unshare" in done.stderr:
        pytest.skip("nobody may mount here")
    assert done.stdout == "1 ['1-0.1']\n2 ['1-0.1']\n3 ['3-0.1']\n"
    assert done.stderr == "trial 3: no room for a checkpoint at 2; going on without\n"


def test_a_checkpoint_that_failed_in_a_destructor_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # pytest would make it a warning

    class Careless:
        def __del__(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    checkpoints = Checkpoints(tmp_path, 0, 1)
    with checkpoints.save(3) as folder:
        (folder / "model").touch()
        Careless()
    assert checkpoints.newest is None
    assert list(tmp_path.iterdir()) == []


def test_that_there_is_no_room_for_a_word_about_it_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no device that is full")
    with full.open("w", buffering=1) as error:
        monkeypatch.setattr(sys, "stderr", error)
        with Checkpoints(tmp_path, 0, 1).save(3):
            raise OSError(errno.ENOSPC, "No space left on device")
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            error.close()
