"""Things found by name."""

import json

import pytest

import hpmpi.master.schedulers
import hpmpi.master.searchers
from hpmpi.master.schedulers.asha import Asha
from hpmpi.study.references import NameNotFoundError, builtin, find


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
    with pytest.raises(NameNotFoundError, match="'ashes' is not known; there is: asha, full, or"):
        find("ashes", hpmpi.master.schedulers)


@pytest.mark.parametrize(
    "name", ["no_such_module:Class", "json:no_such", "json:", ":Class", ".asha:Asha", "a b:c"]
)
def test_a_path_that_leads_nowhere_says_so(name: str) -> None:
    with pytest.raises(NameNotFoundError, match="can't be imported"):
        find(name, hpmpi.master.schedulers)
