"""Folders that go with the last who uses them, and room that is really there."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpmpi.data import mapped, scratch
from hpmpi.data.scratch import ScratchFolders, enter, places, prefix, sweep
from hpmpi.transports import control_groups

STAY = """
import sys, time
from pathlib import Path
from hpmpi.data.scratch import enter
room = enter(Path(sys.argv[1]), "killed")
(room.folder / "data").write_text("much")
print(room.folder, flush=True)
time.sleep(600)
"""


def names(parent: Path) -> list[str]:
    """List what is left."""
    return [path.name for path in parent.iterdir()]


def stay(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """Have another process use a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", STAY, str(parent)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as told:
        return process, Path(told.readline().strip())


def test_the_last_who_leaves_removes_the_folder(tmp_path: Path) -> None:
    first, second = enter(tmp_path, "run"), enter(tmp_path, "run")
    assert first.folder == second.folder
    (first.folder / "whole").mkdir()
    first.leave()
    assert first.folder.is_dir()
    second.leave()
    assert names(tmp_path) == []


def test_who_leaves_twice_lets_go_of_nothing_else(tmp_path: Path) -> None:
    mine = ScratchFolders([str(tmp_path)], "run")
    lock = mine._rooms[0].lock
    mine.leave()
    with (tmp_path / "file").open("w") as file:
        assert file.fileno() == lock, "the lowest that is free"
        mine.leave()
        file.write("whole")
    assert (tmp_path / "file").read_text() == "whole"


def test_what_a_killed_process_has_left_is_swept_and_no_live_ones(tmp_path: Path) -> None:
    process, folder = stay(tmp_path)
    sweep(tmp_path)
    assert (folder / "data").exists()
    process.kill()
    process.wait()
    mine = ScratchFolders([str(tmp_path)], "next")
    assert names(tmp_path) == [f"{prefix()}next"]
    mine.leave()
    assert names(tmp_path) == []


def test_a_folder_that_another_rank_sweeps_before_it_is_locked_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sweeps = iter([tmp_path])
    looks = scratch.is_ours

    def swept_meanwhile(folder: Path) -> bool:
        for parent in sweeps:
            sweep(parent)
        return looks(folder)

    monkeypatch.setattr(scratch, "is_ours", swept_meanwhile)
    mine = enter(tmp_path, "run")
    assert mine.folder.is_dir()
    mine.leave()
    assert names(tmp_path) == []


@pytest.mark.parametrize("other", ["n-2", "n.cluster", "n+2", "n[1]"])
def test_a_host_sweeps_nothing_of_another_whose_name_begins_as_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    for host in (other, "n"):
        monkeypatch.setattr(os, "uname", lambda host=host: SimpleNamespace(nodename=host))
        (tmp_path / f"{prefix()}run").mkdir()
    sweep(tmp_path)
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename=other))
    assert names(tmp_path) == [f"{prefix()}run"]
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_what_lies_in_memory_is_nobody_elses_to_read(
    tmp_path: Path,
) -> None:
    before = os.umask(0)
    try:
        mine = ScratchFolders([str(tmp_path)], "run")
        folder = mapped.begin(mine.folders[0])
        mapped.commit(folder, mine.folders[0])
    finally:
        os.umask(before)
    found = [path for path in tmp_path.rglob("*") if not path.is_symlink()]
    assert {path.name for path in found} == {f"{prefix()}run", "lock", folder.name}
    assert [path for path in found if path.stat().st_mode & 0o077] == []
    mine.leave()


def test_a_mount_may_have_any_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    told = f"1 0 9:9 / /a\u2028b rw - ext4 x rw\n2 0 {number} / /c rw - tmpfs x rw\n"
    monkeypatch.setattr(scratch, "text_of", lambda _: told)
    assert scratch.is_memory(tmp_path)


def test_a_stopped_process_keeps_its_folder(tmp_path: Path) -> None:
    process, folder = stay(tmp_path)
    process.send_signal(signal.SIGSTOP)
    sweep(tmp_path)
    assert (folder / "data").exists()
    process.kill()
    process.wait()
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_a_sweep_that_was_interrupted_is_brought_to_its_end(tmp_path: Path) -> None:
    gone = tmp_path / f"{prefix()}run.gone-1-1"
    gone.mkdir()
    (gone / "0.npy").touch()
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_links_and_files_with_such_a_name_are_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (tmp_path / f"{prefix()}link").symlink_to(precious)
    (tmp_path / f"{prefix()}file").touch()
    sweep(tmp_path)
    assert len(names(tmp_path)) == 3
    assert names(precious) == ["file"]
    with pytest.raises(PermissionError):
        enter(tmp_path, "link")


def test_what_is_removed_takes_no_memory_where_it_is_open_still(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with (folder / "0.npy").open("wb+") as file:
        file.write(b"x" * 1000)
        file.flush()
        scratch.vanish(folder)
        assert os.fstat(file.fileno()).st_size == 0
    assert names(tmp_path) == []


def test_places_are_those_that_are_here_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERE", str(tmp_path))
    monkeypatch.delenv("NOWHERE", raising=False)
    given = ["/no/such/folder", "$NOWHERE", "$HERE", str(tmp_path), "relative"]
    assert places(given) == [tmp_path]


def test_a_folder_that_is_not_on_this_node_is_made_and_goes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site's prolog may have made it on the first node only."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch" / "job.17"))
    first, second = ScratchFolders(["$TMPDIR"], "run"), ScratchFolders(["$TMPDIR"], "run")
    assert first.home is not None
    assert first.home.parent == tmp_path / "scratch" / "job.17"
    first.leave()
    assert second.home is not None
    assert second.home.is_dir()
    second.leave()
    assert names(tmp_path / "scratch" / "job.17") == []


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    scratch = ScratchFolders([str(tmp_path / "file" / "x"), "$NOWHERE"], "run")
    assert scratch.home is None
    assert scratch.trouble == f"none of {tmp_path}/file/x, $NOWHERE is here, or can be made"


def test_a_run_without_data_has_no_rooms() -> None:
    assert ScratchFolders([], "run").home is None


def test_memory_that_the_machine_has_no_more_of_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "is_memory", lambda _: True)
    monkeypatch.setattr(scratch, "free_memory", lambda: 1000)
    assert scratch.free_bytes(tmp_path) == 800
    assert scratch.roomy([tmp_path], 801) is None


def test_a_control_group_limits_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "/proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 5000 kB\n",
        "/proc/self/cgroup": "1:cpu:/x\n0::/slurm/job\n",
        "/sys/fs/cgroup/slurm/job/memory.max": "max",
        "/sys/fs/cgroup/slurm/memory.max": "1000000",
        "/sys/fs/cgroup/slurm/memory.current": "300000",
        "/sys/fs/cgroup/slurm/memory.stat": "anon 7\ninactive_file 50000\n",
    }
    for reader in (scratch, control_groups):
        monkeypatch.setattr(reader, "text_of", lambda path: told.get(str(path), ""))
    assert scratch.free_memory() == 750_000
    told["/proc/self/cgroup"] = "4:memory:/slurm/job\n"
    told["/sys/fs/cgroup/memory/slurm/job/memory.limit_in_bytes"] = "600000"
    told["/sys/fs/cgroup/memory/slurm/job/memory.usage_in_bytes"] = "200000"
    told["/sys/fs/cgroup/memory/slurm/job/memory.stat"] = "total_inactive_file 100000\n"
    assert scratch.free_memory() == 500_000
