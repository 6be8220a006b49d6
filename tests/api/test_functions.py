"""Which functions a study can name, and how."""

import functools
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hpmpi import ObjectiveError
from hpmpi.api.functions import reference
from hpmpi.worker import process


def module(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a module that has a function, from a folder that only this Python looks in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("def train(config): ...\n\n\nclass Model:\n    def fit(self): ...\n")
    monkeypatch.syspath_prepend(path.parents[name.count(".")])
    monkeypatch.delitem(sys.modules, name, raising=False)
    __import__(name)
    found = sys.modules[name]
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, name, found)
    return found


def test_a_function_of_a_file_is_named_by_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "alone_here.py"
    found = module(file, "alone_here", monkeypatch)
    assert reference(found.train) == f"{file}:train"
    assert reference(found.Model) == f"{file}:Model"


def test_a_function_of_a_package_is_named_by_that_where_others_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = module(tmp_path / "pack_here" / "train.py", "pack_here.train", monkeypatch)
    with pytest.raises(ObjectiveError, match="no other Python here finds the package 'pack_here'"):
        reference(found.train)
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        assert reference(found.train) == "pack_here.train:train"
    monkeypatch.chdir(tmp_path)
    assert reference(found.train) == "pack_here.train:train"
    assert reference(process.ChildProcess) == "hpmpi.worker.process:ChildProcess"


def test_what_has_no_name_to_be_imported_by_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = module(tmp_path / "alone_here.py", "alone_here", monkeypatch)

    def inner(config: object) -> object:
        return config

    nameless = (lambda config: config, inner, functools.partial(inner), found.Model().fit)
    for function in (*nameless, functools.wraps(found.train)(lambda config: config)):
        with pytest.raises(ObjectiveError, match="can't be imported by its name"):
            reference(function)


def test_a_function_of_a_notebook_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notebook = ModuleType("__main__")
    exec("def train(config): ...", vars(notebook))  # noqa: S102 - as a notebook does
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    with pytest.raises(ObjectiveError, match=r"%%writefile train\.py"):
        reference(notebook.train)


def test_a_function_of_the_program_is_named_by_its_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.py"
    script.touch()
    program = ModuleType("__main__")
    program.__file__ = "script.py"  # as Python before 3.9, and some shells, have it
    exec("def train(config): ...", vars(program))  # noqa: S102 - as Python does
    monkeypatch.setitem(sys.modules, "__main__", program)
    monkeypatch.chdir(tmp_path)
    assert reference(program.train) == f"{script}:train"
