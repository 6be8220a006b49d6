"""How much each hyperparameter matters, as it is computed."""

import sys

import pytest

from hpmpi.errors import HpmpiError
from hpmpi.history.history import History
from hpmpi.model.records import Line
from hpmpi.model.trial import Config
from hpmpi.views import importance
from tests.harness import histories

SETTINGS = """
name = "mine"
objective = "train.py:train"
metric = "loss"
[space]
idle = { type = "float", low = 0.0, high = 1.0 }
strong = { type = "float", low = 1e-4, high = 1.0, log = true }
kind = { type = "choice", values = ["a", "b"] }
rare = { type = "int", low = 1, high = 3, when = { kind = "b" } }
"""


def learnt(trials: int, rung: int = 0) -> History:
    """Have a study in which one hyperparameter tells the loss, and one is no value of the space."""
    lines: list[Line] = []
    for trial in range(trials):
        config: Config = {"idle": trial * 0.618 % 1, "strong": 10 ** -(trial * 0.414 % 4)}
        config |= {"kind": "ab"[trial % 2]} | ({"rare": trial % 3 + 1} if trial % 2 else {})
        config |= {"kind": "never heard of"} if trial == 3 else {}
        lines.append(histories.assigned(trial, rung, config=config))
        lines.append(histories.result(trial, 1e9 ** (trial * 0.414 % 4), rung))
    return histories.history(*lines, settings=SETTINGS)


def test_what_tells_the_loss_matters_most_and_what_does_not_hardly() -> None:
    found = importance.Question(learnt(60)).answer()
    assert found is not None
    means = {it.name: it.mean for it in found.weights}
    assert max(means, key=means.__getitem__) == "strong"
    assert means["strong"] > 10 * max(abs(it) for name, it in means.items() if name != "strong")
    assert (found.trials, found.resource) == (60, 1)
    assert found.score > 0.8
    assert all(it.spread >= 0 for it in found.weights)
    shares = {it.name: it.fanova or 0.0 for it in found.weights}
    assert max(shares, key=shares.__getitem__) == "strong", "Optuna finds the same"


def test_the_same_history_has_the_same_importance() -> None:
    assert importance.Question(learnt(30)).answer() == importance.Question(learnt(30)).answer()


def test_of_few_results_nothing_is_learnt() -> None:
    assert importance.Question(learnt(importance.FEWEST - 1)).answer() is None


def test_the_highest_rung_with_enough_results_is_asked() -> None:
    told = learnt(importance.ENOUGH)
    for trial in range(importance.FEWEST):
        told.add(histories.assigned(trial, 1, at=3))
        told.add(histories.result(trial, 0.5, 1, at=4))
    assert {it.id.rung for it in importance.enough(told)} == {0}
    for trial in range(importance.FEWEST, importance.ENOUGH):
        told.add(histories.assigned(trial, 1, at=5))
        told.add(histories.result(trial, 0.5, 1, at=6))
    assert {it.id.rung for it in importance.enough(told)} == {1}


def test_who_is_not_waited_for_is_ended() -> None:
    question = importance.Question(learnt(30))
    question.close()
    assert question._process is not None
    assert question._process.returncode is not None


def test_where_no_answer_comes_is_said_why(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [sys.executable, "-c", "raise SystemExit('no forest')"]
    monkeypatch.setattr(importance, "program", lambda _: failing)
    question = importance.Question(learnt(30))
    with pytest.raises(HpmpiError, match=r"can't be computed: it ended with 1: no forest"):
        question.answer()
