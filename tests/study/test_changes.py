"""What may differ when a study is gone on with, and how it is told."""

from pathlib import Path

import pytest

from hpmpi.study import changes, checks, settings
from hpmpi.study.settings import Settings
from hpmpi.study.toml import apply, load

STUDY = """
objective = "train.py:train"
[space]
layers = { type = "int", low = 1, high = 4 }
[objective_args]
data = "/scratch/old/train.npz"
files = ["/old/a", "/old/b"]
depth = 3
missing = nan
deep = { missing = [nan, 1] }
[data]
source = "load.py:load"
folder = "/scratch"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a study."""
    for name in ("train.py", "load.py"):
        (tmp_path / name).touch()
    (tmp_path / "mine.toml").write_text(STUDY)
    return tmp_path / "mine.toml"


def differences(file: Path, *now: str, before: tuple[str, ...] = ()) -> list[str]:
    """Say what differs, and may not, from the study before."""
    return changes.differences(checks.read(file, [*now]), stored(file, *before))


def stored(file: Path, *said: str) -> Settings:
    """Read a study as a run has it."""
    return settings.parse(checks.read(file, [*said]).toml())


def test_a_study_is_the_same_as_it_was_stored(file: Path) -> None:
    assert differences(file) == []
    assert changes.moves(checks.read(file, []), stored(file)) == []


def test_only_some_settings_may_change_when_a_study_goes_on(file: Path) -> None:
    free = ["stop.max_trials=7", "limits.patience_s=3", "run.keep=all", "name=other"]
    more = ["scheduler.unit=rows", "baseline=train.py:base", "data.folder=/other"]
    assert differences(file, *free, *more) == []
    assert differences(file, "seed=1", "space.layers.high=5", "metric=other") == [
        "space.layers.high = 5, and 4 in the run that is there",
        "metric = 'other', and nothing in the run that is there",
        "seed = 1, and 0 in the run that is there",
    ]


def test_what_is_no_number_is_the_same_as_itself_only(file: Path) -> None:
    (said,) = differences(file, "objective_args.missing=0.5")
    assert said.startswith("objective_args.missing = 0.5, and nan in the run that is there")
    (said,) = differences(file, before=("objective_args.deep.missing=[0.5, 1]",))
    assert said.startswith("objective_args.deep.missing[0] = nan, and 0.5 in the run that is there")


@pytest.mark.parametrize(
    ("now", "moved"),
    [
        ("objective_args.data=/scratch/new/train.npz", True),
        ("objective_args.data=/train.npz", True),
        ("objective_args.files=['/new/a', '/new/b']", True),
        ("objective_args.data=/scratch/old/test.npz", False),
        ("objective_args.data=new/train.npz", False),
        ("objective_args.files=['/new/a', '/new/c']", False),
        ("objective_args.files=['/new/a']", False),
        ("objective=/elsewhere/train.py:train", False),
        ("objective_args.depth=4", False),
    ],
)
def test_a_file_may_be_moved_and_no_other_may_take_its_place(now: str, *, moved: bool) -> None:
    study = checks.check({**load(STUDY, ""), "name": "mine"})
    table = load(STUDY, "")
    apply(table, now)
    changed = checks.check({**table, "name": "mine"})
    assert (changes.differences(changed, study) == []) == moved
    assert all("moved" in each for each in changes.moves(changed, study))


def test_a_move_is_said(file: Path) -> None:
    now = checks.read(file, ["objective_args.data=/new/train.npz"])
    assert changes.moves(now, stored(file)) == [
        "objective_args.data = '/new/train.npz' is taken for '/scratch/old/train.npz', moved"
    ]


LEARNER = """
from hpmpi.master.searchers.random import Random

class Mine(Random):
    def learn(self, config, rung, resource, loss, metrics):
        pass
"""


def test_a_study_whose_searcher_is_in_a_file_beside_it_may_be_moved(tmp_path: Path) -> None:
    studies = []
    for place in ("old", "new"):
        (tmp_path / place).mkdir()
        file = tmp_path / place / "mine.toml"
        searcher = 'method = "mine.py:Mine"\nlearn_from = ["results/old"]\n'
        file.write_text(f"{STUDY}[searcher]\n{searcher}")
        for name in ("mine.py", "other.py"):
            file.with_name(name).write_text(LEARNER)
        for name in ("train.py", "load.py"):
            file.with_name(name).touch()
        studies.append(checks.read(file, []))
    old, new = studies
    assert changes.differences(new, old) == []
    assert changes.moves(new, old)[0].endswith("mine.py:Mine', moved")
    for other in ("searcher.method=other.py:Mine", "searcher.learn_from=['results/other']"):
        assert changes.differences(checks.read(file, [other]), old) != []


def test_what_the_study_says_no_result_depends_on_may_change(file: Path) -> None:
    (said,) = differences(file, "objective_args.depth=4")
    assert said.endswith("([run] may_change can name it, if no result depends on it)")
    named = "run.may_change=['objective_args.depth', 'data']"
    assert differences(file, "objective_args.depth=4", "data.source=train.py:load", named) == []
    assert differences(file, "objective_args.depths=4", named) != []
    assert differences(file, "objective_args.deep.missing=[1]", named) != []
    assert differences(file, "run.may_change=['objective_args']", "objective_args.data=x") == []


def test_what_differs_is_told_in_few_words(file: Path) -> None:
    long, many = "objective_args.text='{}'".format("a" * 10**6), str([*range(1000)])
    said = differences(file, f"objective_args.list={many}", before=(long,))
    assert [each.split()[0] for each in said] == ["objective_args.text", "objective_args.list"]
    said += differences(file, f"objective_args.files={many}")
    assert said[-1].startswith("objective_args.files[0] = 0, and '/old/a'")
    assert max(map(len, said)) < 300
