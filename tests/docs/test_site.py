"""The pages make a site, without a warning; what they show is valid, what they tell is whole."""

import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest

from hpmpi.cli.commands import COMMANDS
from hpmpi.cli.parser import BAD_INPUT, meant, parsed
from hpmpi.launch.launch import STUCK
from hpmpi.leader import run
from hpmpi.study.settings import Settings
from hpmpi.study.space_table import DIMENSIONS, Common
from tests.harness.pages import BLOCK, ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.name: page.read_text() for page in PAGES}
every_page = pytest.mark.parametrize("page", TEXTS)

TABLES = {
    kind.__name__: kind.__struct_fields__
    for kind in (Settings, *get_type_hints(Settings).values())
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
}
"""The keys of the tables of a study file that have keys of their own."""

OURS = re.compile(r"^(?:mpirun -n \d+ )?(?:timeout \S+ \d+ )?(?:python -m hpmpi|hpmpi) (.*)")


def shown(page: str, *languages: str) -> list[str]:
    """Read the blocks of code of a page that are of some language."""
    return [text for language, _, text in BLOCK.findall(TEXTS[page]) if language in languages]


def site_of(tmp_path: Path) -> dict[str, str]:
    """Build the site; return its pages."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {file.stem: file.read_text() for file in tmp_path.glob("*.html")}


@pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None,
    reason="mkdocs is not installed: pip install '.[docs]'",
)
def test_the_site_is_built_without_a_warning_and_has_what_is_generated(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    assert {page.stem for page in PAGES if page.parent == ROOT / "docs"} <= site.keys()
    for name in COMMANDS:
        assert f'id="hpmpi-{name}"' in site["command-line"]
    for key in chain(*TABLES.values()):
        assert f"<td><code>{key}</code></td>" in site["study-file"]
    assert "//fonts." not in site["index"]


@every_page
def test_the_commands_of_a_page_are_such_as_there_are(page: str) -> None:
    for text in shown(page, "sh", "bash"):
        for line in text.replace("\\\n", " ").splitlines():
            if found := OURS.match(line):
                words = shlex.split(
                    found[1].partition(" || ")[0].partition(" > ")[0], comments=True
                )
                if words and not words[0].endswith(".py"):
                    parsed(meant(words))


@every_page
def test_the_code_of_a_page_is_valid(page: str) -> None:
    for text in shown(page, "toml"):
        tomllib.loads(text)
    for text in shown(page, "python"):
        compile(text.replace("%%writefile", "# %%writefile"), page, "exec")


@every_page
def test_the_blocks_of_a_page_have_a_language(page: str) -> None:
    fences = re.findall(r"^ *```(\S*)", TEXTS[page], re.MULTILINE)
    assert all(fences[::2])
    assert not any(fences[1::2])


@every_page
def test_a_page_that_has_commands_is_followed_by_a_test(page: str) -> None:
    tests = "".join(test.read_text() for test in Path(__file__).parent.glob("test_*.py"))
    assert not shown(page, "bash") or f'"{page}"' in tests or f'"../{page}"' in tests


def test_the_exit_codes_of_the_page_are_those_that_there_are() -> None:
    told = re.findall(r"^\| (\d+) \|", TEXTS["exit-codes.md"], re.MULTILINE)
    codes = {*run.EXIT_CODES.values(), run.NO_WORLD, run.NO_RESULTS, BAD_INPUT, STUCK}
    assert sorted(map(int, told)) == sorted(codes)


def test_the_page_on_the_study_file_tells_each_key() -> None:
    page = TEXTS["study-file.md"]
    for table, keys in TABLES.items():
        for key in keys:
            assert re.search(rf"(\b{key} += |^\[{key}\]|`{key}\b)", page, re.MULTILINE), (
                table,
                key,
            )


def test_the_page_on_the_space_tells_each_key() -> None:
    keys = {key for kind in (*DIMENSIONS.values(), Common) for key in get_type_hints(kind)}
    told = {*re.findall(r"`(\w+)", TEXTS["space.md"])}
    assert keys - told == {"names"}  # of values: the keys of their table


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "code.md"])
def test_what_a_page_names_is_there(page: str) -> None:
    named = re.findall(r"`((?:hpmpi|tests|scripts|docs)/[\w./-]+)`", TEXTS[page])
    assert [it for it in named if not (ROOT / it).exists() and "NAME" not in it] == []


def test_the_first_page_is_one_screen() -> None:
    prose = BLOCK.sub("", TEXTS["README.md"])
    assert len(prose.split()) < 600
