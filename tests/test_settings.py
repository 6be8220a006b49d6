"""Laws of the study file: whole or not at all, and every mistake at once."""

from pathlib import Path
from typing import Any

import pytest

from hpmpi import settings
from hpmpi.errors import SettingsError

STUDY = """
objective = "train.py:train"
metric = "accuracy"
mode = "max"

[space]
rate = { type = "float", low = 1e-4, high = 1e-1, log = true }
layers = { type = "int", low = 1, high = 4 }

[scheduler]
method = "asha"
max_resource = 9
"""


def write(folder: Path, text: str = STUDY) -> Path:
    (folder / "train.py").write_text("def train(config): return 0\n")
    study = folder / "mine.toml"
    study.write_text(text)
    return study


def problems(folder: Path, text: str, changes: list[str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings.read(write(folder, text), changes or [])
    return caught.value.problems


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    study = settings.read(write(tmp_path), [])
    assert study.name == "mine"
    assert study.limits.patience_s == 30
    assert study.stop.max_trials == settings.MAX_TRIALS
    assert study.searcher == {"method": "random", "first": []}
    assert study.scheduler == {"method": "asha", "min_resource": 1, "eta": 3, "max_resource": 9}


def test_a_study_that_says_when_to_stop_has_no_other_end(tmp_path: Path) -> None:
    study = settings.read(write(tmp_path, STUDY + "\n[stop]\ntime_s = 60\n"), [])
    assert study.stop.max_trials is None


def test_a_study_whose_searcher_comes_to_an_end_goes_on_to_it(tmp_path: Path) -> None:
    grid = STUDY + '[searcher]\nmethod = "grid"\nresolution = 50\n'
    assert settings.read(write(tmp_path, grid), []).stop == settings.Stop(max_trials=200)
    timed = settings.read(write(tmp_path, grid), ["stop.time_s=60"])
    assert timed.stop == settings.Stop(max_trials=200, time_s=60.0)


def test_a_grid_of_any_size_is_stored_and_reads_back_the_same(tmp_path: Path) -> None:
    wide = "[space.{}]\ntype = 'int'\nlow = 1\nhigh = 1000000\n"
    text = STUDY + "".join(map(wide.format, "abcd")) + '[searcher]\nmethod = "grid"\nresolution = 9'
    study = settings.read(write(tmp_path, text), [])
    assert settings.parse(study.toml()) == study


ENDLESS = """
from hpmpi.searchers.random import Random

class Sized(Random):
    size = 7

class Unsized(Random):
    size = None
"""


@pytest.mark.parametrize(("name", "trials"), [("Sized", 7), ("Unsized", settings.MAX_TRIALS)])
def test_a_users_searcher_may_say_how_many_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trials: int
) -> None:
    (tmp_path / "sizes_of_searchers.py").write_text(ENDLESS)
    monkeypatch.syspath_prepend(tmp_path)
    method = f'[searcher]\nmethod = "sizes_of_searchers:{name}"\n'
    assert settings.read(write(tmp_path, STUDY + method), []).stop.max_trials == trials


def test_what_ran_is_stored_and_reads_back_the_same(tmp_path: Path) -> None:
    study = settings.read(write(tmp_path), ["searcher.first=[{rate = 0.01}]", "stop.target=0.9"])
    assert settings.parse(study.toml()) == study


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
        objective = "nowhere.py:train"
        seed = "zero"
        sede = 0
        [space]
        rate = { type = "float", low = 1, high = 0 }
        layers = { type = "integer", low = 1, high = 4 }
        [searcher]
        method = "rnadom"
        [scheduler]
        method = "asha"
        eat = 3
        [limits]
        patience_s = -1
        [stop]
        max_trails = 4
        """,
    )
    for expected in (
        "sede is not a setting; did you mean seed?",
        "seed = 'zero' is not valid: expected int, got text",
        "space.rate: low = 1.0 must be less than high = 0.0",
        "space.layers.type = 'integer' is not known; there is: float, int, choice",
        "searcher.method: 'rnadom' is not known; there is: grid, list, random",
        "scheduler.eat is not a setting; did you mean eta? [scheduler] has: method, max_resource",
        "scheduler.max_resource is missing",
        "limits.patience_s = -1 is not valid: expected float > 0",
        "stop.max_trails is not a setting; did you mean max_trials?",
        "there is no file",
    ):
        assert [each for each in found if expected in each], (expected, found)
    assert len(found) == 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "objective is missing"),
        ("[space", "is not TOML"),
        ('objective = "train"\n[space]\na = {type = "int", low = 0, high = 1}', "package.module"),
        ('objective = "no.such:f"\n[space]\na = {type = "int", low = 0, high = 1}', "no package"),
        ('objective = "train.py:train"\n[space]\n', "[space] is empty"),
        ('objective = "train.py:train"\nspace = 3\n', "space = 3 is not valid: expected table"),
        (STUDY + "min_resource = 10", "scheduler.min_resource = 10 must not be greater"),
        (STUDY + "[searcher]\nfirst = [{rat = 1}]", "'rat' is not in [space]"),
        (STUDY + "[searcher]\nfirst = [{rate = 1}]", "rate = 1 is not in the space"),
        (STUDY + "[searcher]\nfirst = 3", "must be a list of configurations"),
        (STUDY + "[searcher]\nmethod = 3", "searcher.method: 3 must be a name"),
        (STUDY + '[searcher]\nmethod = "json:JSONDecodeError"', "is not a class that has: ask"),
        (STUDY + '[searcher]\nmethod = "json:dumps"', "is not a class that has: ask"),
        (STUDY + "[space.deep]\na = 3", "must be a table with a type, one of: float"),
        (STUDY + "[space.list]\ntype = [3]", "space.list.type = [3] is not known"),
        (STUDY + '[space.big]\ntype = "choice"\nvalues = [99999999999999999]', "is too large"),
        (STUDY + "[limits]\nmax_failures = 0", "expected int >= 1"),
        (STUDY + '[run]\nkeep = "some"', "run.keep = 'some' is not valid"),
        (STUDY + "[objective_args]\nbig = 99999999999999999999999", "more than 64 bits"),
        (
            STUDY + "[objective_args]\nday = 2026-11-30",
            "a date or time, 2026-11-30: write it as text",
        ),
        (STUDY + "[objective_args]\nat = [12:30:00]", "a date or time, 12:30:00: write it as text"),
        ('name = "../up"\n' + STUDY, "name = '../up' names a folder: no dot in front"),
    ],
)
def test_a_mistake_is_said_with_what_is_valid(tmp_path: Path, text: str, expected: str) -> None:
    assert [each for each in problems(tmp_path, text) if expected in each]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("seed=7", ("seed", 7)),
        ("metric=loss", ("metric", "loss")),
        ("mode='min'", ("mode", "min")),
        ("objective_args.depth = 3", ("objective_args", {"depth": 3})),
    ],
)
def test_set_changes_one_key(tmp_path: Path, change: str, expected: tuple[str, Any]) -> None:
    key, value = expected
    assert getattr(settings.read(write(tmp_path), [change]), key) == value


@pytest.mark.parametrize("change", ["seed", "seed.deep=1", "=3", "sede=3"])
def test_a_wrong_set_is_said(tmp_path: Path, change: str) -> None:
    assert problems(tmp_path, STUDY, [change])


def test_only_some_settings_may_change_when_a_study_goes_on(tmp_path: Path) -> None:
    before = settings.read(write(tmp_path), [])
    same = settings.read(write(tmp_path), ["stop.max_trials=7", "limits.patience_s=3"])
    other = settings.read(write(tmp_path), ["seed=1", "space.layers.high=5"])
    assert settings.differences(same, before) == []
    assert settings.differences(other, before) == [
        "space.layers.high = 5, and 4 in the run that is there",
        "seed = 1, and 0 in the run that is there",
    ]


def test_what_differs_is_told_in_few_words(tmp_path: Path) -> None:
    before = settings.read(write(tmp_path), ["objective_args.text='{}'".format("a" * 10**6)])
    now = settings.read(write(tmp_path), ["objective_args.list=[1, 2, 3]"])
    said = settings.differences(now, before)
    assert [each.split()[0] for each in said] == ["objective_args.text", "objective_args.list"]
    assert max(map(len, said)) < 300


def test_a_class_of_the_users_is_checked_as_ours_are(tmp_path: Path) -> None:
    text = STUDY + '[searcher]\nmethod = "hpmpi.searchers.random:Random"\nspread = 3\n'
    assert "searcher.spread is not a setting; [searcher] has: " in problems(tmp_path, text)[0]
    no_class = STUDY + '[searcher]\nmethod = "hpmpi.searchers.random:Nothing"\n'
    assert "can't be imported" in problems(tmp_path, no_class)[0]


def test_the_study_that_ships_is_valid() -> None:
    study = settings.read(Path(__file__).parent.parent / "spaces" / "digits.toml", [])
    assert settings.build(study).rungs == (1, 3, 9, 27, 81)


@pytest.mark.parametrize(
    ("name", "said"), [("a\\u0000", r"'a\x00'"), ("y" * 70_000, "of 70000 characters")]
)
def test_a_name_that_results_cannot_be_written_with_is_a_mistake(
    tmp_path: Path, name: str, said: str
) -> None:
    dimension = f'"{name}" = {{ type = "float", low = 0.0, high = 1.0 }}\n'
    (found,) = problems(tmp_path, STUDY.replace("[space]\n", f"[space]\n{dimension}"))
    assert said in found
    assert "at most 200 characters, and no NUL" in found
    assert len(found) < 200
