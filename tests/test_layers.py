"""Imports go down the layers, and each outside package has one home. Read, not run: with ast."""

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WINGS = re.findall(r"^- `(\w+)`:", (ROOT / "docs/code.md").read_text(), re.MULTILINE)
"""From the top down, as the map of the package has them."""

HEIGHTS = {wing: height for height, wing in enumerate(reversed(WINGS))}

BESIDE = {"__main__": "cli"}
"""Modules that stand beside a wing."""

PURE_WINGS = {"model", "master", "history"}

PURE_BESIDE = {
    *("leader.prefetch", "worker.baseline", "worker.child_events", "worker.group"),
    *("worker.lifecycle", "worker.pmi"),
}
"""Modules that are as pure, in a wing that is not."""

MOST_AT_THE_ROOT = 10

PURE = {
    *(
        "collections",
        "enum",
        "hashlib",
        "heapq",
        "itertools",
        "math",
        "msgspec",
        "struct",
        "typing",
    ),
}
"""What pure wings may import: nothing that knows the time, a file or another process."""

ALSO_PURE = {
    "master.forecast": {"random"},
    "master.adapters": {"functools", "gest_api", "inspect", "operator", "optuna", "warnings"},
    "master.levels": {"bisect"},
    "master.schedulers": {"bisect"},
    "master.searchers": {"bisect", "contextlib", "functools", "random", "scipy"},
    "master.surrogate": {"array", "functools", "numpy", "random", "scipy"},
    "history.overview": {"bisect"},
    "history.studied": {"functools"},
    "history.hypervolume": {"operator"},
    "history.paid": {"bisect"},
    "master.ranking": {"bisect"},
    "model.fronts": {"bisect", "operator"},
    "model.constraints": {"ast", "functools", "operator"},
    "model.numbering": {"bisect"},
    "model.space": {"array", "functools"},
}

HOMES = {
    "gest_api": {"master.adapters.gest"},
    "optuna": {"master.adapters.optuna", "views.forests", "views.optuna_journal"},
    "shtab": {"cli.parser"},
    "cloudpickle": {"search_cv.parcel"},
    "joblib": {"search_cv.digests"},
    "jinja2": {"views.report.page"},
    "matplotlib": {"views.figures", "views.plot", "views.report.drawings"},
    "mpi4py": {"trainables.members", "transports.mpi"},
    "pynvml": {"worker.gpus"},
    "h5py": {"storage.results_file", "worker.source"},
    "numpy": {
        *("api.arrays", "data", "master.surrogate", "storage.results_file", "trainables"),
        *("search_cv", "views.figures", "views.forests", "worker.source"),
    },
    "pandas": {
        *("api.results", "data.columns", "data.dialect", "data.reading"),
        *("search_cv.tables", "views.frames"),
    },
    "rich": {"views.live"},
    "scipy": {"master.searchers.sobol", "master.surrogate", "search_cv", "trainables"},
    "sklearn": {"search_cv", "trainables", "views.forests"},
    "skops": {"search_cv.parcel", "trainables"},
    "submitit": {"launch.slurm_job"},
    "tomli_w": {"study.toml"},
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


def wing(module: str) -> str:
    """Tell in which wing a module is."""
    first = module.partition(".")[0]
    return BESIDE.get(first, first)


def height(module: str) -> int:
    """Find how high a module stands; the package itself lies below all."""
    return HEIGHTS[wing(module)] if module else -1


PURE_MODULES = [name for name in MODULES if wing(name) in PURE_WINGS or name in PURE_BESIDE]
every_pure_module = pytest.mark.parametrize("module", PURE_MODULES)


@every_module
def test_every_module_is_on_the_map(module: str) -> None:
    assert not module or wing(module) in HEIGHTS


def test_every_wing_of_the_map_is_there() -> None:
    assert HEIGHTS.keys() <= MODULES.keys()


def test_few_modules_stand_at_the_root() -> None:
    assert len(list((ROOT / "hpmpi").glob("*.py"))) <= MOST_AT_THE_ROOT


@every_module
def test_imports_go_down(module: str) -> None:
    assert [name for name in ours(module) if height(name) > height(module)] == []


def test_no_imports_go_in_circles() -> None:
    order = list(TopologicalSorter({module: ours(module) for module in MODULES}).static_order())
    assert set(order) == set(MODULES)


@every_pure_module
def test_pure_wings_import_nothing_that_acts(module: str) -> None:
    more = [also for name, also in ALSO_PURE.items() if module.startswith(name)]
    assert others(module) <= PURE.union(*more)


@every_pure_module
def test_pure_wings_open_and_print_nothing(module: str) -> None:
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
        assert any(f"{module}.".startswith(f"{home}.") for home in HOMES[package])


def test_every_home_is_lived_in() -> None:
    for package, homes in HOMES.items():
        for home in homes:
            assert any(package in others(module) for module in MODULES if module.startswith(home))


OF_A_GUARD = {"cli", "cli.first_look", "guard"}.union(
    name for name in MODULES if wing(name) == "guard"
)


@pytest.mark.parametrize("module", ["", "__main__", *sorted(OF_A_GUARD)])
def test_a_guard_starts_with_nothing_but_the_standard_library(module: str) -> None:
    assert others(module) <= sys.stdlib_module_names
    assert ours(module) <= {*OF_A_GUARD, "cli.main", "worker.entry"}


@every_module
def test_imports_are_what_they_say(module: str) -> None:
    assert "TYPE_CHECKING" not in ast.dump(MODULES[module])


@every_module
def test_a_module_is_named_by_what_it_is(module: str) -> None:
    assert not set(module.split(".")) & {"utils", "util", "base", "common", "helpers", "misc"}


NAMED = re.compile(r"`([\w/]+\.py)`: ((?:`[\w.]+`(?:, )?)+)")
"""A module, and what is in it, in the table of who does what."""


def defined_in(module: Path) -> set[str]:
    """Name what a module defines, and what its classes do."""
    found = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
            inner = [it.name for it in node.body if isinstance(it, ast.FunctionDef)]
            found |= {f"{node.name}.{name}" for name in inner}
    return found


def test_who_does_what_is_where_the_map_says() -> None:
    named = NAMED.findall((ROOT / "docs/code.md").read_text())
    assert len(named) > 20
    for module, names in named:
        assert set(re.findall(r"[\w.]+", names)) <= defined_in(ROOT / "hpmpi" / module), module
