#!/usr/bin/env python3
"""Ask whether the tests would notice: random changes of one line, each in a copy of the tree.

    python scripts/mutate.py --seed 7 --mutants 60
    python scripts/mutate.py --seed 7 --mutants 20 --only worker --only transports --near

A changed line may kill or remove anything. So each copy is in namespaces of its own, which Linux's
`unshare` makes: nothing else can be written to, no other process is seen, and all is gone when the
tests are. Tests are asked until one fails: the module's own first, then those that import it, then
those that start whole programs; but no Slurm, and real ranks only where a test imports the module.
A test that fails without the change as well says nothing, and is left out.

Whether a change that survives matters is for people to judge: some change nothing that is promised.
"""

import ast
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from harness import Words, count
from mutants import Change, drawn, module_of

ROOT = Path(__file__).parents[1]

LIMIT_S = 1200.0
"""How long the tests of one change may take: a change that hangs is noticed."""

DYING_WITH_US = ["setpriv", "--pdeathsig", "KILL"]
UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
SANDBOX = """
for each in $(cut -d' ' -f2 /proc/mounts); do
    case $each in /proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro "$each" 2>/dev/null ;; esac
done
mount -t tmpfs none /tmp && mount -t tmpfs none /dev/shm || exit 99
mkdir /tmp/tree /tmp/home && tar -xf - -C /tmp/tree && cd /tmp/tree || exit 99
"$@" < /dev/null
"""
INSIDE = {"PYTHONPATH": "/tmp/tree", "HOME": "/tmp/home"}  # noqa: S108 - nobody else sees it
NICE = 5
PYTEST = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider"]
PASSED, FAILED, NO_TESTS = 0, 1, 5
NAMED = re.compile(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", re.MULTILINE)

BESIDE = 2
"""How many changes at a time: most tests wait more than they compute."""


class Tests:
    """The tests of the tree as it is now."""

    def __init__(self, *, only_near: bool) -> None:
        """Read the tree; ask those alone that import a module, if there are any and `only_near`."""
        self._only_near = only_near
        self._sound: dict[str, bool] = {}
        told = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(told, cwd=ROOT, capture_output=True, check=True).stdout
        files = [name for name in os.fsdecode(names).split("\0") if (ROOT / name).is_file()]
        self.tree = {name: (ROOT / name).read_bytes() for name in files}
        self._map = Map(self.tree)
        self._modes = {name: (ROOT / name).stat().st_mode for name in files}

    def notice(self, change: Change) -> str | None:
        """Tell which test notices a change; None if none does."""
        ends_at = time.monotonic() + LIMIT_S
        close, programs = self._map.tests_of(change.module, only_near=self._only_near)
        try:
            return self._noticed(change, close, "not slurm", ends_at) or self._noticed(
                change, programs, "not slurm and not mpi", ends_at
            )
        except subprocess.TimeoutExpired:
            return f"no test, but that all have ended within {LIMIT_S:g} s"

    def _noticed(self, change: Change, files: list[str], marks: str, ends_at: float) -> str | None:
        unsound: list[str] = []
        while files:
            words = [*files, "-m", marks, *unsound]
            failed = self._failed(words, change, ends_at - time.monotonic())
            if failed is None or self._is_sound(failed):
                return failed
            unsound.append(f"--deselect={failed}")
        return None

    def _is_sound(self, test: str) -> bool:
        """Whether a test passes where nothing is changed."""
        if test not in self._sound:
            named = "::" in test
            self._sound[test] = not named or self._failed([test], None, LIMIT_S) is None
        return self._sound[test]

    def _failed(self, words: list[str], change: Change | None, limit_s: float) -> str | None:
        """Run tests in a copy of their own; return the first that fails."""
        mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
        done = subprocess.run(
            [*DYING_WITH_US, *UNSHARE, *mapped, "sh", "-c", SANDBOX, "sh", *PYTEST, *words],
            input=self._packed(change),
            env=os.environ | INSIDE,
            capture_output=True,
            timeout=max(limit_s, 1.0),
            check=False,
        )
        said = (done.stdout + done.stderr).decode(errors="replace")
        if done.returncode in {PASSED, NO_TESTS}:
            return None
        if found := NAMED.search(said):
            return found[1]
        if done.returncode > FAILED or not done.stdout:
            return f"pytest, which ended with {done.returncode}: {said.strip()[-300:]}"
        return "a test"

    def _packed(self, change: Change | None) -> bytes:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, text in self.tree.items():
                changed = change.apply(text) if change and change.file == name else text
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(changed), self._modes[name] & 0o777
                archive.addfile(member, io.BytesIO(changed))
        return packed.getvalue()


# -- which tests are asked -------------------------------------------------------------------------


class Map:
    """Which test files know which modules, by what they import."""

    def __init__(self, tree: dict[str, bytes]) -> None:
        """Read what all files import."""
        python = {name: text for name, text in tree.items() if name.endswith(".py")}
        self._imports = {name: set(imported(text)) for name, text in python.items()}
        tests = [name for name in python if re.match(r"tests/(.*/)?test_\w+\.py$", name)]
        self._near = {test: self._known(test) for test in tests}
        self._tests = sorted(tests, key=lambda test: (len(self._near[test]), test))

    def tests_of(self, module: str, *, only_near: bool) -> tuple[list[str], list[str]]:
        """List the tests that import a module, its own first; and those that start programs."""
        parts = module.split(".")
        own = {f"test_{parts[0]}", f"test_{parts[-1]}"}
        packages = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
        near = [it for it in self._tests if Path(it).stem in own or packages & self._near[it]]
        near.sort(key=lambda test: Path(test).stem not in own)
        rest = [
            it for it in self._tests if it not in near and "tests.harness.runs" in self._imports[it]
        ]
        if only_near:
            rest = [] if near else ["tests/test_cli.py"]
        doctests = f"hpmpi/{'/'.join(parts)}.py"
        return [*([doctests] if doctests in self._imports else []), *near], rest

    def _known(self, test: str) -> set[str]:
        """Name the modules that a test imports, itself or by what it shares with others."""
        files = [test]
        for file in files:  # grows meanwhile
            of_tests = [name for name in self._imports[file] if name.startswith("tests.")]
            shared = {f"{name.replace('.', '/')}.py" for name in of_tests}
            files += [it for it in shared & self._imports.keys() if it not in files]
        names = {name for file in files for name in self._imports[file]}
        return {name.removeprefix("hpmpi.") for name in names if name.startswith("hpmpi.")}


def imported(text: bytes) -> Iterator[str]:
    """Name what a file imports, anywhere in it; what it takes from a module may be one, too."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{each.name}" for each in names)
            case ast.Import(names=names):
                yield from (each.name for each in names)


# -- the program -----------------------------------------------------------------------------------


def main() -> None:
    """Draw, ask, tell."""
    parser = Words(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mutants", type=count(), default=60, help="how many lines are changed")
    parser.add_argument("--only", action="append", default=[], metavar="MODULE")
    parser.add_argument("--near", action="store_true", help="ask only tests that import the module")
    parser.add_argument("--list", action="store_true", help="only draw")
    told = parser.parse_args()
    os.nice(NICE)
    tests = Tests(only_near=told.near)
    package = {
        file: text
        for file, text in tests.tree.items()
        if file.startswith("hpmpi/") and file.endswith(".py") and is_wanted(file, told.only)
    }
    if not package:
        parser.error(f"no module is named {' or '.join(told.only)}")
    mutants = drawn(package, told.seed, told.mutants)
    if told.list:
        print(*mutants, sep="\n")
        return
    noticed = 0
    with ThreadPoolExecutor(BESIDE) as pool:
        asked = {pool.submit(tests.notice, each): each for each in mutants}
        for answer in as_completed(asked):
            mutant, by = asked[answer], answer.result()
            noticed += by is not None
            place = f"{mutant.file}:{mutant.line}"
            print(f"noticed  {place} by {by}" if by else f"SURVIVED {mutant}", flush=True)
    print(f"seed {told.seed}: {noticed} of {len(mutants)} noticed")


def is_wanted(file: str, only: list[str]) -> bool:
    """Whether a file is of one of these modules, or packages, if there are any."""
    return not only or any(f"{module_of(file)}.".startswith(f"{each}.") for each in only)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        os._exit(128 + signal.SIGINT)  # all that was started ends with this process
