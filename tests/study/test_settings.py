"""Laws of the study file: whole or not at all, and every mistake at once."""

import sys
from pathlib import Path
from typing import Any

import pytest

from hpmpi.errors import SettingsError
from hpmpi.study import checks, methods, settings
from hpmpi.study.space_table import make_space

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
        checks.read(write(folder, text), changes or [])
    return caught.value.problems


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    study = checks.read(write(tmp_path), [])
    assert study.name == "mine"
    assert study.limits.patience_s == 30
    assert study.stop.max_trials == checks.MAX_TRIALS
    assert study.searcher == {"method": "random", "first": []}
    given = {"method": "asha", "max_resource": 9}
    assert study.scheduler == {"min_resource": 1, "eta": 3, "delay": False, **given}


def test_a_study_that_says_when_to_stop_has_no_other_end(tmp_path: Path) -> None:
    study = checks.read(write(tmp_path, STUDY + "\n[stop]\ntime_s = 60\n"), [])
    assert study.stop.max_trials is None


@pytest.mark.parametrize("target", ["nan", "inf", "-inf"])
def test_a_target_is_a_finite_number(tmp_path: Path, target: str) -> None:
    told = problems(tmp_path, STUDY, [f"stop.target={target}"])
    assert told == [f"stop.target = {target} must be a finite number"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("max_resource_total=0", "stop.max_resource_total = 0 is not valid: expected int >= 1"),
        (
            "max_resource_total=1.5",
            "stop.max_resource_total = 1.5 is not valid: expected int, got float",
        ),
        ("plateau=50", "stop.plateau = 50 must be a table"),
        ("plateau={ epsilon = 1 }", "stop.plateau.trials is missing; it must be given"),
        ("plateau.trials=0", "stop.plateau.trials = 0 is not valid: expected int >= 1"),
        (
            "plateau={ trials = 9, epsilon = -0.1 }",
            "stop.plateau.epsilon = -0.1 is not valid: expected float >= 0.0",
        ),
        (
            "plateau={ trials = 9, epsilon = inf }",
            "stop.plateau.epsilon = inf must be a finite number",
        ),
        (
            "plateau={ trials = 9, epsilon = nan }",
            "stop.plateau.epsilon = nan is not valid: expected float >= 0.0",
        ),
        (
            "plateau={ trials = 9, most = 1 }",
            "stop.plateau.most is not a setting; [stop.plateau] has: trials, epsilon",
        ),
    ],
)
def test_what_is_enough_is_checked(tmp_path: Path, change: str, says: str) -> None:
    assert problems(tmp_path, STUDY, [f"stop.{change}"]) == [says]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("ranks_per_trial=0", "run.ranks_per_trial = 0 is not valid"),
        ("ranks_per_trial=[]", "run.ranks_per_trial = [] is not valid"),
        ("ranks_per_trial=[1, 2.5]", "run.ranks_per_trial = [1, 2.5] is not valid"),
        ("grow='rung'", "run.grow = 'rung' is not valid: there is: 'eta'"),
        ("grow='eta'", 'run.grow = "eta" is for a scheduler that has `eta`'),
        ("world='torch'", "run.world = 'torch' is for trials of several ranks"),
        ("world='nccl'", "run.world = 'nccl' is not valid: there is: 'none', 'torch', 'mpi'"),
    ],
)
def test_how_many_ranks_a_trial_takes_is_checked(tmp_path: Path, change: str, says: str) -> None:
    [problem] = problems(tmp_path, STUDY, [f"run.{change}", "scheduler={}"])
    assert problem.startswith(says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["isolation='none'"], "run.ranks_per_trial and run.grow need run.isolation"),
        (["max_concurrent=3"], "run.max_concurrent = 3, and a trial takes 4 ranks"),
    ],
)
def test_a_group_needs_processes_and_room(tmp_path: Path, changes: list[str], says: str) -> None:
    given = [f"run.{change}" for change in ["ranks_per_trial=4", *changes]]
    [problem] = problems(tmp_path, STUDY, given)
    assert problem.startswith(says)


def test_a_plateau_is_stored_and_reads_back_the_same(tmp_path: Path) -> None:
    changes = ["stop.max_resource_total=500", "stop.plateau={ trials = 50, epsilon = 1e-3 }"]
    study = checks.read(write(tmp_path, STUDY), changes)
    plateau = settings.PlateauTable(50, 1e-3)
    assert study.stop == settings.StopTable(max_resource_total=500, plateau=plateau)
    assert settings.parse(study.toml()) == study


def test_a_target_counts_at_a_resource_that_there_is(tmp_path: Path) -> None:
    changes = ["stop.target=0.9", "stop.target_resource=10"]
    told = problems(tmp_path, STUDY, changes)
    assert told == ["stop.target_resource = 10 must not be greater than the highest rung, 9"]
    study = checks.read(write(tmp_path), [*changes[:1], "stop.target_resource=3"])
    assert study.stop.target_resource == 3


def test_a_study_whose_searcher_comes_to_an_end_goes_on_to_it(tmp_path: Path) -> None:
    grid = STUDY + '[searcher]\nmethod = "grid"\nresolution = 50\n'
    assert checks.read(write(tmp_path, grid), []).stop == settings.StopTable(max_trials=200)
    timed = checks.read(write(tmp_path, grid), ["stop.time_s=60"])
    assert timed.stop == settings.StopTable(max_trials=200, time_s=60.0)


def test_a_grid_of_any_size_is_stored_and_reads_back_the_same(tmp_path: Path) -> None:
    wide = "[space.{}]\ntype = 'int'\nlow = 1\nhigh = 1000000\n"
    text = STUDY + "".join(map(wide.format, "abcd")) + '[searcher]\nmethod = "grid"\nresolution = 9'
    study = checks.read(write(tmp_path, text), [])
    assert settings.parse(study.toml()) == study


def test_a_random_search_has_no_more_trials_than_there_are_configurations(tmp_path: Path) -> None:
    few = ["space.rate={ type = 'float', low = 0.1, high = 0.5, step = 0.1 }"]
    assert checks.read(write(tmp_path), few).stop == settings.StopTable(max_trials=20)
    capped = checks.read(write(tmp_path), [*few, "stop.max_trials=30"])
    assert capped.stop == settings.StopTable(max_trials=20)
    many = checks.read(write(tmp_path), [*few, "space.layers.high=1000"])
    assert many.stop == settings.StopTable(max_trials=checks.MAX_TRIALS)


def test_what_comes_first_has_the_types_of_the_space(tmp_path: Path) -> None:
    wide = "space.rate.high=2"
    study = checks.read(write(tmp_path), [wide, "searcher.first=[{ layers = 3.0, rate = 1 }]"])
    assert repr(study.searcher["first"]) == "[{'rate': 1.0, 'layers': 3}]"


NESTED = """
[space]
model.lr = { type = "float", low = 1e-4, high = 1e-1, log = true }
model.type = { type = "choice", values = ["a", { type = "b" }] }
"whole.name" = { type = "int", low = 1, high = 4 }
[space.model.optimizer.momentum]
type = "float"
low = 0.0
high = 1.0
[searcher]
first = [{ model.lr = 0.01, model.optimizer.momentum = 1 }]
"""


def test_hyperparameters_in_tables_have_names_with_dots(tmp_path: Path) -> None:
    text = 'objective = "train.py:train"\n' + NESTED
    study = checks.read(write(tmp_path, text), ["space.model.lr.high=0.5"])
    space = make_space(study.space, [])
    assert space is not None
    assert list(space.dimensions) == [
        *("model.lr", "model.type", "model.optimizer.momentum", "whole.name")
    ]
    assert space.dimensions["model.lr"].describe() == "a number from 0.0001 to 0.5"
    assert study.searcher["first"] == [{"model.lr": 0.01, "model.optimizer.momentum": 1.0}]
    assert settings.parse(study.toml()) == study


ENDLESS = """
from hpmpi.master.searchers.random import Random

class Sized(Random):
    size = 7

class Unsized(Random):
    size = None
"""


@pytest.mark.parametrize(("name", "trials"), [("Sized", 7), ("Unsized", checks.MAX_TRIALS)])
def test_a_users_searcher_may_say_how_many_it_has(tmp_path: Path, name: str, trials: int) -> None:
    (tmp_path / "sizes.py").write_text(ENDLESS)
    method = f'[searcher]\nmethod = "sizes.py:{name}"\n'
    assert checks.read(write(tmp_path, STUDY + method), []).stop.max_trials == trials


def test_a_method_beside_the_study_is_found_wherever_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(ENDLESS)
    monkeypatch.setattr(sys, "path", [*sys.path])
    study = checks.read(write(tmp_path, STUDY + '[searcher]\nmethod = "mine.py:Sized"\n'), [])
    assert study.searcher["method"] == f"{tmp_path}/mine.py:Sized"
    assert methods.build(settings.parse(study.toml())).rungs == (1, 3, 9)


def test_what_ran_is_stored_and_reads_back_the_same(tmp_path: Path) -> None:
    study = checks.read(write(tmp_path), ["searcher.first=[{rate = 0.01}]", "stop.target=0.9"])
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
        "space.rate: low = 1.0 must not be greater than high = 0.0",
        "space.layers.type = 'integer' is not known; there is: float, int, choice",
        "searcher.method: 'rnadom' is not known; there is: evolution, gp, grid, list, random",
        "scheduler.eat is not a setting; did you mean eta? [scheduler] has: method, unit, max_res",
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
        (STUDY + "unit = 5", "scheduler.unit = 5 must be a word for the resource"),
        ("", "objective is missing"),
        ("[space", "is not TOML"),
        ('objective = "train"\n[space]\na = {type = "int", low = 0, high = 1}', "package.module"),
        ('objective = "no.such:f"\n[space]\na = {type = "int", low = 0, high = 1}', "no module"),
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
        (STUDY + "[space.deep]\na = 3\nb = { x = 1 }", "space.deep.a = 3 must be a table with a"),
        (STUDY.replace("[space]", "[space]\nlr = [1, 2]"), '{ type = "choice", values = [1, 2] }'),
        (STUDY + "[space.'a b'.'c']\ntype = 3", "space.a b.c.type = 3 is not known"),
        (
            STUDY + "[space.'a.b']\ntype = 'int'\nlow = 1\nhigh = 2\n[space.a.b]\ntype = 'x'",
            "twice",
        ),
        (STUDY + "[space.'']\ntype = 'int'\nlow = 1\nhigh = 2", "'' can't be a name"),
        (STUDY + "[space.\"a\\u0000\"]\ntype = 'int'\nlow = 1\nhigh = 2", "can't be a name"),
        (STUDY + "[space.\"a\\u001b\"]\ntype = 'int'\nlow = 1\nhigh = 2", "can't be a name"),
        (STUDY + f"[space.{'a' * 201}]\ntype = 'int'\nlow = 1\nhigh = 2", "can't be a name"),
        (
            'metric = "a\\u0000b"\n' + STUDY.replace('metric = "accuracy"', ""),
            "metric: 'a\\x00b' can't",
        ),
        (STUDY + "[run]\nmay_change = ['seed']", "run.may_change: 'seed' may not be changed"),
        (STUDY + "[space.when]\ntype = 'choice'\nvalues = [2026-01-01]", "a date or time, 2026-01"),
        (STUDY + "[space.when]\ntype = 'choice'\nvalues = [[12:30:00]]", "a date or time, 12:30"),
        (STUDY + "[space.list]\ntype = [3]", "space.list.type = [3] is not known"),
        (STUDY + '[space.big]\ntype = "choice"\nvalues = [99999999999999999]', "is too large"),
        (STUDY + "[limits]\nmax_failures = 0", "expected int >= 1"),
        ("limits = 3\n" + STUDY, "limits = 3 must be a table"),
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
    assert getattr(checks.read(write(tmp_path), [change]), key) == value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("seed", "--set 'seed' must be table.key=value, such as --set stop.max_trials=20"),
        ("", "--set '' must be table.key=value"),
        ("seed.deep=1", "seed = {'deep': 1} is not valid: expected int"),
        ("seed=1=2", "seed = '1=2' is not valid: expected int, got text"),
        ("name.deep=1", "name is not a table"),
        ("=3", "must be table.key=value"),
        ("stop.=3", "must be table.key=value"),
        ("sede=3", "sede is not a setting; did you mean seed?"),
        ("rate=3", "rate is not a setting; did you mean space.rate?"),
        ("rat=3", "rat is not a setting; did you mean"),
        ("max_trials=3", "max_trials is not a setting; did you mean stop.max_trials?"),
        ("scheduler.max_trials=3", "did you mean stop.max_trials? [scheduler] has:"),
        ("max_resource=3", "did you mean scheduler.max_resource?"),
        ("space.rate=3", "space.rate = 3 must be a table with a type, one of: float, int, choice"),
        ("objective_args.flag=False", "a truth value is false, and a text has quotes"),
        ("space.layers.values=[a, b]", "this is no list and no table, where texts have quotes"),
    ],
)
def test_a_wrong_set_is_told_with_what_may_be_meant(tmp_path: Path, change: str, said: str) -> None:
    text = STUDY.replace("[space]", 'name = "mine"\n[space]') if "name" in change else STUDY
    found = problems(tmp_path, text, [change])
    assert [each for each in found if said in each], found


@pytest.mark.parametrize(
    ("method", "key", "said"),
    [
        (
            "scheduler.method=full",
            "scheduler.delay=true",
            """scheduler.delay is a setting of method = "asha", and this is 'full', which""",
        ),
        ("searcher.method=random", "searcher.resolution=5", 'is a setting of method = "grid", and'),
        (
            "scheduler.method=asha",
            "scheduler.brackets=1",
            "scheduler.brackets is not a setting; [scheduler] has: ",
        ),
        ("searcher.method=ses.py:S", "seed=1", "'ses.py:S' is not there: there is no file "),
        ("searcher.method=ses:S", "seed=1", "'ses:S' is not there: there is no module 'ses'"),
    ],
)
def test_what_another_method_has_and_a_method_that_is_not_there_are_told(
    tmp_path: Path, method: str, key: str, said: str
) -> None:
    study = STUDY.partition("[scheduler]")[0]
    found = problems(tmp_path, study, [method, key, "scheduler.max_resource=9"])
    assert len(found) == 1
    assert said in found[0]
    assert "did you mean" not in found[0]


def test_a_key_of_set_may_have_quotes(tmp_path: Path) -> None:
    study = checks.read(write(tmp_path), ['objective_args."a.b".c=3'])
    assert study.objective_args == {"a.b": {"c": 3}}


def test_a_class_of_the_users_is_checked_as_ours_are(tmp_path: Path) -> None:
    text = STUDY + '[searcher]\nmethod = "hpmpi.master.searchers.random:Random"\nspread = 3\n'
    assert "searcher.spread is not a setting; [searcher] has: " in problems(tmp_path, text)[0]
    no_class = STUDY + '[searcher]\nmethod = "hpmpi.master.searchers.random:Nothing"\n'
    assert "random has no 'Nothing'" in problems(tmp_path, no_class)[0]


def test_the_study_that_ships_is_valid() -> None:
    study = checks.read(Path(__file__).parents[2] / "spaces" / "digits.toml", [])
    assert methods.build(study).rungs == (1, 3, 9, 27, 81)


@pytest.mark.parametrize(
    ("name", "said"), [("a\\u0000", r"'a\x00'"), ("y" * 70_000, "of 70000 characters")]
)
def test_a_name_that_results_cannot_be_written_with_is_a_mistake(
    tmp_path: Path, name: str, said: str
) -> None:
    dimension = f'"{name}" = {{ type = "float", low = 0.0, high = 1.0 }}\n'
    (found,) = problems(tmp_path, STUDY.replace("[space]\n", f"[space]\n{dimension}"))
    assert said in found
    assert "it must have 1 to 200 characters, and none that can't be printed" in found
    assert len(found) < 200


LEARNER = """
from hpmpi.master.searchers.random import Random

class Learner(Random):
    def learn(self, config, rung, resource, loss, metrics):
        pass
"""


def test_runs_to_learn_from_lie_beside_the_study_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LEARNER)
    changes = ["searcher.method=mine.py:Learner", 'searcher.learn_from=["results/old", "/runs/a"]']
    study = checks.read(write(tmp_path), changes)
    assert study.searcher["learn_from"] == [f"{tmp_path}/results/old", "/runs/a"]
    assert settings.parse(study.toml()) == study


@pytest.mark.parametrize("method", ["random", "grid"])
def test_a_searcher_that_does_not_learn_is_told_apart(tmp_path: Path, method: str) -> None:
    changes = ["searcher.learn_from=['results/old']", f"searcher.method={method}"]
    more = ["searcher.resolution=5"] if method == "grid" else []
    [told] = problems(tmp_path, STUDY, [*changes, *more])
    learns_nothing = (
        f"searcher.learn_from: method = {method!r} learns nothing from earlier runs; use "
    )
    assert told.startswith(learns_nothing)
    assert told.endswith("a searcher of yours with a method `learn`, or leave it out")


@pytest.mark.parametrize("given", ["'results/old'", "[1]", "['']"])
def test_runs_to_learn_from_are_a_list_of_folders(tmp_path: Path, given: str) -> None:
    [told] = problems(tmp_path, STUDY, [f"searcher.learn_from={given}"])
    assert told.endswith("must be a list of run folders")
