"""Laws of the lifeline: what launch tells its ranks in the run folder."""

import os
import time
from pathlib import Path

import pytest

from hpmpi.storage import heartbeat_file
from hpmpi.storage.heartbeat_file import BEAT_S, LIFE_S, NAME, WIDTH, Lifeline, Pulse, signals


def test_what_is_asked_is_counted(tmp_path: Path) -> None:
    line = Lifeline(tmp_path / "made" / "here", "17")
    assert signals(tmp_path / "made" / "here") == []
    line.pass_on("SIGUSR1")
    line.pass_on("SIGUSR1")
    assert signals(tmp_path / "made" / "here") == ["SIGUSR1"] * 2
    line.close()


def test_nothing_is_asked_where_nobody_is(tmp_path: Path) -> None:
    assert signals(tmp_path) == signals(tmp_path / "nowhere") == []
    Lifeline(tmp_path, "17").close()
    assert signals(tmp_path) == []


@pytest.mark.parametrize("text", ["", "\n", "17", "17 1\n", "\xff\xfe \x00"])
def test_what_is_no_line_asks_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_bytes(text.encode("latin-1"))
    assert signals(tmp_path) == []


def test_a_line_is_never_read_in_part(tmp_path: Path) -> None:
    line = Lifeline(tmp_path, "17")
    for _ in range(12):
        line.pass_on("SIGUSR1")
        assert len((tmp_path / NAME).read_bytes()) == WIDTH
    line.close()
    assert len((tmp_path / NAME).read_bytes()) == WIDTH


def test_a_line_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Lifeline(tmp_path, "17")
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_one_that_finds_the_folder_held_takes_nothing_with_it(tmp_path: Path) -> None:
    holder = Lifeline(tmp_path, "17")
    Lifeline(tmp_path, "18").close()
    holder.pass_on("SIGUSR1")
    assert signals(tmp_path) == ["SIGUSR1"]
    holder.close()


def test_launch_lives_whatever_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat_file, "BEAT_S", 0.01)
    line = Lifeline(tmp_path, "17")
    before = (tmp_path / NAME).read_bytes()
    gives_up_at = time.monotonic() + 60
    while (tmp_path / NAME).read_bytes() == before:
        assert time.monotonic() < gives_up_at
        time.sleep(0.01)
    line.close()


class Watch:
    """A rank that looks twice a second at what is written by hand."""

    def __init__(self, folder: Path) -> None:
        """Begin at 100 s, in allocation 17."""
        self._path = folder / NAME
        self._pulse = Pulse(folder, "17")
        self._now = 100.0

    def write(self, text: str) -> None:
        """Say something in launch's place."""
        self._path.write_text(text)

    def look(self, for_s: float) -> float:
        """Look for so long; return for how long launch has said nothing."""
        until = self._now + for_s
        while self._now < until:
            self._pulse.stopped(self._now)
            self._now += 0.5
        return self._pulse.stopped(self._now)

    def sleep(self, for_s: float) -> None:
        """Look at nothing."""
        self._now += for_s


def test_a_launch_that_says_nothing_is_noticed_within_its_life(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.write("17 0 3\n")
    assert watch.look(1) <= 2
    assert watch.look(60) >= 58


def test_a_launch_that_beats_is_never_silent_for_long(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    for beat in range(100):
        watch.write(f"17 0 {beat}\n")
        assert watch.look(BEAT_S) <= BEAT_S + 2


@pytest.mark.parametrize("text", [None, "", "18 0 4\n", "none 0 4\n", " " * 63 + "\n"])
def test_only_the_launch_of_this_allocation_can_be_silent(tmp_path: Path, text: str | None) -> None:
    """Without one, or with another's, nobody is to requeue anything."""
    watch = Watch(tmp_path)
    if text is not None:
        watch.write(text)
    assert watch.look(60) == 0


def test_a_launch_that_left_is_not_silent(tmp_path: Path) -> None:
    Lifeline(tmp_path, "17").close()
    assert Watch(tmp_path).look(60) == 0


def test_who_has_not_looked_for_long_has_seen_no_silence(tmp_path: Path) -> None:
    """A rank that was stopped, or waited for a file server, while launch did well."""
    watch = Watch(tmp_path)
    watch.write("17 0 3\n")
    assert watch.look(LIFE_S - 4) < LIFE_S
    watch.sleep(3600)
    assert watch.look(1) <= 2
    assert watch.look(LIFE_S + 2) >= LIFE_S


def test_the_launch_of_another_allocation_is_not_watched(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("none 0 3\n")
    pulse = Pulse(tmp_path, "17")
    assert [pulse.stopped(now) for now in range(100, 200)] == [0.0] * 100


def test_a_disk_that_is_full_is_for_the_next_beat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Lifeline(tmp_path, "17")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        line.pass_on("SIGUSR1")
    assert signals(tmp_path) == []
    line.pass_on("SIGUSR1")
    assert signals(tmp_path) == ["SIGUSR1"] * 2
    line.close()


def full(*_: object) -> int:
    """Take no byte."""
    raise OSError(28, "No space left on device")
