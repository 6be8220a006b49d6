"""What must be true of a study after all that was done to it; for scripts/torture.py."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import h5py

from hpmpi.model.records import Assigned, Decision, Failure, Lost, Result
from hpmpi.storage import run_folder
from tests.harness.runs import ROOT
from tests.harness.torture_objective import OURS
from tests.harness.torture_study import Study


def check(study: Study) -> Iterator[str]:
    """Say all that is wrong with a study that is over."""
    yield from (f"left running: {each}" for each in study.left())
    yield from (f"left in memory: {each}" for each in study.segments if each.exists())
    study.look()
    decisions = study.decisions
    yield from check_trials(study, decisions)
    yield from check_results(decisions)
    yield from check_tables(study, decisions)
    yield from check_replay(study)


def check_trials(study: Study, decisions: list[Decision]) -> Iterator[str]:
    """Demand of every trial, and no others, that it has one end in the lowest rung."""
    started = {each.trial for each in decisions if isinstance(each, Assigned)}
    if started != set(range(study.max_trials)):
        yield f"{len(started)} trials were started, of {study.max_trials}"
    closed = closings(decisions)
    for trial in range(study.max_trials):
        if closed[trial, 0] != 1:
            yield f"trial {trial} has {closed[trial, 0]} results at rung 0"


def check_results(decisions: list[Decision]) -> Iterator[str]:
    """Demand of every job one result, of a model that was trained all the way."""
    for job, count in closings(decisions).items():
        if count > 1:
            yield f"job {job} has {count} results"
    for each in decisions:
        if isinstance(each, Result) and each.metrics["trained"] != each.resource:
            yield f"{each} is of a model that was trained for something else"
        if isinstance(each, Failure) and OURS in each.error:
            yield f"trial {each.trial} rung {each.rung}: {each.error.splitlines()[-1]}"


def closings(decisions: list[Decision]) -> Counter[tuple[int, int]]:
    """Count how often each job, by trial and rung, had a result or was given up."""
    return Counter(
        (each.trial, each.rung)
        for each in decisions
        if isinstance(each, Result) or (isinstance(each, Failure) and each.final)
    )


def check_tables(study: Study, decisions: list[Decision]) -> Iterator[str]:
    """Compare the results file with the journal."""
    with h5py.File(study.out / run_folder.RESULTS) as file:
        told = {name: len(file[name]) for name in ("trials", "results", "failures", "decisions")}
    expected = {
        "trials": study.max_trials,
        "results": sum(isinstance(each, Result) for each in decisions),
        "failures": sum(isinstance(each, Failure) for each in decisions),
        "decisions": len(decisions),
    }
    for name, count in expected.items():
        if told[name] != count:
            yield f"run.h5 has {told[name]} {name}, and the journal {count}"


def check_replay(study: Study) -> Iterator[str]:
    """Derive every decision again."""
    words = [sys.executable, "-m", "hpmpi", "replay", str(study.out)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=environ, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        yield f"replay exits with {done.returncode}: {done.stdout}{done.stderr}"


def figures(study: Study) -> Counter[str]:
    """Count what became of a study."""
    decisions = study.decisions
    failures = [each for each in decisions if isinstance(each, Failure)]
    return Counter(
        {
            "studies": 1,
            "starts spoilt before a rank had joined": study.spoilt,
            "tracebacks of those": study.tracebacks,
            "pieces of memory that MPI left of those": study.pieces,
            "trials": study.max_trials,
            "results": sum(isinstance(each, Result) for each in decisions),
            "lost results": sum("were lost" in each for each in study.wrong),
            "times that a rank was lost": sum(isinstance(each, Lost) for each in decisions),
            "jobs given up": sum(each.final for each in failures),
            **Counter(f"attempts that failed: {each.kind.value}" for each in failures),
        }
    )
