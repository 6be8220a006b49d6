"""The commands: what each may be told, and how people are told of it; main.py does it."""

import argparse
from collections.abc import Callable
from typing import NamedTuple

from hpmpi.cli.options import (
    add_check,
    add_completion,
    add_doctor,
    add_explain,
    add_export,
    add_init,
    add_launch,
    add_plot,
    add_repair,
    add_replay,
    add_report,
    add_run,
    add_show,
    add_submit,
    add_try,
)


class Command(NamedTuple):
    """What a command may be told; what it does, and examples, for people."""

    add: Callable[[argparse.ArgumentParser], None]
    said: str
    examples: tuple[str, ...]


COMMANDS: dict[str, Command] = {
    "init": Command(
        add_init,
        "write a first study, and what it tunes",
        ("hpmpi init", "hpmpi init --torch mine"),
    ),
    "doctor": Command(
        add_doctor,
        "say what works on this machine, and what to do about the rest",
        ("hpmpi doctor", "salloc -N 2 -n 2 hpmpi doctor /scratch/me/results"),
    ),
    "run": Command(
        add_run,
        "run a study, or go on with it",
        ("hpmpi run study.toml --workers 4", "mpirun -n 10 python -m hpmpi run study.toml"),
    ),
    "launch": Command(
        add_launch,
        "start the ranks of a study, and see it through",
        ("hpmpi launch study.toml -n 10", "hpmpi launch study.toml --hosts node1,node2"),
    ),
    "check": Command(
        add_check,
        "check a study, and say what it will take",
        ("hpmpi check study.toml --ranks 65 --nodes 2 --job-s 60 --time 8:00:00",),
    ),
    "try": Command(
        add_try,
        "try a trial in this process, debugger and all",
        ("hpmpi try study.toml", "hpmpi try study.toml --config lr=0.1"),
    ),
    "show": Command(
        add_show,
        "print how a run stands, and its leaderboard",
        ("hpmpi show results/study --watch", "hpmpi show results/study --trial 5 --log"),
    ),
    "explain": Command(
        add_explain,
        "say why a run, a trial or a rank does not go on",
        ("hpmpi explain results/study", "hpmpi explain results/study --trial 5"),
    ),
    "export": Command(
        add_export,
        "write what came of a run, for other programs",
        (
            "hpmpi export results/study --format toml > best.toml",
            "hpmpi export results/study --what curves --format parquet > curves.parquet",
            "hpmpi export results/study --format optuna > study.log",
        ),
    ),
    "plot": Command(
        add_plot,
        "draw the figures of runs, as files",
        (
            "hpmpi plot results/study",
            "hpmpi plot results/one results/other --format svg",
            "hpmpi plot results/study --only curves --no-title --width 3.5 --format pdf",
        ),
    ),
    "report": Command(
        add_report,
        "write one page that tells all of runs, as HTML",
        ("hpmpi report results/study", "hpmpi report results/one results/other --out both.html"),
    ),
    "replay": Command(
        add_replay, "derive every decision of a run again", ("hpmpi replay results/study",)
    ),
    "repair": Command(
        add_repair,
        "mend a damaged journal from the copy in run.h5",
        ("hpmpi repair results/study",),
    ),
    "submit": Command(
        add_submit,
        "have Slurm run a study",
        ("hpmpi submit study.toml --nodes 2 --ntasks-per-node 16 --time 8:00:00",),
    ),
    "completion": Command(
        add_completion,
        "print what has a shell complete our words",
        ('eval "$(hpmpi completion bash)"    # in ~/.bashrc',),
    ),
}
