"""Imports go down the layers, and each outside package has one home. Read, not run: with ast."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = {
    "words": [
        *("errors", "trial", "values", "messages", "decisions", "events", "dimensions", "space"),
        *("names", "forms", "space_table", "shuffle", "seeds"),
    ],
    "decisions": [
        *("roster", "searchers", "schedulers", "jobs", "master", "leaderboard", "tables"),
        *("audit", "pace", "progress", "series", "blame", "shield", "rules"),
    ],
    "I/O": [
        *("family", "guard", "frames", "transports", "checkpoints", "handle", "objective"),
        *("perform", "metrics", "accounts"),
        *("output", "child", "worker", "baseline", "journal", "store", "trainables"),
        *("files", "lock", "place", "results", "squeue", "allocation", "step", "lifeline", "team"),
        *("launchers", "vigil", "standby", "starts", "memory", "bare", "scribe", "head"),
        *("connections", "rooms", "data", "source", "supply", "delivery", "ending"),
        *("environment", "streams", "variables", "keeper", "vitals"),
        *("sheets", "dialect", "columns", "reading", "data_table"),
    ],
    "a run": [
        *(
            "toml",
            "candidates",
            "settings",
            "changes",
            "summary",
            "narrator",
            "resume",
            "service",
            "book",
            "leader",
            "run",
            "summons",
        )
    ],
    "front doors": [
        *("answer", "cli", "folders", "show", "watch", "export", "replay", "__main__"),
        *("commands", "launch", "signals", "needs", "batch", "submission", "plot", "figures"),
    ],
}
HEIGHTS = {name: height for height, names in enumerate(LAYERS.values()) for name in names}

PURE = {"collections", "enum", "hashlib", "heapq", "itertools", "math", "msgspec", "typing"}
"""What words and decisions may import: nothing that knows the time, a file or another process."""

ALSO_PURE = {
    "names": {"importlib", "pkgutil", "types"},
    "forms": {"difflib", "inspect"},
    "searchers": {"bisect", "random"},
}

HOMES = {
    "matplotlib": {"figures", "plot"},
    "mpi4py": {"transports.mpi"},
    "psutil": {"memory"},
    "h5py": {"results", "source"},
    "numpy": {"results", "trainables", "figures", "columns", "reading", "sheets", "data", "source"},
    "pandas": {"columns", "reading"},
    "scipy": {"trainables"},
    "sklearn": {"trainables"},
    "skops": {"trainables"},
    "submitit": {"batch"},
    "tomli": {"toml"},
    "tomllib": {"toml"},  # not of the standard library before 3.11
    "tomli_w": {"toml"},
}


def modules() -> dict[str, ast.Module]:
    """Parse every module of ours, by its name in the package; the package itself is ''."""
    trees = {}
    for file in sorted((ROOT / "hpmpi").rglob("*.py")):
        parts = file.relative_to(ROOT / "hpmpi").with_suffix("").parts
        trees[".".join(part for part in parts if part != "__init__")] = ast.parse(file.read_text())
    return trees


MODULES = modules()
every_module = pytest.mark.parametrize("module", MODULES)


def imports(module: str) -> Iterator[str]:
    """Name all that a module imports, wherever in it; the ones of ours without `hpmpi.`."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            yield from (shortened(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports say where they go"
            assert node.module is not None
            name = shortened(node.module)
            # `from hpmpi import store` imports the module `store`, and not a name from ours.
            inner = [".".join(filter(None, (name[1:], alias.name))) for alias in node.names]
            found = [f".{each}" for each in inner if name.startswith(".") and each in MODULES]
            yield from found or [name]


def shortened(name: str) -> str:
    """Write what is ours as '.name', and leave the rest as it is."""
    first, _, rest = name.partition(".")
    return f".{rest}" if first == "hpmpi" else name


def ours(module: str) -> set[str]:
    """Name the modules of ours that a module imports."""
    return {name[1:] for name in imports(module) if name.startswith(".")}


def others(module: str) -> set[str]:
    """Name the packages that a module imports from elsewhere."""
    return {name.partition(".")[0] for name in imports(module) if not name.startswith(".")}


def height(module: str) -> int:
    """Find how high a module stands; the package itself lies below all."""
    return HEIGHTS[module.partition(".")[0]] if module else -1


def is_pure(module: str) -> bool:
    """Tell words and decisions."""
    return height(module) in (0, 1)


every_pure_module = pytest.mark.parametrize("module", [name for name in MODULES if is_pure(name)])


@every_module
def test_every_module_has_a_layer(module: str) -> None:
    assert not module or module.partition(".")[0] in HEIGHTS


def test_every_name_of_a_layer_is_a_module() -> None:
    assert HEIGHTS.keys() <= MODULES.keys()


@every_module
def test_imports_go_down(module: str) -> None:
    assert [name for name in ours(module) if height(name) > height(module)] == []


def test_no_imports_go_in_circles() -> None:
    order = list(TopologicalSorter({module: ours(module) for module in MODULES}).static_order())
    assert set(order) == set(MODULES)


@every_pure_module
def test_words_and_decisions_import_nothing_that_acts(module: str) -> None:
    allowed = PURE | ALSO_PURE.get(module.partition(".")[0], set())
    assert others(module) <= allowed


@every_pure_module
def test_words_and_decisions_open_and_print_nothing(module: str) -> None:
    names = {node.id for node in ast.walk(MODULES[module]) if isinstance(node, ast.Name)}
    assert not names & {"open", "print", "input", "exec", "eval", "__import__"}


@every_pure_module
def test_no_randomness_is_global(module: str) -> None:
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.ImportFrom) and node.module == "random":
            assert [alias.name for alias in node.names] == ["Random"]
        if isinstance(node, ast.Import):
            assert "random" not in [alias.name for alias in node.names]


@every_module
def test_each_outside_package_has_its_home(module: str) -> None:
    for package in others(module) - sys.stdlib_module_names - {"msgspec"}:
        homes = HOMES[package]
        assert module in homes or module.partition(".")[0] in homes


def test_every_home_is_lived_in() -> None:
    for package, homes in HOMES.items():
        for home in homes:
            assert any(package in others(module) for module in MODULES if module.startswith(home))


OF_A_GUARD = {"guard", "family", "streams", "variables", "commands"}


@pytest.mark.parametrize("module", ["", "__main__", *sorted(OF_A_GUARD)])
def test_a_guard_starts_with_nothing_but_the_standard_library(module: str) -> None:
    assert others(module) <= sys.stdlib_module_names
    assert ours(module) <= {*OF_A_GUARD, "cli", "service"}


@every_module
def test_imports_are_what_they_say(module: str) -> None:
    assert "TYPE_CHECKING" not in ast.dump(MODULES[module])


@every_module
def test_a_module_is_named_by_what_it_is(module: str) -> None:
    assert not set(module.split(".")) & {"utils", "util", "base", "common", "helpers", "misc"}
