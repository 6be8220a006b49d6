"""Laws of launch's heartbeat: what it says in the run folder, and to whom it is alive."""

import os
import time
from pathlib import Path

import msgspec
import pytest

from hpmpi.storage import heartbeat_file
from hpmpi.storage.heartbeat_file import (
    BEAT_S,
    LIFE_S,
    LINE_BYTES,
    NAME,
    Heartbeat,
    HeartbeatMonitor,
    Line,
    read,
)


def signals(folder: Path) -> list[str]:
    """Read what was passed on."""
    return list(read(folder).signals)


def test_what_is_asked_is_counted(tmp_path: Path) -> None:
    heartbeat = Heartbeat(tmp_path / "made" / "here", "17")
    assert signals(tmp_path / "made" / "here") == []
    heartbeat.pass_on("SIGUSR1")
    heartbeat.pass_on("SIGUSR1")
    assert signals(tmp_path / "made" / "here") == ["SIGUSR1"] * 2
    heartbeat.close()


def test_nothing_is_asked_where_nobody_is(tmp_path: Path) -> None:
    assert signals(tmp_path) == signals(tmp_path / "nowhere") == []
    heartbeat = Heartbeat(tmp_path, "17")
    heartbeat.pass_on("SIGUSR1")
    heartbeat.close()
    assert signals(tmp_path) == []
    assert read(tmp_path).allocation == ""


@pytest.mark.parametrize(
    "text",
    ["", "\n", "17", "17 1\n", "\xff\xfe \x00", '{"allocation":17}', "[" * 10000, '{"signals":'],
)
def test_what_is_no_line_asks_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_bytes(text.encode("latin-1"))
    assert read(tmp_path) == Line()


def test_a_line_is_never_read_in_part(tmp_path: Path) -> None:
    heartbeat = Heartbeat(tmp_path, "12345678_1000000")
    heartbeat.say(barren=1 << 40)
    for _ in range(12):
        heartbeat.pass_on("SIGUSR1")
        assert len((tmp_path / NAME).read_bytes()) == LINE_BYTES
    heartbeat.close()
    assert len((tmp_path / NAME).read_bytes()) == LINE_BYTES


def test_a_line_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Heartbeat(tmp_path, "17")
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_one_that_finds_the_folder_held_takes_nothing_with_it(tmp_path: Path) -> None:
    holder = Heartbeat(tmp_path, "17")
    holder.say(barren=2)
    other = Heartbeat(tmp_path, "18")
    assert other.line.barren == 2
    other.say(barren=3)
    other.close()
    holder.pass_on("SIGUSR1")
    assert (signals(tmp_path), read(tmp_path).barren) == (["SIGUSR1"], 2)
    holder.close()


def test_the_next_launch_goes_on_counting_and_drains_nobody(tmp_path: Path) -> None:
    killed = Heartbeat(tmp_path, "17")
    killed.say(barren=2)
    killed.pass_on("SIGUSR1")
    heartbeat = Heartbeat(tmp_path, "17")
    assert (heartbeat.line.barren, signals(tmp_path)) == (2, [])
    heartbeat.close()
    killed.close()


def test_launch_lives_whatever_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat_file, "BEAT_S", 0.01)
    heartbeat = Heartbeat(tmp_path, "17")
    before = read(tmp_path)
    gives_up_at = time.monotonic() + 60
    while read(tmp_path) == before:
        assert time.monotonic() < gives_up_at
        time.sleep(0.01)
    heartbeat.close()


class Watch:
    """A standby that looks twice a second at what is written by hand."""

    def __init__(self, folder: Path) -> None:
        """Begin at 100 s, in allocation 17."""
        self._path = folder / NAME
        self._monitor = HeartbeatMonitor(folder, "17")
        self._now = 100.0

    def write(self, allocation: str, beats: int) -> None:
        """Say something in launch's place."""
        self._path.write_bytes(msgspec.json.encode(Line(allocation, beats)))

    def look(self, for_s: float) -> float | None:
        """Look for so long; return for how long launch has said nothing."""
        until = self._now + for_s
        while self._now < until:
            self._monitor.silent_s(self._now)
            self._now += 0.5
        return self._monitor.silent_s(self._now)

    def sleep(self, for_s: float) -> None:
        """Look at nothing."""
        self._now += for_s


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """Begin to look."""
    return Watch(tmp_path)


def test_a_launch_that_says_nothing_is_noticed_within_its_life(watch: Watch) -> None:
    watch.write("17", 3)
    assert watch.look(1) == 1
    assert watch.look(60) == 61


def test_a_launch_that_beats_is_never_silent_for_long(watch: Watch) -> None:
    for beats in range(100):
        watch.write("17", beats)
        assert watch.look(BEAT_S) == BEAT_S


@pytest.mark.parametrize("allocation", [None, "", "18", "none"])
def test_only_the_launch_of_this_allocation_can_be_silent(
    watch: Watch, allocation: str | None
) -> None:
    """Without one, or with another's, nobody is to requeue anything."""
    if allocation is not None:
        watch.write(allocation, 4)
    assert watch.look(60) is None


def test_a_launch_that_left_is_not_silent(tmp_path: Path, watch: Watch) -> None:
    Heartbeat(tmp_path, "17").close()
    assert watch.look(60) is None


def test_who_has_not_looked_for_long_has_seen_no_silence(watch: Watch) -> None:
    """A standby that was stopped, or waited for a file server, while launch did well."""
    watch.write("17", 3)
    assert watch.look(LIFE_S - 4) == LIFE_S - 4
    watch.sleep(3600)
    assert watch.look(1) == 1
    assert watch.look(LIFE_S + 2) == LIFE_S + 3


def test_a_disk_that_is_full_is_for_the_next_beat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat = Heartbeat(tmp_path, "17")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        heartbeat.pass_on("SIGUSR1")
    assert signals(tmp_path) == []
    heartbeat.pass_on("SIGUSR1")
    assert signals(tmp_path) == ["SIGUSR1"] * 2
    heartbeat.close()


def full(*_: object) -> int:
    """Take no byte."""
    raise OSError(28, "No space left on device")
