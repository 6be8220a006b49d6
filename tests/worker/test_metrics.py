"""What an objective may return or report: numbers, and beside the studied one whatever it likes."""

import datetime as dt
import math
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

import numpy as np
import pytest

from hpmpi.errors import ObjectiveError
from hpmpi.worker import metrics
from hpmpi.worker.metrics import all_numbers, check


@pytest.fixture(autouse=True)
def _nothing_said() -> Iterator[None]:
    """Begin as a process does."""
    metrics.LEFT_OUT.clear()
    yield
    metrics.LEFT_OUT.clear()


class Scalar:
    """Has a value, as a number of some framework."""

    def __init__(self, value: float) -> None:
        """Have it."""
        self.value = value

    def __float__(self) -> float:
        """Tell it."""
        return self.value


class Tensor(Scalar):
    """Has one value, and says so as tensors do."""

    def item(self) -> float:
        """Tell it."""
        return self.value


class Broken:
    """Can't be a number, though it says so."""

    def __float__(self) -> float:
        """Fail."""
        raise LookupError("on another device")

    def item(self, key: object) -> object:
        """Want something."""
        return key

    def __repr__(self) -> str:
        """Fail."""
        raise LookupError("on another device")


@pytest.mark.parametrize(
    ("returned", "value"),
    [
        (0.5, 0.5),
        (1, 1.0),
        (True, 1.0),
        (Fraction(1, 2), 0.5),
        (Fraction(-(10**400)), -math.inf),
        (Decimal("0.5"), 0.5),
        (Decimal("1e999"), math.inf),
        (Scalar(0.5), 0.5),
        (Tensor(0.5), 0.5),
        (np.array(Decimal("0.5")), 0.5),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.int64(3), 3.0),
        (np.uint8(3), 3.0),
        (np.True_, 1.0),
        (np.array(0.5), 0.5),
        (np.array([0.5]), 0.5),
        (np.array([[1]]), 1.0),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (np.float32("inf"), math.inf),
        (10**400, math.inf),
        (-(10**400), -math.inf),
    ],
)
def test_a_number_is_a_result(returned: object, value: float) -> None:
    assert check(returned, None) == {"loss": value}
    assert check(returned, "accuracy") == {"accuracy": value}
    found = check({"accuracy": returned, "loss": 1}, "accuracy")
    assert found == {"accuracy": value, "loss": 1.0}
    assert type(found["accuracy"]) is float


@pytest.mark.parametrize("returned", [math.nan, np.nan, np.float32("nan"), np.array([math.nan])])
def test_nan_is_a_result(returned: object) -> None:
    assert math.isnan(check(returned, None)["loss"])


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "'loss' must be a number and is None of type NoneType"),
        ("0.5", "'loss' must be a number and is '0.5' of type str"),
        ([0.5], "'loss' must be a number and is [0.5] of type list"),
        ((0.5, 0.6), "of type tuple"),
        (1j, "of type complex"),
        (np.complex64(1), "of type complex64"),
        (np.array(1j), "of type ndarray"),
        (b"0.5", "of type bytes"),
        (bytearray(b"0.5"), "of type bytearray"),
        (np.str_("0.5"), "of type str_"),
        (np.array("0.5"), "of type ndarray"),
        (np.zeros(2), "is array([0., 0.]) of type ndarray"),
        (np.zeros(0), "of type ndarray"),
        (np.ma.masked, "of type MaskedConstant"),
        (np.ma.array(5.0, mask=True), "of type MaskedArray"),
        (np.ma.array([1.0, 2.0], mask=True).mean(), "of type MaskedConstant"),
        (dt.timedelta(1), "of type timedelta"),
        (Broken(), "of type Broken"),
        ({"loss": {"val": 0.5}}, "is {'val': 0.5} of type dict"),
        ((each for each in [0.5]), "of type generator"),
        ("x" * 10_000, "xxx"),
        ({}, "no 'loss' but nothing at all"),
        ({"accuracy": 0.5, "f1": 0.5}, "no 'loss' but 'accuracy', 'f1'; set `metric` in the study"),
        ({"loss": None}, "'loss' must be a number and is None"),
    ],
)
def test_anything_else_is_no_result(returned: object, said: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        check(returned, None)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 500


def test_the_studied_metric_must_be_there() -> None:
    with pytest.raises(ObjectiveError, match="no 'f1' but 'accuracy'"):
        check({"accuracy": 0.5}, "f1")


BOTH = ["accuracy", "size"]


def test_all_of_several_studied_metrics_must_be_there_as_numbers() -> None:
    returned = {"size": 3, "accuracy": math.nan, "note": "x"}
    told = check(returned, BOTH)
    assert (sorted(told), told["size"]) == (["accuracy", "size"], 3.0)
    with pytest.raises(ObjectiveError, match=r"no 'size' but 'accuracy'; set .* to some of its"):
        check({"accuracy": 0.5}, BOTH)
    with pytest.raises(ObjectiveError, match="'size' must be a number and is 'big'"):
        check({"accuracy": 0.5, "size": "big"}, BOTH)


def test_one_number_is_none_of_several() -> None:
    with pytest.raises(ObjectiveError, match=r"returned 0\.5, .* has 'accuracy', 'size'"):
        check(0.5, BOTH)
    assert check(0.5, ["accuracy"]) == {"accuracy": 0.5}


def test_a_curve_may_have_some_of_several_metrics() -> None:
    assert all_numbers({"size": 3}, BOTH) == {"size": 3.0}
    with pytest.raises(ObjectiveError, match="'size' must be a number"):
        all_numbers({"size": None}, BOTH)


def test_half_of_a_complex_number_is_none() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns
        assert all_numbers({"a": np.complex64(1 + 1j), "b": np.array(1j)}, None) == {}


OTHERS = {
    "status": "ok",
    "params": {"x": 1.0},
    "folds": [0.1, 0.2],
    "note": None,
    "z": 1j,
    "broken": Broken(),
    "text": np.array("0.5"),
    "itself": [],
}


def test_what_is_no_number_beside_the_studied_metric_is_left_out() -> None:
    returned = {"loss": 0.5, "f1": Decimal("0.25"), **OTHERS}
    assert check(returned, "loss") == check(returned, None) == {"loss": 0.5, "f1": 0.25}
    assert all_numbers(OTHERS, "loss") == {}


def test_that_it_is_left_out_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        check({"loss": 0.5, **OTHERS, "status": f"ok {number}"}, None)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(OTHERS)
    assert lines[0] == "left out: the metric 'status' must be a number and is 'ok 0' of type str"


def test_a_metric_of_too_long_a_name_is_left_out_and_that_is_said_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for _ in range(2):
        assert check({"loss": 0.5, "x" * 200: 1, "y" * 201: 2}, None) == {"loss": 0.5, "x" * 200: 1}
    said = f"left out: the name of the metric {'y' * 20!r}... has more than 200 characters\n"
    assert capsys.readouterr().err == said


def test_that_names_are_left_out_is_said_of_some(capsys: pytest.CaptureFixture[str]) -> None:
    check({"loss": 0.5, **dict.fromkeys(map(str, range(9000)), "x")}, None)
    assert len(capsys.readouterr().err.splitlines()) == metrics.MOST_LEFT_OUT


@pytest.mark.parametrize("kind", [OrderedDict, MappingProxyType])
def test_any_mapping_is_one_of_metrics(kind: type) -> None:
    assert check(kind({"loss": 0.5, 7: 1}), None) == {"loss": 0.5, "7": 1.0}
