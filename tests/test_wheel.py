"""What a stranger installs: the wheel is whole, and works from any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.harness.runs import ROOT

SMALL = ["stop.max_trials=2", "scheduler.max_resource=3"]


def test_the_wheel_has_the_built_in_study_and_runs_it(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    assert {path.name for path in site.iterdir() if path.suffix != ".dist-info"} == {"hpmpi"}
    assert (site / "hpmpi" / "spaces" / "first" / "function" / "train.py").exists()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "hpmpi",
            "--workers",
            "2",
            *[w for s in SMALL for w in ("--set", s)],
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("digits: complete; 2 trials")
    assert (tmp_path / "results" / "digits" / "run.h5").exists()
