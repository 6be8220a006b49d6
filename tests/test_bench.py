"""What the bench scripts share: what a report says, and what they say to what can't be."""

import json
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from scripts import harness
from scripts.harness import LESS, MORE, ROOT, numbers, share, turns

SCRIPTS = sorted(path.name for path in (ROOT / "scripts").glob("bench_*.py"))


def said(script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *words], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_can_not_be_is_said_in_one_line(script: str) -> None:
    done = said(ROOT / "scripts" / script, "--json", "/nowhere/file")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{script}: ")
    assert "/nowhere/file can't be written" in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "nan", "inf", "", "many"])
def test_how_many_is_a_whole_number(text: str) -> None:
    options = harness.Options("Bench.", repetitions=3)
    with pytest.raises(SystemExit) as ended:
        options.parse_args(["--repetitions", text])
    assert ended.value.code == 2


def test_how_long_is_a_number_that_ends() -> None:
    options = harness.Words("Bench.")
    options.add_argument("--for", type=harness.seconds(0.1), dest="for_s")
    assert options.parse_args(["--for", "0.5"]).for_s == 0.5
    for text in ("0", "nan", "inf", "-2", "soon"):
        with pytest.raises(SystemExit):
            options.parse_args(["--for", text])


def test_a_number_of_a_report_is_named_by_its_keys_and_lists_are_repetitions() -> None:
    report = {"1000": {"ours": [{"rate": 3, "s": 1.0}, {"rate": 5}]}, "plain": [2, 4], "word": "x"}
    assert dict(numbers(report)) == {"1000, ours, rate": 4, "1000, ours, s": 1.0, "plain": 3}


def test_a_share_above_one_is_better_whatever_is_measured() -> None:
    assert share(110.0, 100.0, MORE) == pytest.approx(1.1)
    assert share(100.0, 110.0, LESS) == pytest.approx(1.1)
    assert share(0.0, 0.0, LESS) == 1.0
    assert share(0.0, 2.0, LESS) == float("inf")
    assert share(2.0, 0.0, LESS) == 0.0


def test_every_other_turn_is_in_the_opposite_order() -> None:
    moments = count()
    measured = turns({"a": lambda: next(moments), "b": lambda: next(moments)}, 3)
    assert measured == {"a": [0, 3, 4], "b": [1, 2, 5]}


def test_two_trees_are_compared_by_what_their_scripts_write(tmp_path: Path) -> None:
    here, there = (tmp_path / name / "scripts" / "bench_it.py" for name in ("here", "there"))
    for script in (here, there):
        script.parent.mkdir(parents=True)
    here.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r})\n"
        "import harness; from pathlib import Path\n"
        "harness.ROOT = Path(__file__).parents[1]\n"
        "asked = harness.Options('It.', 2).read({'rate': harness.MORE})\n"
        "harness.write(asked.json, {'a': [{'rate': 100, 'else': 1}]})\n"
    )
    there.write_text(  # it need not know of any harness
        "import sys; open(sys.argv[sys.argv.index('--json') + 1], 'w')"
        """.write('{"a": [{"rate": 80, "else": 1}], "b": [3]}')\n"""
    )
    python = there.parents[1] / Path(sys.prefix).name / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    report = tmp_path / "report.json"
    done = said(here, "--against", str(there.parents[1]), "--json", str(report))
    assert done.returncode == 0, done.stderr
    header, titles, row, last = done.stdout.splitlines()
    assert header.startswith("2 turns; medians. There: ")
    assert titles.split() == ["here", "there", "ratio"]
    assert row.split() == ["a,", "rate", "100.000", "80.000", "1.25"]
    assert last == "the worst row, a, rate: 1.25, wanted 0.95: reached"
    assert {name: len(each) for name, each in json.loads(report.read_text()).items()} == {
        "here": 2,
        "there": 2,
    }
