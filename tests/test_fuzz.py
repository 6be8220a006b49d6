"""Whatever is in a study file, a journal or a results file: a result, or one message of ours.

The command line catches HpmpiError and prints it; what else is raised here is a bug of ours.
"""

import contextlib
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
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
from hpmpi.leader import run
from hpmpi.master.jobs import Jobs
from hpmpi.master.master import Master
from hpmpi.master.roster import Roster
from hpmpi.model.events import Event, Heard, Silent
from hpmpi.model.messages import Assign, Failed, FailureKind, Finished, Point, Progress, Ready
from hpmpi.model.records import Line, Started
from hpmpi.model.trial import AttemptId, Metrics
from hpmpi.storage import run_folder, run_format
from hpmpi.storage.repair import repair
from hpmpi.storage.resume import jobs_of, rules_of
from hpmpi.study import changes, toml
from hpmpi.study.methods import build, build_searcher
from hpmpi.views import export, show, show_json
from hpmpi.views.run_view import look
from tests.harness import journals
from tests.harness.journals import resealed
from tests.harness.run_journal import RunJournal
from tests.harness.shelf import checkpoint

ROOT = Path(__file__).parents[1]

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
    lines = lead(study)
    opened = journals.filled(folder, lines)
    checkpoint(opened, journals.told(lines), {"hpmpi": "0", "settings": study.toml()})
    opened.close()
    return folder


def read(folder: Path, text: str) -> hpmpi.study.settings.Settings:
    """Read a study file."""
    (folder / "study.toml").write_text(text, encoding="utf-8", errors="surrogateescape")
    return hpmpi.study.checks.read(folder / "study.toml", [])


def lead(study: hpmpi.study.settings.Settings) -> list[Line]:
    """Lead a study on two ranks: one is lost with its first job, and some attempts fail."""
    rungs = tuple(build(study).rungs)
    lines: list[Line] = [
        Started(0.0, "0", study.toml(), "cafe", 2, rungs, run_format.FORMAT),
    ]
    roster = Roster([1, 2], patience_s=60.0, start_s=60.0, now=0.0)
    master = Master(jobs_at(study, lines), roster, rules_of(study), study.seed)
    events: deque[Event] = deque(Heard(rank, Ready(f"node{rank}", 17)) for rank in (1, 2))
    at = 0.0
    while events:
        at += 1.0
        reaction = master.handle(events.popleft(), at)
        lines += [] if reaction.entry is None else [reaction.entry]
        for rank, order in reaction.orders:
            if isinstance(order, Assign):
                events += answers(rank, order.attempt, len(lines))
    assert master.outcome is not None
    return lines


def answers(rank: int, attempt: AttemptId, number: int) -> Iterator[Event]:
    """Say what a rank does with an attempt."""
    if rank == 2:
        yield Silent((2,))
        return
    metrics: Metrics = {"accuracy": 1 / (1 + number * 7 % 11), "size": float(number)}
    yield Heard(rank, Progress(attempt, [Point(1, metrics)]))
    if number % 9 == 8:
        yield Heard(rank, Failed(attempt, FailureKind.CRASH, "SIGSEGV"))
    else:
        yield Heard(rank, Finished(attempt, metrics, 1))


def use(folder: Path) -> None:
    """Do with a run folder what the command line does."""
    with contextlib.suppress(HpmpiError):
        summary = look(folder)
        show.text(summary, 5)
        show_json.text(summary, 5)
        for form in export.FORMATS:
            with contextlib.suppress(HpmpiError):
                export.export(summary, form, export.TRIALS)
    with contextlib.suppress(HpmpiError):
        study = RunJournal(folder).history.study
        jobs_at(study, run.read(folder, study).saved.lines)
    with contextlib.suppress(HpmpiError):
        repair(folder)


def jobs_at(study: hpmpi.study.settings.Settings, lines: list[Line]) -> Jobs:
    """Bring the jobs to where a journal ends."""
    return jobs_of(study, lines, build_searcher(study, ranks=2))


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


def mutate(rows: list[bytes], draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    """Change something in a journal."""
    place, other = (draw(st.integers(0, len(rows) - 1)) for _ in range(2))
    row = rows[place]
    at = draw(st.integers(0, max(len(row) - 1, 0)))
    match draw(
        st.sampled_from(["flip", "cut", "drop", "double", "swap", "number", "words", "any"])
    ):
        case "flip" if row:
            rows[place] = row[:at] + bytes([row[at] ^ 1 << draw(st.integers(0, 7))]) + row[at + 1 :]
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
                rows[place] = row[:spot] + number + row[spot + 1 :]
        case "words":
            words = [
                b'"rank"',
                b'"attempt"',
                b'"accuracy"',
                b'"decisions"',
                b'"suggested"',
                b'"result"',
                b'"assigned"',
                b'"finished"',
                b'"heard"',
                b'"at"',
                b'"rungs"',
                b"true",
            ]
            rows[place] = row.replace(draw(st.sampled_from(words)), draw(st.sampled_from(words)), 1)
        case "any":
            rows.insert(place, draw(st.binary(max_size=30)))


@settings(tried, max_examples=300)
@given(st.data())
def test_a_journal_is_read_or_refused(folder: Path, data: st.DataObject) -> None:
    beside = (folder / run_folder.RESULTS).read_bytes()
    whole = (folder / run_folder.JOURNAL).read_bytes()
    rows = whole.split(b"\n")[:-1]
    try:
        for _ in range(data.draw(st.integers(1, 3))):
            mutate(rows, data.draw)
        if data.draw(st.booleans()):
            rows = resealed(rows)
        put(folder, run_folder.JOURNAL, b"\n".join([*rows, b""]), alone=data.draw(st.booleans()))
        use(folder)
    finally:
        put(folder, run_folder.RESULTS, beside, alone=True)
        put(folder, run_folder.JOURNAL, whole, alone=False)


def test_the_journal_as_it_was_is_not_refused(folder: Path) -> None:
    assert len(look(folder).history.trials) == 8
    jobs_at(RunJournal(folder).history.study, run_folder.read(folder).lines)


ABSURD = [
    ('"rank":1,', '"rank":1000000000000000000,'),
    ('"rank":1,', '"rank":-1,'),
    ('"rank":1,', '"rank":0,'),
    ('"rank":1}', '"rank":3}'),
    ('"ranks":[2]', '"ranks":[3]'),
    ('"attempt":[1,0,1]', '"attempt":[7,0,1]'),
    ('"attempt":[0,0,1]', '"attempt":[-1,0,1]'),
    ('"attempt":[0,0,1]', '"attempt":[-2,0,1]'),
    ('"attempt":[0,0,1]', '"attempt":[0,99999,1]'),
    ('"attempt":[0,0,1]', '"attempt":[0,-1,1]'),
    ('"attempt":[0,0,1]', '"attempt":[0,0,9]'),
    ('"attempt":[0,0,1]', '"attempt":[0,0]'),
    ('"resource":1,', '"resource":-1,'),
    ('"resource":1,', '"resource":99999999999999999999999,'),
    ('"at":1.0,', '"at":-1.0,'),
    ('"at":1.0,', '"at":"nan",'),
    ('"at":1.0,', '"at":1e300,'),
    ('"metrics":{"accuracy":', '"metrics":{"accurate":'),
    ('"finished"', '"failed"'),
    ('"suggested":[[0,', '"suggested":[[1,'),
    ('"suggested":[[0,', '"suggested":[[-1,'),
    ('"suggested":[[0,{', '"suggested":[[0,{"new":[1,{"old":null}],'),
    ('"suggested":[[0,{', '"suggested":[[0,{"new":' + "[" * 70 + "]" * 70 + ","),
    ('"suggested":[[0,{', '"suggested":[[0,{"new":1000000000000000000,'),
    ('"ranks":2,', '"ranks":-2,'),
    ('"rungs":[1,3,9]', '"rungs":[9,3,1]'),
    ('"rungs":[1,3,9]', '"rungs":[-1,3,9]'),
]


@pytest.mark.parametrize(("before", "after"), ABSURD)
def test_nonsense_with_the_right_checksum_is_refused(
    folder: Path, tmp_path: Path, before: str, after: str
) -> None:
    rows = journals.rows_in(folder)
    place = next(at for at, row in enumerate(rows) if before.encode() in row)
    rows[place] = rows[place].replace(before.encode(), after.encode(), 1)
    journals.put(tmp_path, resealed(rows))
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
from hpmpi.storage import results_file, run_folder, run_format
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
