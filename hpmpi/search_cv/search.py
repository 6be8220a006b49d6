"""`hpmpi.SearchCV`: scikit-learn's search, with its contract and names, as a study of hpmpi.

What is known before and after the fits is scikit-learn's own code, inherited from BaseSearchCV:
scorers, routing, tables of results, the choice of the best, delegation. Between them, where
BaseSearchCV would hand candidates to joblib, there is a run: `fit` is that method with a run in it.
"""

import math
import numbers
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import sklearn
from sklearn.base import _fit_context, clone, is_classifier
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import _check_method_params, indexable

from hpmpi.api.leading import of_script
from hpmpi.api.run import run
from hpmpi.errors import ObjectiveError, SettingsError, StoreError
from hpmpi.search_cv.fits import FOLDS, FitContext, Split
from hpmpi.search_cv.objective import SearchArgs
from hpmpi.search_cv.outcomes import Candidate, Reader, heed_resources
from hpmpi.search_cv.parcel import Sending
from hpmpi.search_cv.progress import Progress
from hpmpi.search_cv.spaces import space_of
from hpmpi.search_cv.studies import study_of
from hpmpi.storage.files import make_folder
from hpmpi.study.schema import Table
from hpmpi.views.run_view import look

RUN = "run"
"""The run folder, in the folder of a search."""

SHOWN = ("display", "print_changed_only")
"""What of scikit-learn's configuration is how things look."""

GO_ON = "call it with the same to go on with it, or give another folder"
NO_FITS = "No fits were performed. Was the CV iterator empty? Were there no candidates?"


class SearchCV(BaseSearchCV):  # type: ignore[misc]
    """Search for the parameters of an estimator by cross-validation, as a study of hpmpi.

    `space` is a dict of lists, scipy distributions, or hpmpi's `Float`, `Int`, `Choice`, `Ordinal`;
    or a list of such dicts. `scoring`, `cv`, `refit`, `error_score` and `return_train_score` are
    GridSearchCV's, and so is all that it has after `fit`.

    `resource`: "folds", "rows", or a parameter that is a whole number, as "n_estimators": what more
    of costs more. Candidates are then compared while they have had little of it, and the better
    ones go on (ASHA); `cv_results_["n_resources"]` has how far each came. `scheduler`, `searcher`:
    the method, or the table of a study file. Without a `searcher`, a space of lists is tried whole,
    in the order of GridSearchCV's; another, or with `max_trials`, at random.

    `folder` keeps the run, on a disk that all nodes see: a search that was killed, and is called
    again with the same, goes on where it was; so does `hpmpi show`. `workers`: processes of this
    machine, as many as cores; under `mpirun -n 10 python -m hpmpi script.py` the ranks work
    instead; with `slurm`, as {"nodes": 8, "ntasks_per_node": 4, "time": "8:00:00"}, an allocation.
    `settings`: more tables of a study file, as {"limits": {"trial_time_s": 600}}. With `verbose`,
    a line tells now and then how much is done, and how long the rest will take.
    """

    _required_parameters: ClassVar = ["estimator", "space"]
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **{
            name: BaseSearchCV._parameter_constraints[name]  # noqa: SLF001
            for name in ("scoring", "refit", "cv", "verbose", "error_score", "return_train_score")
        },
        "estimator": [HasMethods(["fit"])],
        "space": [dict, list],
        "max_trials": [numbers.Integral, None],
    }

    def __init__(  # noqa: PLR0913 - scikit-learn's estimators have all that they are here
        self,
        estimator: Any,
        space: Any,
        *,
        scoring: Any = None,
        cv: Any = None,
        refit: Any = True,
        resource: str | None = None,
        scheduler: str | Mapping[str, Any] | None = None,
        searcher: str | Mapping[str, Any] | None = None,
        max_trials: int | None = None,
        seed: int = 0,
        error_score: Any = math.nan,
        return_train_score: bool = False,
        folder: str | Path | None = None,
        workers: int | None = None,
        slurm: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        verbose: int = 1,
    ) -> None:
        """Keep what is given, as it is."""
        self.estimator, self.space = estimator, space
        self.scoring, self.cv, self.refit = scoring, cv, refit
        self.resource, self.scheduler, self.searcher = resource, scheduler, searcher
        self.max_trials, self.seed = max_trials, seed
        self.error_score, self.return_train_score = error_score, return_train_score
        self.folder, self.workers, self.slurm = folder, workers, slurm
        self.settings, self.verbose = settings, verbose

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None, **params: Any) -> "SearchCV":  # noqa: N803 - its name there
        """Search, and fit the best on all of the data, unless `refit` is False.

        `params`: `groups`, `sample_weight` and what else the splitter, the estimator and the scorer
        take. Raises what GridSearchCV raises, and HpmpiError.
        """
        scorer, refit_metric = self._get_scorers()
        X, y = indexable(X, y)  # noqa: N806 - as above
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        context = FitContext(
            estimator=clone(self.estimator),
            X=X,
            y=y,
            splits=self._splits(X, y, routed.splitter.split),
            scorer=scorer,
            fit_params=dict(routed.estimator.fit),
            score_params=dict(routed.scorer.score),
            resource=self.resource or FOLDS,
            error_score=self.error_score,
            return_train_score=self.return_train_score,
            config={name: it for name, it in sklearn.get_config().items() if name not in SHOWN},
        )
        candidates = self._candidates(context)
        self.cv_results_ = self._tabulated(candidates)
        scores = candidates[0].outcomes[0]["test_scores"]
        self.multimetric_ = isinstance(scores, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(scores)
            refit_metric = self.refit
        self._choose(refit_metric)
        if self.refit:
            self._refit(context)
        self.scorer_ = scorer._scorers if is_several(scorer) else scorer  # noqa: SLF001
        return self

    @property
    def _is_staged(self) -> bool:
        """Whether candidates may be compared before they had all of a resource."""
        return self.resource is not None or self.scheduler is not None

    def _splits(self, X: Any, y: Any, params: Mapping[str, Any]) -> list[Split]:  # noqa: N803
        """Split once, for all candidates; raises ValueError where there is no split."""
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        self.n_splits_ = cv.get_n_splits(X, y, **params)
        splits = [Split(*map(np.asarray, pair)) for pair in cv.split(X, y, **params)]
        if len(splits) != self.n_splits_:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. "
                f"Expected {self.n_splits_} splits, got {len(splits)}"
            )
        if not splits:
            raise ValueError(NO_FITS)
        return splits

    def _candidates(self, context: FitContext) -> list[Candidate]:
        """Run the study, or go on with it; raises what an estimator or a scorer has raised."""
        space = space_of(self.space)
        sending = Sending(context, space)
        names = list(context.scorer._scorers) if is_several(context.scorer) else []  # noqa: SLF001
        score = self.refit if isinstance(self.refit, str) else next(iter(names), None)
        is_local = self.slurm is None and of_script() is None
        with self._kept(is_local=is_local) as folder:
            check_same(folder / RUN, sending.digests)
            with sending.parcel(folder, local=is_local) as parcel:
                metric = f"mean_test_{score or 'score'}"
                args = SearchArgs(parcel, sending.digests, metric, score)
                study = study_of(
                    context,
                    space,
                    args,
                    searcher=self.searcher,
                    scheduler=self.scheduler or ("asha" if self._is_staged else "full"),
                    max_trials=self.max_trials,
                )
                self._run(study, sending.parts.arrays, folder / RUN)
            failed = None if self.error_score == "raise" else self.error_score
            failed = dict.fromkeys(names, failed) if names and failed is not None else failed
            reader = Reader(look(folder / RUN).history, folder / RUN, self.n_splits_, failed)
            in_order = study["searcher"]["method"] == "grid" and space.is_listed
            return reader.candidates(space, context, in_order=in_order)

    def _run(self, study: Table, arrays: Mapping[str, Any], folder: Path) -> None:
        """Run a study; that trials fail alike is seen in what they have come to."""
        try:
            run(
                study,
                out=folder,
                workers=self.workers,
                slurm=self.slurm,
                progress=Progress() if self.verbose else False,
                seed=self.seed,
                data=arrays,
                **(self.settings or {}),
            )
        except ObjectiveError:
            if not look(folder).history.failures:
                raise

    @contextmanager
    def _kept(self, *, is_local: bool) -> Iterator[Path]:
        """Have a folder for the search: the one that is named, or one until it is over."""
        if self.folder is not None:
            folder = Path(self.folder).absolute()
            make_folder(folder)
            yield folder
        elif is_local:
            with tempfile.TemporaryDirectory(prefix="hpmpi-search-") as name:
                yield Path(name)
        else:
            raise SettingsError(
                ["folder must be given where ranks work: one on a disk that all nodes see"]
            )

    def _tabulated(self, candidates: list[Candidate]) -> dict[str, Any]:
        """Make `cv_results_`; raises ValueError where nothing is there, or all has failed."""
        outcomes = [outcome for each in candidates for outcome in each.outcomes]
        if not outcomes:
            raise ValueError(NO_FITS)
        _warn_or_raise_about_fit_failures(outcomes, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(outcomes, self.error_score)
        params = [each.params for each in candidates]
        if not self._is_staged:
            return dict(self._format_results(params, self.n_splits_, outcomes))
        more = {"n_resources": [each.resource for each in candidates]}
        with warnings.catch_warnings():
            if self.resource in (FOLDS, None):  # those that were not done have no scores
                warnings.filterwarnings("ignore", message=".* scores are non-finite")
            results = dict(self._format_results(params, self.n_splits_, outcomes, more))
        heed_resources(results, candidates)
        return results

    def _choose(self, refit_metric: Any) -> None:
        """Have the best candidate, where something says which it is."""
        if not self.refit and self.multimetric_:
            return
        results = self.cv_results_
        self.best_index_ = self._select_best_index(self.refit, refit_metric, results)
        if not callable(self.refit):
            self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _refit(self, context: FitContext) -> None:
        """Fit the best candidate on all of the data."""
        params = clone(self.best_params_, safe=False)
        self.best_estimator_ = clone(context.estimator).set_params(**params)
        began_at = time.time()
        known = () if context.y is None else (context.y,)
        self.best_estimator_.fit(context.X, *known, **context.fit_params)
        self.refit_time_ = time.time() - began_at
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_


def is_several(scorer: Any) -> bool:
    """Tell whether there are several scorers, by name."""
    return isinstance(scorer, _MultimetricScorer)


def check_same(folder: Path, digests: Mapping[str, str]) -> None:
    """Raise SettingsError where a run is there that was begun with something else."""
    try:
        args = look(folder).study.objective_args
    except StoreError:  # none is there
        return
    before = args.get("digests", {})
    others = [name for name, digest in digests.items() if before.get(name) not in (digest, None)]
    if others:
        raise SettingsError(
            [f"{folder.parent} has a search begun with another {', '.join(others)}: {GO_ON}"]
        )
