"""Things found by name."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hpmpi.master.schedulers
import hpmpi.master.searchers
from hpmpi.master.schedulers.asha import Asha
from hpmpi.study.references import NotThereError, absolute, builtin, find, load


@pytest.fixture(autouse=True)
def _same_imports() -> Iterator[None]:
    """Forget what was imported."""
    path, modules = list(sys.path), dict(sys.modules)
    yield
    sys.path[:] = path
    sys.modules.clear()
    sys.modules.update(modules)


def write(folder: Path, **files: str) -> Path:
    """Write Python files."""
    for name, code in files.items():
        file = folder / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
    return folder


def test_a_name_without_a_colon_is_built_in() -> None:
    assert find("asha", hpmpi.master.schedulers) is Asha


def test_a_name_with_a_colon_is_an_import_path() -> None:
    assert find("json:dumps", hpmpi.master.schedulers) is json.dumps


def test_a_built_in_thing_comes_through_the_same_door() -> None:
    assert find("hpmpi.master.schedulers.asha:Asha", hpmpi.master.searchers) is Asha


@pytest.mark.parametrize("package", [hpmpi.master.schedulers, hpmpi.master.searchers])
def test_all_that_is_built_in_is_found(package: object) -> None:
    names = builtin(package)  # type: ignore[arg-type]
    assert names
    assert all(callable(find(name, package)) for name in names)  # type: ignore[arg-type]


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(
        NotThereError,
        match="'ashes' is not known; there is: asha, full, hyperband, median, pasha, sha, top, or",
    ):
        find("ashes", hpmpi.master.schedulers)


@pytest.mark.parametrize(
    "name", ["no_such_module:Class", "json:no_such", "json:", ":Class", ".asha:Asha", "a b:c"]
)
def test_a_path_that_leads_nowhere_says_so(name: str) -> None:
    with pytest.raises(NotThereError, match="is not there"):
        find(name, hpmpi.master.schedulers)


# -- import paths ----------------------------------------------------------------------------------


def test_a_function_is_found_in_a_file(tmp_path: Path) -> None:
    write(tmp_path, train="def f(config): return 7")
    assert load("train.py:f", tmp_path)({}) == 7


def test_a_file_may_be_named_whole(tmp_path: Path) -> None:
    write(tmp_path, train="def f(config): return 7")
    assert load(f"{tmp_path}/train.py:f", Path("/nowhere"))({}) == 7


def test_a_file_may_import_its_siblings(tmp_path: Path) -> None:
    write(
        tmp_path,
        code__train="from sibling_of_train import g as f",
        code__sibling_of_train="def g(config): return 7",
    )
    assert load("code/train.py:f", tmp_path)({}) == 7


@pytest.mark.parametrize("marked", [True, False])
def test_a_file_may_import_from_its_package(tmp_path: Path, *, marked: bool) -> None:
    write(
        tmp_path,
        parted__inner__train="from ..beyond import g\nfrom . import near\nf = lambda _: g + near.h",
        parted__inner__near="h = 3",
        parted__beyond="g = 4",
    )
    for folder in ("parted", "parted/inner") if marked else ():
        (tmp_path / folder / "__init__.py").touch()
    assert load("parted/inner/train.py:f", tmp_path)({}) == 7


def test_a_package_that_is_elsewhere_is_said(tmp_path: Path) -> None:
    write(tmp_path, json__decoder="from . import near", json__near="")
    with pytest.raises(NotThereError, match="Python takes its package 'json' from elsewhere"):
        load("json/decoder.py:f", tmp_path)


def test_what_a_file_defines_can_be_pickled(tmp_path: Path) -> None:
    write(tmp_path, train_p="import pickle\nclass A: pass\ndef f(_): return pickle.dumps(A())")
    assert b"train_p" in load("train_p.py:f", tmp_path)({})


def test_a_function_is_found_in_a_package_beside_the_study(tmp_path: Path) -> None:
    write(tmp_path, package_beside__deep__train="def f(config): return 7")
    assert load("package_beside.deep.train:f", tmp_path)({}) == 7


def test_a_function_is_found_in_an_installed_package(tmp_path: Path) -> None:
    assert load("math:sqrt", tmp_path)(49) == 7


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("nothing.py:f", "there is no file {}/nothing.py"),
        ("folder.py:f", "there is no file {}/folder.py"),
        ("train.py:g", "train.py has no 'g'"),
        ("train.py:", "it must be 'file.py:name' or 'package.module:name'"),
        ("train.py", "it must be 'file.py:name' or 'package.module:name'"),
        ("package_beside:f", "package_beside has no 'f'"),
        ("package_beside.nothing:f", "there is no module 'package_beside.nothing', neither in {} "),
        ("package_nowhere:f", "there is no module 'package_nowhere', neither in {} nor installed"),
        ("package_nowhere.deep:f", "there is no module 'package_nowhere.deep'"),
        ("..train:f", "there is no module '..train'"),
        (":f", "it must be"),
        ("", "it must be"),
    ],
)
def test_a_reference_to_nothing_is_said(tmp_path: Path, reference: str, said: str) -> None:
    write(tmp_path, train="def f(config): return 7", package_beside____init__="")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(NotThereError) as caught:
        load(reference, tmp_path)
    assert said.format(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("code", "error"),
    [("import package_nowhere", ImportError), ("1 / 0", ZeroDivisionError), ("if", SyntaxError)],
)
@pytest.mark.parametrize("reference", ["broken.py:f", "broken:f"])
def test_what_the_users_module_raises_comes_out_as_it_is(
    tmp_path: Path, reference: str, code: str, error: type[Exception]
) -> None:
    write(tmp_path, broken=code)
    with pytest.raises(error) as caught:
        load(reference, tmp_path)
    assert not isinstance(caught.value, NotThereError)


# -- in programs of ours ---------------------------------------------------------------------------


def test_a_class_in_a_file_beside_the_study_is_found_once(tmp_path: Path) -> None:
    write(tmp_path, mine="from sibling_of_mine import Mine", sibling_of_mine="class Mine: pass")
    first = find("mine.py:Mine", hpmpi.master.searchers, tmp_path)
    assert find(absolute("mine.py:Mine", tmp_path), hpmpi.master.searchers) is first


def test_a_file_of_a_study_hides_nothing_that_we_import(tmp_path: Path) -> None:
    write(tmp_path, tomli_w="class Mine: pass")
    sys.modules.pop("tomli_w", None)
    assert find("tomli_w.py:Mine", hpmpi.master.searchers, tmp_path).__name__ == "Mine"
    assert "Mine" not in dir(importlib.import_module("tomli_w"))


def test_what_lies_beside_a_study_comes_after_what_our_own_objectives_need(tmp_path: Path) -> None:
    load("hpmpi.trainables.options:read", tmp_path)
    assert sys.path[-1] == str(tmp_path)
    load("json:dumps", tmp_path / "other")
    assert sys.path[-1] == str(tmp_path)
    assert str(tmp_path / "other") in sys.path


@pytest.mark.parametrize("code", ["import package_nowhere", "1 / 0", "if"])
def test_what_a_searchers_module_raises_is_said_and_asked_again(tmp_path: Path, code: str) -> None:
    write(tmp_path, broken=code)
    for _ in range(2):
        with pytest.raises(NotThereError, match=r"'broken.py:Mine' can't be imported: .*Error: "):
            find("broken.py:Mine", hpmpi.master.searchers, tmp_path)
