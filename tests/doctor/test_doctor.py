"""`hpmpi doctor`, on this machine: what is well is well, and what is broken is found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpmpi.doctor import machine, ranks
from hpmpi.doctor.finding import WIDTH, Finding, Verdict
from hpmpi.doctor.run_place import RunPlace
from hpmpi.errors import SettingsError
from hpmpi.launch import launchers
from hpmpi.launch.launchers import Launcher, Start
from hpmpi.launch.placement import Placement
from hpmpi.slurm import squeue
from hpmpi.storage import lock
from hpmpi.transports import resources
from tests.harness.runs import LIMIT_S, MPIRUN, ROOT, left

TWO = Placement(2, {})


def doctor(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Ask it, with no Slurm to be found."""
    return subprocess.run(
        [sys.executable, "-m", "hpmpi", "doctor", str(folder)],
        cwd=folder.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PATH": "/bin"} | environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def verdicts(text: str) -> dict[str, str]:
    """Read what is said of each thing."""
    lines = [line for line in text.splitlines() if line[:1].strip() and line[8:9].strip()]
    return {line[8:22].strip(): line[:8].strip() for line in lines}


@pytest.mark.mpi
@pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun beside this Python")
def test_a_machine_that_is_well_is_found_to_be(tmp_path: Path) -> None:
    told = doctor(tmp_path / "results")
    found = verdicts(told.stdout)
    assert (told.returncode, told.stderr) == (0, ""), told.stdout
    assert {"wrong"}.isdisjoint(found.values())
    well = {"Python", "threads", "run folder", "locks", "MPI", "launcher", "two ranks"}
    assert {found[name] for name in well} == {"ok"}
    assert max(map(len, told.stdout.splitlines())) <= WIDTH
    assert [*tmp_path.iterdir()] == [], "nothing is left behind"


def test_what_matters_and_is_wrong_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "mpi4py.py").write_text("raise ImportError('libmpi.so is not here')")
    told = doctor(tmp_path / "results", OMP_NUM_THREADS="4096", PYTHONPATH=f"{tmp_path}:{ROOT}")
    found = verdicts(told.stdout)
    assert (found["MPI"], found["threads"]) == ("wrong", "wrong")
    assert "two ranks" not in found
    assert told.stdout.count("-> ") >= 2
    assert "-> unset OMP_NUM_THREADS" in told.stdout
    assert (told.returncode, told.stdout.splitlines()[-1]) == (1, "2 things to mend")


# -- two ranks -------------------------------------------------------------------------------------


def launcher(*words: str) -> Launcher:
    """Make a launcher of some words, before which comes Python."""
    return Launcher("mpirun (fake)", lambda _team, _name: Start(list(words), {}))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("""echo 'met: [["a", true]]'; echo 'met: [["a", true]]'""", "each was alone, as under"),
        ("echo 'no route to b' >&2; exit 5", "no route to b"),
        ("exit 5", "exit code 5"),
    ],
)
def test_a_launcher_that_brings_nobody_together_is_told_with_its_words(
    script: str, said: str
) -> None:
    met = ranks.meet(launcher("sh", "-c", script), TWO, None)
    assert (met.ranks, met.said.startswith(said)) == (0, True)


def test_a_launcher_that_hangs_is_ended_and_so_is_what_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks, "START_S", 0.5)
    script = f"cd {tmp_path}; sleep 600 & wait"
    assert ranks.meet(launcher("sh", "-c", script), TWO, None).said == "nothing was said for 0.5 s"
    assert left(tmp_path) == []


def test_where_ranks_do_not_see_the_run_folder_that_is_wrong() -> None:
    met = ranks.heard('met: [["node1", true], ["node2", false]]', 0)
    assert ranks.seen_together(met, 1.0, asked=True).verdict is Verdict.WRONG
    assert ranks.seen_together(met, 1.0, asked=False).verdict is Verdict.WELL


def test_on_a_login_node_ranks_that_do_not_start_are_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> list[Launcher]:
        raise SettingsError(["no launcher here starts ranks; install one"])

    monkeypatch.setattr(launchers, "choose", refuse)
    (note,) = ranks.starts(None, None, in_login=True)
    assert (note.verdict, note.todo) == (Verdict.NOTE, ranks.IN_AN_ALLOCATION)
    (wrong,) = ranks.starts(None, None, in_login=False)
    assert wrong.verdict is Verdict.WRONG


def test_a_slurm_that_is_silent_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(squeue, "known", lambda *_: None)
    (found,) = ranks.slurm("slurm 24.05", None)
    assert found.verdict is Verdict.WRONG


# -- the machine -----------------------------------------------------------------------------------


def test_gpus_without_a_driver_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    place = resources.Place(frozenset({0}), nvidia=2)
    assert [it.verdict for it in machine.gpus(place)] == [Verdict.WRONG]
    assert [it.verdict for it in machine.gpus(place._replace(nvidia=0))] == [Verdict.ABSENT]


def test_a_pytorch_that_sees_no_gpu_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "output", lambda _: "0 13.0\n")
    assert machine.pytorch(2).verdict is Verdict.WRONG
    monkeypatch.setattr(machine, "output", lambda _: "2 13.0\n")
    assert machine.pytorch(2).verdict is Verdict.WELL


# -- the run folder --------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_wrong_and_nothing_is_asked_of_it() -> None:
    place = RunPlace(Path("/proc/nowhere"))
    assert [it.verdict for it in place.findings()] == [Verdict.WRONG]
    assert place.probe is None


def test_a_file_system_without_locks_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "guard", lambda _: lock.Guarded.UNKNOWN)
    place = RunPlace(tmp_path / "results")
    found = {it.what: it.verdict for it in place.findings()}
    place.clean()
    assert found == {"run folder": Verdict.WELL, "locks": Verdict.NOTE}
    assert [*tmp_path.iterdir()] == []


def test_what_is_found_is_told_in_lines_of_80_that_act_on_no_terminal() -> None:
    told = str(Finding("run folder", Verdict.WRONG, "/a/b-c" * 30 + "\x1b[1m", "name another"))
    assert max(map(len, told.splitlines())) <= WIDTH
    assert "\x1b" not in told
