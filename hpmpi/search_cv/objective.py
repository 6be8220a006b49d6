"""The objective of a search: a trial is a candidate, and its metrics what its fits came to.

    split0_test_score    or split0_test_<name> of each metric; split0_train_... likewise
    split0_fit_time, split0_score_time    in seconds
    split0_failed        1 where the estimator raised; the traceback is in the trial's own folder

Where folds are the resource, as they are where nothing else is, a trial goes from fold to fold: it
is promoted by them, and what was killed goes on at the fold that it was at.
"""

import json
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np

from hpmpi.data.mapped import data_in
from hpmpi.model.trial import Config, Metrics
from hpmpi.search_cv.fits import FOLDS, FitContext, Outcome, scores_of
from hpmpi.search_cv.parcel import Parcel, opened
from hpmpi.search_cv.spaces import SearchSpace
from hpmpi.worker.handle import Trial

REFERENCE = f"{__name__}:train"
"""How a study names this objective."""

TIMES = ("fit_time", "score_time")
KINDS = ("test", "train")

FAILED = "failed"
"""The metric of a fold whose fit raised."""

FOLDS_DONE = "folds.json"
"""The file in a checkpoint that has the metrics of the folds that are done."""

FIT_ERROR = "fit_error.{split}.txt"
"""The file in a trial's folder that has the traceback of a fold whose fit raised last."""


class SearchArgs(msgspec.Struct, frozen=True):
    """`[objective_args]`: where the search is, and digests of what it is made of, by name.

    `metric` is the study's, the mean of the scores that are called `score`: "" where they have no
    name, None for the first of several.
    """

    parcel: Parcel
    digests: dict[str, str]
    metric: str
    score: str | None = None


def train(config: Config, trial: Trial) -> Metrics:
    """Fit and score a candidate with all splits, or up to so many; raises what a scorer raises."""
    assert trial.data is not None, "a search has its data there"
    args = msgspec.convert(trial.args, SearchArgs)
    context, space = search_in(msgspec.json.encode(args.parcel), str(trial.data.folder))
    by_folds = context.resource == FOLDS
    params = space.params(config)
    metrics = done_in(trial.previous)
    for split in range(trial.start, trial.stop) if by_folds else range(len(context.splits)):
        outcome = context.fit(params, split, trial.stop)
        metrics |= metrics_of(split, outcome)
        if outcome["fit_error"] is not None:
            file = trial.folder / FIT_ERROR.format(split=split)
            file.write_text(outcome["fit_error"], encoding="utf-8", errors="backslashreplace")
        metrics[args.metric] = mean(metrics, split + 1, args.score)
        if by_folds:
            trial.report(split + 1, **{args.metric: metrics[args.metric]})
            if split + 1 < len(context.splits) and trial.should_save(split + 1):
                save(trial, split + 1, metrics)
    return metrics


@lru_cache(maxsize=1)
def search_in(parcel: bytes, folder: str) -> tuple[FitContext, SearchSpace]:
    """Put together the search of this run, once in a process."""
    arrays = data_in(folder)
    assert arrays is not None, "there is a folder"
    return opened(msgspec.json.decode(parcel, type=Parcel), arrays)


def done_in(checkpoint: Path | None) -> Metrics:
    """Read the metrics of the folds that are done."""
    if checkpoint is None:
        return {}
    metrics: Metrics = json.loads((checkpoint / FOLDS_DONE).read_text(encoding="utf-8"))
    return metrics


def save(trial: Trial, folds: int, metrics: Metrics) -> None:
    """Save what so many folds came to."""
    with trial.checkpoint(folds) as folder:
        (folder / FOLDS_DONE).write_text(json.dumps(metrics), encoding="utf-8")


def metrics_of(split: int, outcome: Outcome) -> Metrics:
    """Name what came of a fit."""
    metrics: Metrics = {f"split{split}_{name}": outcome[name] for name in TIMES}
    for kind in KINDS:
        for name, score in scores_of(outcome, kind).items():
            metrics[score_name(split, kind, name)] = score
    if outcome["fit_error"] is not None:
        metrics[f"split{split}_{FAILED}"] = 1.0
    return metrics


def score_name(split: int, kind: str, name: str) -> str:
    """Name the score of a fold.

    >>> score_name(0, "test", ""), score_name(1, "train", "roc_auc")
    ('split0_test', 'split1_train_roc_auc')
    """
    return f"split{split}_{kind}_{name}" if name else f"split{split}_{kind}"


def scores_in(metrics: Metrics, split: int, kind: str) -> dict[str, float]:
    """Find the scores of a fold by name.

    >>> scores_in({"split1_test_a": 0.5, "split1_train_a": 0.75, "split10_test_a": 1.0}, 1, "test")
    {'a': 0.5}
    """
    whole = score_name(split, kind, "")
    if whole in metrics:
        return {"": metrics[whole]}
    begin = f"{whole}_"
    return {
        name.removeprefix(begin): score for name, score in metrics.items() if name.startswith(begin)
    }


def mean(metrics: Metrics, folds: int, score: str | None) -> float:
    """Compute the mean of a score over folds; of one that has failed, what stands for all."""
    found = []
    for split in range(folds):
        scores = scores_in(metrics, split, "test")
        first = next(iter(scores.values()))
        found.append(first if score is None else scores.get(score, first))
    return float(np.mean(found))
