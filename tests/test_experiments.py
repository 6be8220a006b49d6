"""The systems experiment: which runs there are, what is made of them, and real runs."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hpmpi.errors import SettingsError
from hpmpi.model.messages import Point
from hpmpi.worker.handle import open_trial
from scripts import experiments
from scripts.experiment import charts, report
from scripts.experiment import matrix as matrices
from scripts.experiment.matrix import Cell, Matrix
from scripts.experiment.padded import padded
from scripts.experiment.record import RankRecord, Record
from scripts.experiment.summary import scalings, sum_up
from tests.harness.drive import order, welcome
from tests.harness.runs import LIMIT_S, MPIRUN, ROOT, left

SLEEP = """
[models.sleep]
objective = "scripts.experiment.padded:sleep"
space = { x = { type = "float", low = 0.0, high = 1.0 } }
args = { seconds = %s, spread = 0.5 }
"""
SWEEP = """
[[sweep]]
models = ["sleep"]
workers = [1, 2]
trials = [4]
"""

needs_mpi = pytest.mark.skipif(not MPIRUN.exists(), reason=f"no mpirun beside {sys.executable}")


def written(folder: Path, text: str = SWEEP, seconds: float = 0.05, head: str = "") -> Path:
    """Write a matrix file."""
    path = folder / "tried.toml"
    path.write_text(head + SLEEP % seconds + text)
    return path


def record(cell: Cell, work_s: float, repetition: int = 0, **changes: object) -> Record:
    """Make the record of a run in which all went well, and all ranks did as much."""
    jobs = cell.trials // cell.workers
    busy_s = work_s * 0.9
    whole = Record(
        key=f"{cell}{repetition}",
        cell=cell,
        repetition=repetition,
        exit_code=0,
        bounded=False,
        process_s=work_s + 2,
        work_s=work_s,
        assigned=cell.trials,
        completed=cell.trials,
        failed=0,
        lost_jobs=0,
        killed=0,
        lost=0,
        model_bytes=None,
        sent_messages=10,
        sent_bytes=1000,
        heard_messages=20,
        heard_bytes=3000,
        ranks=[RankRecord(rank + 1, jobs, busy_s, lost=False) for rank in range(cell.workers)],
    )
    return msgspec.structs.replace(whole, **changes)


CELL = Cell("sleep", 1, 40, 0, 0, 0.0)


def cell(**changes: object) -> Cell:
    """Change the usual cell."""
    return msgspec.structs.replace(CELL, **changes)


# -- the matrix ------------------------------------------------------------------------------------


def test_a_matrix_has_every_combination_of_its_sweeps_once(tmp_path: Path) -> None:
    more = SWEEP.replace("trials = [4]", "trials = [4, 8]\nkills_per_min = [0, 30]")
    cells = matrices.read(written(tmp_path, SWEEP + more)).cells()
    assert len(cells) == len(set(cells)) == 8
    assert [each.workers for each in cells[:2]] == [1, 2]
    assert Cell("sleep", 2, 8, 0, 0, 30.0) in cells


def test_a_run_is_another_where_its_model_is_and_the_same_where_a_sweep_is_added(
    tmp_path: Path,
) -> None:
    keys = {each.key for each in matrices.read(written(tmp_path)).runs()}
    longer = {each.key for each in matrices.read(written(tmp_path, seconds=9)).runs()}
    more = written(tmp_path, SWEEP + SWEEP.replace("[4]", "[8]"), head="repetitions = 2\n")
    assert len(keys) == 2
    assert not keys & longer
    assert keys < {each.key for each in matrices.read(more).runs()}


def test_all_cells_are_run_once_before_one_is_run_again(tmp_path: Path) -> None:
    runs = matrices.read(written(tmp_path, head="repetitions = 2\n")).runs()
    assert [each.repetition for each in runs] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "sweep is missing; it must be given"),
        ("[[sweep]]", "sweep[0].models is missing; it must be given"),
        (SWEEP.replace("workers", "worker"), "sweep[0].worker is not a setting; did you mean"),
        (SWEEP.replace("[1, 2]", "[0]"), "sweep[0].workers = [0] is not valid"),
        (SWEEP.replace("[4]", "[]"), "sweep[0].trials is empty"),
        (SWEEP.replace('"sleep"', '"slep"'), "'slep' is not a model; there is: sleep"),
        (SWEEP + "[models.x]\nobjective = 3", "models.x.objective = 3 is not valid"),
        (
            SWEEP.replace('["sleep"]', '["x"]') + '[models.x]\nobjective = "no_such:f"\nspace = {}',
            "[space] is empty",
        ),
        ("sweep = [", "is not TOML"),
    ],
)
def test_a_matrix_that_is_none_is_one_message_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    assert experiments.main([str(written(tmp_path, text)), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert "Traceback" not in told.err
    assert told.out == ""


def test_all_mistakes_of_a_matrix_are_told_at_once(tmp_path: Path) -> None:
    text = SWEEP.replace("[1, 2]", "[0]") + '[models.x]\nobjective = "no_such:f"\nspace = {}\n'
    with pytest.raises(SettingsError) as caught:
        matrices.read(written(tmp_path, text, head="repetition = 2\nbound_s = 0\n"))
    told = (
        "repetition is not",
        "bound_s = 0",
        "'no_such'",
        "models.x: [space]",
        "sweep[0].workers",
    )
    assert all(any(each in line for line in caught.value.problems) for each in told)
    assert len(caught.value.problems) == len(told)


def test_where_there_is_nothing_to_tell_of_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert experiments.main([str(written(tmp_path)), "--out", str(out), "--tell"]) == 2
    assert "there is nothing to tell of: no run of tried in" in capsys.readouterr().err
    assert not out.exists()


def test_a_matrix_of_ours_is_one() -> None:
    for path in sorted((ROOT / "scripts" / "matrices").glob("*.toml")):
        assert matrices.read(path).runs() != []


def test_a_matrix_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read: No such file"):
        matrices.read(tmp_path / "none.toml")


# -- sizes -----------------------------------------------------------------------------------------


def test_a_result_is_as_large_as_was_asked_and_hides_from_the_model(tmp_path: Path) -> None:
    points: list[Point] = []
    told = welcome(tmp_path, args={"seconds": 0})
    trial, _ = open_trial(told, order(x=0.5), points.append, lambda: False)
    train = padded("scripts.experiment.padded:sleep", 10_000)
    assert train({"x": 0.5, "padding": "xxx"}, trial) == 0.5
    assert 10_000 <= len(msgspec.msgpack.encode(points)) <= 11_000
    assert len({point.resource for point in points}) == len(points)


def test_a_configuration_is_as_large_as_was_asked(tmp_path: Path) -> None:
    matrix = matrices.read(written(tmp_path, SWEEP + "config_bytes = [5000]"))
    space = matrix.study(matrix.runs()[0])["space"]
    assert space["padding"]["values"] == ["x" * 5000]


# -- what is made of runs --------------------------------------------------------------------------


def times(*seconds: float) -> list[Record]:
    """Make runs with 1, 2, 4, ... workers."""
    return [record(cell(workers=2**step), each) for step, each in enumerate(seconds)]


@pytest.mark.parametrize(
    ("seconds", "stop"),
    [
        ((8.0, 4.0, 2.0, 1.0), None),
        ((8.0, 4.0, 4.0, 4.0), 2),
        ((8.0, 4.0, 3.81, 1.0), 2),  # the step gains 0.095 of the 2.0 s that it would ideally
        ((8.0, 4.0, 3.79, 3.0), None),
        ((8.0, 9.0, 9.0), 1),
    ],
)
def test_it_stops_paying_where_a_step_gains_less_than_a_tenth_of_the_ideal(
    seconds: tuple[float, ...], stop: int | None
) -> None:
    [scaling] = scalings(sum_up(times(*seconds)))
    found = scaling.stop
    assert (found if found is None else scaling.points[found].workers) == stop


def test_of_repetitions_the_median_counts_with_the_least_and_the_greatest() -> None:
    [summary] = sum_up([record(CELL, each, number) for number, each in enumerate((5.0, 1.0, 2.0))])
    assert summary["runtime_s"] == (2.0, 1.0, 5.0)


def test_a_run_that_was_cut_has_a_throughput_and_no_runtime() -> None:
    [summary] = sum_up([record(CELL, 4.0, bounded=True, completed=10)])
    assert summary["runtime_s"] is None
    assert summary["throughput_per_s"] == (2.5, 2.5, 2.5)
    assert summary["completion"] == (0.25, 0.25, 0.25)


def test_a_run_that_only_ends_after_its_bound_has_a_runtime() -> None:
    late = record(CELL, 4.0, bounded=True, exit_code=75)
    assert (late.was_cut, late.is_odd, late.trouble) == (False, False, "")
    [summary] = sum_up([late])
    assert summary["runtime_s"] == (4.0, 4.0, 4.0)


def test_what_is_left_out_of_the_runtimes_is_told_with_why(tmp_path: Path) -> None:
    runs = times(8.0, 4.0, 2.0)
    runs[2] = msgspec.structs.replace(runs[2], bounded=True, exit_code=75, completed=30)
    report.tell(MATRIX, runs, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "1 was cut at the bound" in text
    assert "sleep, 40 trials, 4 workers, repetition 0: 30 of 40 results, cut at its bound\n" in text
    assert "sleep, 40 trials: 4 workers are left out: no run has all its results." in text


@pytest.mark.parametrize(("exit_code", "failed"), [(2, 0), (0, 40)])
def test_runs_that_went_wrong_are_named_with_their_logs_and_exit_code_1_where_all_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], exit_code: int, failed: int
) -> None:
    path, out = written(tmp_path), tmp_path / "out"
    keys = [run.key for run in matrices.read(path).runs()]
    out.mkdir()
    for key in keys:
        bad = record(CELL, 1.0, key=key, completed=0, exit_code=exit_code, failed=failed)
        experiments.append(out / experiments.RUNS, msgspec.json.encode(bad))
    assert experiments.main([str(path), "--out", str(out), "--tell"]) == 1
    told, text = capsys.readouterr().err, (out / "report.md").read_text()
    for key in keys:
        assert f"exit code {exit_code}; its log is {out}/runs/{key}/log\n" in told
        assert f"exit code {exit_code}; its log is runs/{key}/log\n" in text


def test_lines_that_differ_in_model_or_workers_look_different() -> None:
    found = [charts.looks(number) for number in range(25)]
    assert len({str(each) for each in found}) == 25
    assert len({(str(each["linestyle"]), each["marker"]) for each in found}) == 25


def test_balance_is_the_greatest_over_the_mean_and_the_coefficient_of_variation() -> None:
    ranks = [RankRecord(1, 6, 3.0, lost=False), RankRecord(2, 2, 3.0, lost=True)]
    one = record(cell(workers=2), 4.0, ranks=ranks)
    assert one.balance("jobs") == (1.5, 0.5)
    assert one.balance("busy_s") == (1.0, 0.0)
    assert record(CELL, 4.0, ranks=[]).balance("jobs") == (None, None)


MATRIX = Matrix(models={}, sweep=[], name="tried")


def many() -> list[Record]:
    """Make runs along every axis, with kills and without."""
    runs = times(8.0, 4.1, 2.3, 2.2)
    for rate in (0.0, 30.0):
        killed = {"killed": 2, "lost": 2, "assigned": 42} if rate else {}
        slower = 1.5 if rate else 1.0
        for trials in (40, 160):
            here = cell(workers=8, trials=trials, kills_per_min=rate)
            runs += [record(here, trials / 18 * slower, **{**killed, "assigned": trials + 2})]
        for size in (1024, 10 << 20):
            runs += [record(cell(workers=8, config_bytes=size, kills_per_min=rate), 3.0, **killed)]
            runs += [record(cell(workers=8, result_bytes=size, kills_per_min=rate), 2.5, **killed)]
    return list({each.cell: each for each in runs}.values())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tell of many runs."""
    folder = tmp_path_factory.mktemp("told")
    report.tell(MATRIX, many(), folder)
    return folder


def test_every_figure_is_drawn(told: Path) -> None:
    for name in ("runtime", "speedup", "balance", "load"):
        assert (told / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (told / f"{name}.svg").read_text()


def test_no_run_makes_no_figure_and_no_harm(tmp_path: Path) -> None:
    report.tell(MATRIX, [], tmp_path)
    assert [path.name for path in tmp_path.glob("*.png")] == []
    assert "0 were cut" in (tmp_path / "report.md").read_text()


class Table:
    """summary.csv, as a program reads it that knows nothing of ours."""

    def __init__(self, folder: Path) -> None:
        """Read it."""
        with (folder / "summary.csv").open() as file:
            self.rows = list(csv.DictReader(file))

    def value(self, measure: str, **wanted: object) -> float:
        """Look up a cell by its axes; what is not said is as in the usual cell."""
        whole = msgspec.structs.asdict(cell(**wanted))
        [row] = [
            row
            for row in self.rows
            if row["model"] == whole["model"]
            and all(float(row[key]) == value for key, value in whole.items() if key != "model")
        ]
        return float(row[measure])


def found(pattern: str, text: str) -> list[float]:
    """Read the numbers of the only sentence that is so."""
    [match] = re.finditer(pattern, text)
    return [float(each) for each in match.groups()]


def three(*values: float) -> list[float]:
    """Round as the text does."""
    return [float(f"{value:.3g}") for value in values]


def test_what_is_said_of_workers_agrees_with_the_numbers(told: Path) -> None:
    text, table = (told / "report.md").read_text(), Table(told)
    one, two, four, eight = (table.value("runtime_s", workers=each) for each in (1, 2, 4, 8))
    said = found(
        r"sleep, 40 trials: with 8 workers it takes (\S+) s, which is (\S+) of the (\S+) s with 1 "
        r"\(ideal (\S+)\): an efficiency of (\S+)\. "
        r"With its start, mpirun takes (\S+) s instead of (\S+) s\.\n",
        text,
    )
    whole, before = (table.value("process_s", workers=each) for each in (8, 1))
    assert said == three(eight, eight / one, one, 1 / 8, one / 8 / eight, whole, before)
    assert (two - four) / (two / 2) > 0.1
    said = found(r"it stops paying at (\d) workers: the step to (\d) gains (\S+) of what", text)
    assert said == [4, 8, *three((four - eight) / (four / 2))]


def test_what_is_said_of_load_agrees_with_the_numbers(told: Path) -> None:
    text, table = (told / "report.md").read_text(), Table(told)
    for axis, name, high, words in (
        ("trials", "number of trials", 160, "40 to 160"),
        ("config_bytes", "padding of a configuration", 10 << 20, "0 to 10 MiB"),
        ("result_bytes", "padding of a result", 10 << 20, "0 to 10 MiB"),
    ):
        for rate, kills in ((0.0, ""), (30.0, ", 30 kills a minute")):
            where = {"workers": 8, "kills_per_min": rate}
            before = table.value("throughput_per_s", **where)
            after = table.value("throughput_per_s", **where, **{axis: high})
            crossed = table.value("mpi_bytes_per_result", **where, **{axis: high})
            said = found(
                rf"sleep, 8 workers{kills}: {name} from {words}: from (\S+) to (\S+) results a "
                r"second, (\S+) of it; (\S+) KiB over MPI for a result\.",
                text,
            )
            assert said[:3] == three(before, after, after / before)
            assert said[3] == float(f"{crossed / 1024:.4g}")


def test_what_is_said_of_kills_and_balance_agrees_with_the_numbers(told: Path) -> None:
    text, table = (told / "report.md").read_text(), Table(told)
    calm, rough = {"workers": 8, "trials": 160}, {"workers": 8, "trials": 160, "kills_per_min": 30}
    said = found(
        r"sleep, 160 trials, 8 workers, 30 kills a minute: (\S+) were killed; (\S+) of the "
        r"jobs handed out were completed \(without: (\S+)\), at (\S+) of the throughput\.",
        text,
    )
    ratio = table.value("throughput_per_s", **rough) / table.value("throughput_per_s", **calm)
    share, before = (table.value("completion", **each) for each in (rough, calm))
    assert said == [table.value("killed", **rough), *three(share, before, ratio)]
    said = found(
        r"sleep, 40 trials, 8 workers: the busiest rank has (\S+) times the mean of the busy "
        r"seconds \(coefficient of variation (\S+)\), and the one with most jobs has (\S+) times",
        text,
    )
    names = ("busy_max_over_mean", "busy_cv", "jobs_max_over_mean")
    assert said == three(*(table.value(name, workers=8) for name in names))


def test_a_cell_of_which_nothing_came_is_told_of_too(tmp_path: Path) -> None:
    whole = times(1.0, 1.0)
    nothing: dict[str, Any] = {
        "work_s": None,
        "completed": 0,
        "assigned": 0,
        "bounded": True,
        "ranks": [],
    }
    runs = [msgspec.structs.replace(each, exit_code=75, **nothing) for each in whole]
    report.tell(MATRIX, runs, tmp_path)
    assert (
        "2 were cut at the bound of 60 s, and 0 ended as none"
        in (tmp_path / "report.md").read_text()
    )
    assert [each["throughput_per_s"] for each in sum_up(runs)] == [None, None]


def test_a_torn_line_is_no_record_and_goes_when_the_next_is_written(tmp_path: Path) -> None:
    matrix = matrices.read(written(tmp_path))
    keys = [run.key for run in matrix.runs()]
    for key in keys:
        line = msgspec.json.encode(msgspec.structs.replace(record(CELL, 1.0), key=key))
        experiments.append(tmp_path / experiments.RUNS, line)
        with (tmp_path / experiments.RUNS).open("ab") as file:
            file.write(line[:50])
    assert [each.key for each in experiments.known(matrix, tmp_path)] == keys


# -- real runs -------------------------------------------------------------------------------------


def commanded(path: Path, out: Path) -> "subprocess.Popen[str]":
    """Start the program as a user does."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "experiments.py"), str(path), "--out", str(out)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(path: Path, out: Path, exit_code: int = 0) -> str:
    """Have it run to the end; return what it says of it."""
    process = commanded(path, out)
    _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == exit_code, said
    return said


def records(out: Path) -> Iterator[Record]:
    """Read what is there."""
    for line in (out / "runs.jsonl").read_bytes().splitlines():
        yield msgspec.json.decode(line, type=Record)


@pytest.mark.mpi
@needs_mpi
def test_a_matrix_is_run_and_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "out"
    size = SWEEP.replace("[1, 2]", "[2]") + "result_bytes = [8192]\nconfig_bytes = [4096]\n"
    said = finished(written(tmp_path, SWEEP + size), out)
    assert "0 of 3 runs are there" in said
    runs = list(records(out))
    assert [(each.completed, each.assigned, each.exit_code) for each in runs] == [(4, 4, 0)] * 3
    assert [sum(rank.jobs for rank in each.ranks) for each in runs] == [4] * 3
    assert (runs[2].heard_bytes or 0) - (runs[1].heard_bytes or 0) > 4 * 8192
    assert (runs[2].sent_bytes or 0) - (runs[1].sent_bytes or 0) > 4 * 4096
    before = (out / "runs.jsonl").read_bytes()
    more = written(tmp_path, SWEEP + size + SWEEP.replace("[4]", "[2]").replace("1, 2", "1"))
    assert "3 of 4 runs are there" in finished(more, out)
    after = (out / "runs.jsonl").read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == 4
    assert left(out) == []


@pytest.mark.mpi
@needs_mpi
def test_ranks_are_killed_and_their_jobs_done_by_others(tmp_path: Path) -> None:
    text = SWEEP.replace("[1, 2]", "[3]").replace("[4]", "[8]") + "kills_per_min = [600]\n"
    finished(written(tmp_path, text, 0.4, "patience_s = 1\nbound_s = 100\n"), tmp_path / "out")
    [run] = records(tmp_path / "out")
    assert run.killed == 2, "all but the last one"
    assert run.completed == 8
    assert run.completed <= run.assigned <= 8 + run.lost_jobs
    assert left(tmp_path / "out") == []


@pytest.mark.mpi
@needs_mpi
def test_a_run_is_cut_at_its_bound(tmp_path: Path) -> None:
    path = written(tmp_path, SWEEP.replace("[1, 2]", "[1]"), 1000, "bound_s = 3\n")
    said = finished(path, tmp_path / "out", experiments.NOTHING)
    [run] = records(tmp_path / "out")
    assert (run.bounded, run.completed) == (True, 0)
    assert "cut at its bound" in said
    assert left(tmp_path / "out") == []


@pytest.mark.mpi
@needs_mpi
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_ends_it_leaves_nothing_running_and_no_line(tmp_path: Path, number: int) -> None:
    out = tmp_path / "out"
    process = commanded(written(tmp_path, SWEEP, 1000), out)
    gives_up_at = time.monotonic() + LIMIT_S
    while not list(out.glob("runs/*/out/journal.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < gives_up_at
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == (130 if number != signal.SIGKILL else -signal.SIGKILL)
    assert ("the same command goes on from here" in said) is (number != signal.SIGKILL)
    assert "Traceback" not in said
    assert not (out / "runs.jsonl").exists()
    assert left(out) == []
