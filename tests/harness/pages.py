"""The pages of docs/, followed by the letter: what they say to write is written, and run.

A block of code with a title is a file of that name; one of `bash` is run in the order of the page,
in the folder of those files. Blocks of `text` are what commands print, and are not run.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.harness.runs import IS_OPEN_MPI

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
LIMIT_S = 240.0

ON_RANKS = (
    {
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }
    if IS_OPEN_MPI
    else {}
)
"""What Open MPI wants to be asked for here, as pages say."""


class Block(NamedTuple):
    """A block of code on a page."""

    language: str
    title: str
    text: str


def blocks(page: str) -> list[Block]:
    """Read the blocks of docs/PAGE."""
    return [Block(*found) for found in BLOCK.findall((ROOT / "docs" / page).read_text())]


def follow(page: str, folder: Path, **environment: str) -> str:
    """Do in a folder what a page says; return what its commands printed."""
    printed = []
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for block in blocks(page):
        if block.title:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text)
        elif block.language == "bash":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=folder,
                env=os.environ | {"PATH": path} | environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
            assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
            printed.append(done.stdout)
    return "\n".join(printed)
