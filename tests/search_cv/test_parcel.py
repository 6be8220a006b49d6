"""How a search reaches its ranks: without pickle on disk, or through memory, or not at all."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import get_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from hpmpi.errors import ObjectiveError, SettingsError
from hpmpi.search_cv.digests import digest_of
from hpmpi.search_cv.fits import FitContext, Split
from hpmpi.search_cv.parcel import SUFFIX, Parcel, Sending, opened
from hpmpi.search_cv.spaces import space_of

X = pd.DataFrame({"word": ["a", None, "b", "a"], "number": [1.0, 2, np.nan, 4]})
SPLITS = [
    Split(np.array([0, 1]), np.array([2, 3])),
    Split(np.array([True, False] * 2), np.arange(2)),
]

ESTIMATORS = [
    RandomForestClassifier(random_state=np.random.RandomState(3)),
    make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), SVC()),
    ColumnTransformer(
        [
            ("words", OneHotEncoder(handle_unknown="ignore"), ["word"]),
            ("rest", "passthrough", make_column_selector(dtype_include=np.number)),
        ]
    ),
]


def context(estimator: Any, **changes: Any) -> FitContext:
    given = FitContext(
        estimator=estimator,
        X=X,
        y=np.array([0, 1, 0, 1]),
        splits=SPLITS,
        scorer=get_scorer("roc_auc"),
        fit_params={"sample_weight": np.ones(4)},
        score_params={},
        resource="folds",
        error_score=np.nan,
        return_train_score=False,
        config=sklearn.get_config(),
    )
    return given._replace(**changes)


SPACE = space_of({"step": [None, StandardScaler()], "C": [0.5]})


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda it: type(it).__name__)
def test_what_can_be_imported_is_the_same_where_it_is_opened(
    estimator: Any, tmp_path: Path
) -> None:
    sent = context(estimator)
    sending = Sending(sent, SPACE)
    with sending.parcel(tmp_path, local=False) as parcel:
        found, space = opened(parcel, sending.parts.arrays)
    assert [each.suffix for each in tmp_path.iterdir()] == [SUFFIX]
    assert parcel.memory is None
    for name in ("estimator", "scorer", "error_score", "config", "resource"):
        assert digest_of(getattr(found, name)) == digest_of(getattr(sent, name))
    pd.testing.assert_frame_equal(found.X, X)
    assert [each.tolist() for split in found.splits for each in split] == [
        [0, 1],
        [2, 3],
        [0, 2],
        [0, 1],
    ]
    assert found.fit_params["sample_weight"].tolist() == [1, 1, 1, 1]
    assert digest_of(space.axes) == digest_of(SPACE.axes)


class Own(BaseEstimator):  # type: ignore[misc]
    """As one of a notebook: this module has no name by which others import it."""

    def __init__(self, power: float = 1.0) -> None:  # noqa: D107
        self.power = power


Own.__module__ = "__main__"


OWN = [
    context(Own()),
    context(SVC(), scorer=lambda *_: 0.5),
    context(FunctionTransformer(lambda rows: rows)),
    context(SVC(), fit_params={"odd": Own()}),
]


@pytest.mark.parametrize("own", OWN, ids=["class", "scorer", "function", "parameter"])
def test_what_stands_in_a_notebook_goes_through_memory_or_is_refused(
    own: FitContext, tmp_path: Path
) -> None:
    sending = Sending(own, SPACE)
    with sending.parcel(tmp_path, local=True) as parcel:
        assert parcel.file is None
        assert parcel.memory is not None
        assert opened(parcel, sending.parts.arrays)[0].y.tolist() == [0, 1, 0, 1]
    with pytest.raises(ObjectiveError, match="can't be read"):
        opened(parcel, sending.parts.arrays)
    with (
        pytest.raises(SettingsError, match="Write it to a module of its own"),
        sending.parcel(tmp_path, local=False),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_another_process_reads_the_memory(tmp_path: Path) -> None:
    sending = Sending(context(SVC(), scorer=lambda *_: 0.75), SPACE)
    look = (
        "import sys, cloudpickle, pathlib;"
        "print(cloudpickle.loads(pathlib.Path(sys.argv[1]).read_bytes())['scorer'](1))"
    )
    with sending.parcel(tmp_path, local=True) as parcel:
        assert parcel.memory is not None
        command = [sys.executable, "-c", look, parcel.memory]
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"0.75\n"


def test_nothing_is_unpickled_that_lies_on_a_disk(tmp_path: Path) -> None:
    pickled = tmp_path / "objects"
    pickled.write_bytes(cloudpickle.dumps({}))
    with pickled.open("rb") as file:
        for path in (str(pickled), f"/proc/self/fd/{file.fileno()}"):
            with pytest.raises(ObjectiveError, match="no memory of a process"):
                opened(Parcel([], memory=path), {})


def test_a_file_of_objects_is_that_which_was_written(tmp_path: Path) -> None:
    sending = Sending(context(SVC()), SPACE)
    with sending.parcel(tmp_path, local=False) as parcel:
        assert parcel.file is not None
        with Path(parcel.file).open("ab") as file:
            file.write(b"more")
        with pytest.raises(ObjectiveError, match="not what was written"):
            opened(parcel, sending.parts.arrays)


def test_a_file_of_objects_is_written_once(tmp_path: Path) -> None:
    parcels = []
    for _ in range(2):
        with Sending(context(SVC()), SPACE).parcel(tmp_path, local=False) as parcel:
            parcels.append(parcel)
    assert parcels[0] == parcels[1]


def test_digests_tell_what_differs() -> None:
    def digests(**changes: Any) -> dict[str, str]:
        return Sending(context(**{"estimator": SVC(), **changes}), SPACE).digests

    usual = digests()
    assert digests() == usual
    for name, other in {
        "X": X.assign(number=[1.0, 2, 3, 4]),
        "y": np.array([0, 1, 1, 1]),
        "splits": SPLITS[::-1],
        "estimator": SVC(C=2),
        "scorer": get_scorer("accuracy"),
        "resource": "rows",
    }.items():
        changed = digests(**{name: other})
        assert [each for each in usual if usual[each] != changed[each]] == [name]


DIGEST = """
import numpy as np
from hpmpi.search_cv.digests import digest_of
PLUS = {given}
class Own:
    share = {share}
    @property
    def twice(self): return {twice} * self.share
    def add(self, x): return x + {plus}
    def again(self): return Own()
def make(k): return lambda x: x + k
def named(x, *, step={step}): return [np.add(PLUS, y) for y in x] or named
print(digest_of([Own(), make({k}), named, lambda x: [y for y in x], {{"b", "a"}}]))
"""

USUAL = {"given": 1, "share": 0.5, "twice": 2, "plus": 1, "step": 1, "k": 3}


def test_what_a_notebook_defines_counts_by_its_code_in_any_process(tmp_path: Path) -> None:
    found = []
    for number, changed in enumerate(["", "", *USUAL]):
        script = tmp_path / f"{number}.py"
        values = USUAL if not changed else USUAL | {changed: 7}
        script.write_text("\n" * number + DIGEST.format(**values))
        command = [sys.executable, str(script)]
        env = {"PYTHONHASHSEED": str(number)}
        found.append(subprocess.run(command, capture_output=True, check=True, env=env).stdout)
    assert found[0] == found[1]
    assert len({*found}) == 1 + len(USUAL)
