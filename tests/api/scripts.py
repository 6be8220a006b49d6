"""Scripts that call hpmpi.run, in a folder of their own, and the runs that they become."""

from pathlib import Path

from tests.harness.runs import Study

SCRIPT = """
import sys
import time

import hpmpi

X = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


def train(config, trial):
    for epoch in range(trial.start, trial.stop):
        time.sleep(trial.args["epoch_s"])
        if trial.should_save(epoch + 1):
            with trial.checkpoint(epoch + 1) as folder:
                (folder / "epochs").write_text(str(epoch + 1))
    return config["x"]


def tune(out, trials=8, epoch_s=0.0, slurm=None):
    scheduler = {"method": "full", "max_resource": 3}
    limits = {"patience_s": 1.5, "grace_s": 5.0}
    return hpmpi.run(
        train, out=out, space=X, scheduler=scheduler, limits=limits, progress=False, slurm=slurm,
        stop={"max_trials": trials}, objective_args={"epoch_s": epoch_s},
    )


if __name__ == "__main__":
"""
"""What comes below it is indented once."""


class Script(Study):
    """script.py, which tunes by `tune(out, ...)`; the run folder that is looked into is `out`."""

    def __init__(self, folder: Path, *lines: str) -> None:
        """Write it; `lines` are what it does as a program."""
        super().__init__(folder)
        self.script = folder / "script.py"
        self.script.write_text(SCRIPT + "".join(f"    {line}\n" for line in lines))
