"""What must be true of a study after all that was done to it; for scripts/torture.py."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import h5py

from hpmpi.model.messages import Finished
from hpmpi.model.records import Assigned, Failure, Result
from hpmpi.model.trial import JobKey
from hpmpi.storage import run_folder
from tests.harness.runs import ROOT
from tests.harness.torture_objective import OURS
from tests.harness.torture_study import Study


def check(study: Study) -> Iterator[str]:
    """Say all that is wrong with a study that is over."""
    yield from (f"left running: {each}" for each in study.left())
    yield from (f"left in memory: {each}" for each in study.segments if each.exists())
    study.look()
    yield from check_trials(study)
    yield from check_results(study)
    yield from check_tables(study)
    yield from check_replay(study)


def check_trials(study: Study) -> Iterator[str]:
    """Demand of every trial, and no others, that it has one end in the lowest rung."""
    started = {each.attempt.trial for each in study.decided(Assigned)}
    if started != set(range(study.max_trials)):
        yield f"{len(started)} trials were started, of {study.max_trials}"
    closed = closings(study)
    for trial in range(study.max_trials):
        if (count := closed[JobKey(trial, 0)]) != 1:
            yield f"trial {trial} has {count} results at rung 0"


def check_results(study: Study) -> Iterator[str]:
    """Demand of every job one result, of a model that was trained all the way."""
    for job, count in closings(study).items():
        if count > 1:
            yield f"job {job} has {count} results"
    resources = {each.attempt: each.resource for each in study.decided(Assigned)}
    metrics = {finished.attempt: finished.metrics for _, finished in study.heard(Finished)}
    for each in study.decided(Result):
        if metrics[each.attempt]["trained"] != resources[each.attempt]:
            yield f"{each.attempt}: its model was trained for something else"
    for failed in study.history.failures:
        if OURS in failed.error:
            yield f"{failed.attempt}: {failed.error.splitlines()[-1]}"


def closings(study: Study) -> Counter[JobKey]:
    """Count how often each job had a result or was given up."""
    results = [each.attempt.job for each in study.decided(Result)]
    given_up = [each.attempt.job for each in study.decided(Failure) if each.final]
    return Counter([*results, *given_up])


def check_tables(study: Study) -> Iterator[str]:
    """Compare the results file with the journal."""
    with h5py.File(study.out / run_folder.RESULTS) as file:
        told = {name: len(file[name]) for name in ("trials", "results", "failures", "decisions")}
    expected = {
        "trials": study.max_trials,
        "results": len(study.results),
        "failures": len(study.decided(Failure)),
        "decisions": len(study.lines),
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
    failures = study.decided(Failure)
    return Counter(
        {
            "studies": 1,
            "starts spoilt before a rank had joined": study.spoilt,
            "tracebacks of those": study.tracebacks,
            "pieces of memory that MPI left of those": study.pieces,
            "trials": study.max_trials,
            "results": len(study.results),
            "lost results": sum("were lost" in each for each in study.wrong),
            "times that a rank was lost": len(study.lost),
            "jobs given up": sum(each.final for each in failures),
            **Counter(f"attempts that failed: {each.kind.value}" for each in failures),
        }
    )
