"""Whatever is in a study file, a journal or a results file: a result, or one message of ours.

The command line catches HpmpiError and prints it; what else is raised here is a bug of ours.
"""

import contextlib
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hpmpi.study.checks
import hpmpi.study.settings
from hpmpi.errors import HpmpiError
from hpmpi.history import tables
from hpmpi.leader import run
from hpmpi.master.jobs import Jobs
from hpmpi.model.messages import FailureKind, Outcome, Point
from hpmpi.model.records import Curve, Decision, Ended, Failure, Joined, Lost, Result, Started
from hpmpi.model.trial import Metrics
from hpmpi.storage import run_folder
from hpmpi.storage.recovery import jobs_of
from hpmpi.storage.repair import repair
from hpmpi.study import changes, toml
from hpmpi.views import export, show, show_json
from hpmpi.views.run_view import look, stored_study, sum_up
from tests.harness.runs import ROOT
from tests.harness.shelf import checkpoint

STUDY = """
objective = "hpmpi.trainables.mlp:train"
metric = "accuracy"
mode = "max"
seed = 3

[space]
rate = { type = "float", low = 1e-4, high = 1e-1, log = true }
layers = { type = "int", low = 1, high = 4 }
solver = { type = "choice", values = ["sgd", 1, 1.5, true] }

[searcher]
first = [{ rate = 1e-3 }]

[scheduler]
method = "asha"
max_resource = 9

[stop]
max_trials = 8
time_s = 3600

[objective_args]
dataset = "digits"
"""

WORDS = [
    *STUDY.split(),
    "[[",
    "nan",
    "-inf",
    "9" * 5000,
    "0x" + "f" * 5000,
    "1979-05-27",
    '"\\u0000"',
]

tried = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run folder as a run leaves it, but for its logs and checkpoints."""
    folder = tmp_path_factory.mktemp("run")
    study = read(folder, STUDY)
    jobs = jobs_of(study, [])
    opened = run_folder.Store(folder)
    for decision in decisions(study, jobs):
        opened.append(decision)
    board = sum_up(study, opened.decisions).board
    told = tables.tell(opened.decisions, board)
    checkpoint(opened, told, {"hpmpi": "0", "settings": study.toml()})
    opened.close()
    return folder


def read(folder: Path, text: str) -> hpmpi.study.settings.Settings:
    """Read a study file."""
    (folder / "study.toml").write_text(text, encoding="utf-8", errors="surrogateescape")
    return hpmpi.study.checks.read(folder / "study.toml", [])


def decisions(study: hpmpi.study.settings.Settings, jobs: Jobs) -> list[Decision]:
    """Lead a study of one rank, some of whose attempts fail."""
    rungs = jobs.scheduler.rungs
    made: list[Decision] = [
        Started(0.0, "0", study.toml(), "cafe", 2, rungs, run_folder.FORMAT),
        Joined(0.5, 1, "node1", 17),
    ]
    for at in range(1, 40):
        assigned = jobs.hand_out(1, float(at), may_start=jobs.trials < 8, able=1)
        if assigned is None:
            break
        made.append(assigned)
        job = (assigned.trial, assigned.rung, assigned.attempt)
        metrics: Metrics = {"accuracy": 1 / (1 + (at * 7) % 11), "size": float(at)}
        if at % 9 == 8:
            made += [Lost(at + 0.5, 2), Failure(at + 0.5, *job, 1, FailureKind.CRASH, "SIGSEGV")]
        else:
            made.append(Curve(at + 0.2, *job, [Point(1, metrics)]))
            made.append(Result(at + 0.5, *job, assigned.resource, 1, metrics, 1))
        jobs.redo(made[-1])
    return [*made, Ended(99.0, Outcome.COMPLETE, "complete")]


def use(folder: Path) -> None:
    """Do with a run folder what the command line does."""
    with contextlib.suppress(HpmpiError):
        summary = look(folder)
        show.text(summary, 5)
        show_json.text(summary, 5)
        for write in export.FORMATS.values():
            write(summary)
    with contextlib.suppress(HpmpiError):
        study = stored_study(run_folder.read(folder).decisions, folder)
        jobs_of(study, run.read(folder, study).decisions)
    with contextlib.suppress(HpmpiError):
        repair(folder)


def put(folder: Path, name: str, content: bytes, *, alone: bool) -> None:
    """Put a file into a run folder, in which nothing else is if it is to be `alone`."""
    for other in (run_folder.JOURNAL, run_folder.RESULTS):
        if alone:
            (folder / other).unlink(missing_ok=True)
    (folder / name).write_bytes(content)


# -- the study file --------------------------------------------------------------------------------


@tried
@given(st.data())
def test_a_study_file_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    words = STUDY.split(" ")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(words) - 1))
        words[place : place + data.draw(st.integers(0, 2))] = data.draw(
            st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=2)
        )
    with contextlib.suppress(HpmpiError):
        study = read(tmp_path, " ".join(words))
        assert msgspec.to_builtins(hpmpi.study.settings.parse(study.toml())) is not None


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.sampled_from(
        ["asha", "full", "random", "x:y", ":", "a..b:c", ".:f", "__main__:f", "a\0.py:f"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


@tried
@given(st.data())
def test_a_table_with_any_value_anywhere_is_read_or_refused(
    tmp_path: Path, data: st.DataObject
) -> None:
    table: dict[str, Any] = toml.load(STUDY, "the study")
    for _ in range(data.draw(st.integers(1, 2))):
        inner = data.draw(
            st.sampled_from([table, *(it for it in table.values() if type(it) is dict)])
        )
        keys = [*inner, "name", "baseline", "eta", "keep", "target", "patience_s", "values", "when"]
        inner[data.draw(st.sampled_from(keys))] = data.draw(VALUES)
    with contextlib.suppress(HpmpiError):
        try:
            text = tomli_w.dumps(toml.without_none(table))
        except (TypeError, ValueError, RecursionError):
            return  # no TOML at all
        study = read(tmp_path, text)
        assert changes.differences(hpmpi.study.settings.parse(study.toml()), study) == []


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000,
        "a = " + "[" * 100 + "]" * 100,
        ".".join("a" * 5000) + " = 1",
        "a = " + "9" * 5000,
        'name = "' + "x" * 300 + '"\n' + STUDY,
        'name = "a\\u0000b"\n' + STUDY,
        STUDY.replace("hpmpi.trainables.mlp", "x" * 5000 + ".py"),
        STUDY.replace("hpmpi.trainables.mlp", ".mlp"),
        STUDY.replace("hpmpi.trainables.mlp", "a\\u0000b"),
        STUDY.replace('"asha"', '"hpmpi.master.schedulers.asha:"'),
    ],
)
def test_extremes_in_a_study_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(HpmpiError):
        read(tmp_path, text)


# -- the journal -----------------------------------------------------------------------------------


def resealed(row: bytes) -> bytes:
    """Give a line the checksum that it should have."""
    text = row.rpartition(b',"crc":')[0]
    return text + b',"crc":"%08x"}' % zlib.crc32(text)


def mutate(rows: list[bytes], draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    """Change something in a journal."""
    place, other = (draw(st.integers(0, len(rows) - 1)) for _ in range(2))
    row = rows[place]
    at = draw(st.integers(0, max(len(row) - 1, 0)))
    seal = resealed if draw(st.booleans()) else bytes
    match draw(
        st.sampled_from(["flip", "cut", "drop", "double", "swap", "number", "words", "any"])
    ):
        case "flip" if row:
            rows[place] = seal(
                row[:at] + bytes([row[at] ^ 1 << draw(st.integers(0, 7))]) + row[at + 1 :]
            )
        case "cut":
            rows[place] = row[:at]
        case "drop" if len(rows) > 1:
            del rows[place]
        case "double":
            rows.insert(other, row)
        case "swap":
            rows[place], rows[other] = rows[other], row
        case "number":
            digits = [spot for spot in range(len(row)) if row[spot : spot + 1].isdigit()]
            if digits:
                spot = draw(st.sampled_from(digits))
                number = draw(
                    st.sampled_from([b"-1", b"99", b"1" + b"0" * 18, b"9" * 30, b"0", b"1e9"])
                )
                rows[place] = seal(row[:spot] + number + row[spot + 1 :])
        case "words":
            words = [
                b'"rank"',
                b'"trial"',
                b'"accuracy"',
                b'"config"',
                b'"at"',
                b'"rungs"',
                b"true",
            ]
            rows[place] = seal(
                row.replace(draw(st.sampled_from(words)), draw(st.sampled_from(words)), 1)
            )
        case "any":
            rows.insert(place, seal(draw(st.binary(max_size=30))))


@settings(tried, max_examples=300)
@given(st.data())
def test_a_journal_is_read_or_refused(folder: Path, data: st.DataObject) -> None:
    beside = (folder / run_folder.RESULTS).read_bytes()
    whole = (folder / run_folder.JOURNAL).read_bytes()
    rows = whole.split(b"\n")[:-1]
    try:
        for _ in range(data.draw(st.integers(1, 3))):
            mutate(rows, data.draw)
        put(folder, run_folder.JOURNAL, b"\n".join([*rows, b""]), alone=data.draw(st.booleans()))
        use(folder)
    finally:
        put(folder, run_folder.RESULTS, beside, alone=True)
        put(folder, run_folder.JOURNAL, whole, alone=False)


def test_the_journal_as_it_was_is_not_refused(folder: Path) -> None:
    saved = run_folder.read(folder)
    assert len(look(folder).board.standings) == 8
    jobs_of(stored_study(saved.decisions, folder), saved.decisions)


ABSURD = [
    ('"rank":1,', '"rank":1000000000000000000,'),
    ('"rank":1,', '"rank":-1,'),
    ('"rank":1,', '"rank":0,'),
    ('"trial":1,', '"trial":7,'),
    ('"trial":0,', '"trial":-1,'),
    ('"rung":0,', '"rung":99,'),
    ('"rung":0,', '"rung":-1,'),
    ('"attempt":1,', '"attempt":9,'),
    ('"resource":1,', '"resource":-1,'),
    ('"resource":1,', '"resource":99999999999999999999999,'),
    ('"at":1.0,', '"at":-1.0,'),
    ('"at":1.0,', '"at":"nan",'),
    ('"at":1.0,', '"at":1e300,'),
    ('"accuracy":', '"accurate":'),
    ('"config":{', '"config":{"new":null,'),
    ('"config":{', '"config":{"new":[1,{"old":null}],'),
    ('"config":{', '"config":{"new":' + "[" * 70 + "]" * 70 + ","),
    ('"config":{', '"config":{"new":1000000000000000000,'),
    ('"ranks":2,', '"ranks":-2,'),
    ('"rungs":[1,3,9]', '"rungs":[9,3,1]'),
    ('"rungs":[1,3,9]', '"rungs":[-1,3,9]'),
]


@pytest.mark.parametrize(("before", "after"), ABSURD)
def test_nonsense_with_the_right_checksum_is_refused(
    folder: Path, tmp_path: Path, before: str, after: str
) -> None:
    rows = (folder / run_folder.JOURNAL).read_bytes().split(b"\n")[:-1]
    place = next(
        it for it, row in enumerate(rows) if before.encode() in row and b"curve" not in row
    )
    rows[place] = resealed(rows[place].replace(before.encode(), after.encode(), 1))
    (tmp_path / run_folder.JOURNAL).write_bytes(b"\n".join([*rows, b""]))
    with pytest.raises(HpmpiError, match="damaged"):
        look(tmp_path)


# -- the results file ------------------------------------------------------------------------------


@tried
@given(st.data())
def test_a_damaged_results_file_is_refused(
    folder: Path, tmp_path: Path, data: st.DataObject
) -> None:
    whole = bytearray((folder / run_folder.RESULTS).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    put(
        tmp_path,
        run_folder.RESULTS,
        bytes(whole[: data.draw(st.integers(0, 2 * len(whole)))]),
        alone=True,
    )
    use(tmp_path)


READ_MANY = """
import random, signal, sys
from pathlib import Path
from hpmpi.storage import results_file, run_folder
from tests.test_fuzz import put, use
folder, whole, first = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes(), int(sys.argv[3])
for seed in range(first, int(sys.argv[4])):
    print(seed, flush=True)
    signal.alarm(30)  # libhdf5 can go round in circles
    draw = random.Random(seed)
    text = bytearray(whole)
    for _ in range(draw.randint(1, 20)):
        text[draw.randrange(results_file.HEAD_BYTES, len(text))] ^= 1 << draw.randrange(8)
    put(folder, run_folder.RESULTS, bytes(text), alone=True)
    results_file.seal(folder / run_folder.RESULTS)
    use(folder)
"""


def test_what_is_damaged_below_the_right_digest_raises_nothing_else(
    folder: Path, tmp_path: Path
) -> None:
    seed, last = 0, 200
    crashed = []
    while seed < last:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                READ_MANY,
                tmp_path,
                folder / run_folder.RESULTS,
                f"{seed}",
                f"{last}",
            ],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        seed = int(done.stdout.split()[-1]) + 1
        assert done.returncode <= 0, done.stderr  # less than 0: libhdf5 crashed or hung
        crashed += [seed - 1] if done.returncode else []
    assert len(crashed) < last / 10, crashed
