"""A run as a journal of Optuna's: `optuna-dashboard FILE` opens it, JournalFileBackend reads it.

A trial is the trial of that number in Optuna's study. At the highest rung that was reached it is
COMPLETE, below it PRUNED, as results at different resources do not compare; without a result FAIL,
or RUNNING. What was reported is among its intermediate values by resource, and all its metrics are
user attributes. Choices are categories, by their labels; a range that is optional is a category
that says whether there is a value, and the range where there is one.
"""

import json
import math
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hpmpi.errors import SettingsError, StoreError
from hpmpi.history.attempts import Fate
from hpmpi.history.standings import Standing, Status
from hpmpi.master.adapters.optuna import none_name
from hpmpi.model.dimensions import Choice, Dimension, Float, Int, OptionalRange, Ordinal
from hpmpi.model.trial import Metrics, Value
from hpmpi.model.values import label_of
from hpmpi.views.run_view import Summary


def text(summary: Summary) -> str:
    """Write the journal, a line a record; raises SettingsError where there is no Optuna."""
    try:
        import optuna  # noqa: PLC0415 - an extra, and takes a while
    except ImportError as error:
        said = "a journal of Optuna's is written by Optuna; pip install 'hpmpi[optuna]'"
        raise SettingsError([f"{said} ({error})"]) from error
    from optuna.storages.journal import BaseJournalBackend  # noqa: PLC0415 - likewise

    class Records(BaseJournalBackend):
        """A journal in memory."""

        def __init__(self) -> None:
            self.all: list[dict[str, Any]] = []

        def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
            return self.all[log_number_from:]

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            self.all += json.loads(json.dumps(logs))  # as they will be read

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    records, history = Records(), summary.history
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(records),
        study_name=summary.study.name,
        directions=["minimize" if it.mode == "min" else "maximize" for it in history.goal.each],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that names are experimental
        study.set_metric_names(list(history.goal.names))
    try:
        study.add_trials(Trials(summary).frozen())
    except (ValueError, OverflowError, OSError) as error:  # a journal may be anybody's
        raise StoreError(f"Optuna takes no such trials: {error}") from error
    return "".join(f"{json.dumps(record, separators=(',', ':'))}\n" for record in records.all)


class Trials:
    """The trials of a run, as Optuna freezes them."""

    def __init__(self, summary: Summary) -> None:
        """Look at what became of each; the study began when that fits the journal's last change."""
        self._history = summary.history
        changed_at = summary.looked_at if summary.seen is None else summary.seen[2] / 1e9
        self._began_at = changed_at - self._history.at
        self._ended: dict[int, float] = {}
        self._points: dict[int, dict[int, Metrics]] = {}
        for attempt in self._history.answers:
            self._ended[attempt.id.trial] = attempt.end(self._history.at)
            if attempt.fate is Fate.RESULT:
                points = self._points.setdefault(attempt.id.trial, {})
                points[attempt.resource] = attempt.metrics

    def frozen(self) -> Iterator[Any]:
        """Freeze them, in the order of their numbers."""
        from optuna.trial import FrozenTrial  # noqa: PLC0415 - an extra, and takes a while

        for standing in self._history.trials:
            state = self._state(standing)
            params, distributions = self._config(standing)
            over = state.is_finished()
            ended_at = self._ended.get(standing.trial, standing.suggested_at)
            yield FrozenTrial(
                number=standing.trial,
                trial_id=standing.trial,
                state=state,
                value=None,
                values=self._values(standing) if state.name == "COMPLETE" else None,
                datetime_start=self._time(standing.suggested_at),
                datetime_complete=self._time(ended_at) if over else None,
                params=params,
                distributions=distributions,
                user_attrs={"resource": standing.resource, **standing.metrics},
                system_attrs={},
                intermediate_values=self._intermediate(standing.trial),
            )

    def _state(self, standing: Standing) -> Any:
        from optuna.trial import TrialState  # noqa: PLC0415 - likewise

        incumbent = self._history.incumbent
        if standing.rung < 0:
            is_over = standing.status in (Status.GIVEN_UP, Status.STOPPED)
            return TrialState.FAIL if is_over else TrialState.RUNNING
        if incumbent is None or standing.rung < incumbent.rung:
            return TrialState.PRUNED
        are_numbers = not any(map(math.isnan, self._values(standing)))
        return TrialState.COMPLETE if are_numbers else TrialState.FAIL

    def _values(self, standing: Standing) -> list[float]:
        metrics = standing.metrics
        return [metrics[name] for name in self._history.goal.names]

    def _intermediate(self, trial: int) -> dict[int, float]:
        """Say what was reported of what is studied; Optuna has none where that is several."""
        goal = self._history.goal
        if goal.others:
            return {}
        points = {**self._history.curves.of(trial), **self._points.get(trial, {})}
        return {
            resource: metrics[goal.metric]
            for resource, metrics in sorted(points.items())
            if goal.metric in metrics
        }

    def _config(self, standing: Standing) -> tuple[dict[str, Any], dict[str, Any]]:
        """Say the values of a trial's hyperparameters, and what each was drawn from."""
        dimensions = self._history.space.dimensions
        triples = [
            triple
            for name, value in standing.config.items()
            if name in dimensions
            for triple in told(name, dimensions[name], dimensions[name].fit(value))
        ]
        params = {name: value for name, value, _ in triples}
        return params, {name: distribution for name, _, distribution in triples}

    def _time(self, at: float) -> datetime:
        return datetime.fromtimestamp(self._began_at + at, tz=UTC)


def told(name: str, it: Dimension, value: Value | None) -> Iterator[tuple[str, Any, Any]]:
    """Say in Optuna's words what a hyperparameter is, and what it was drawn from."""
    from optuna import distributions as of  # noqa: PLC0415 - an extra, and takes a while

    match it:
        case OptionalRange():
            yield none_name(name), value is None, of.CategoricalDistribution([True, False])
            if value is not None:
                yield from told(name, it.range, value)
        case Choice() | Ordinal():
            labels = list(map(label_of, map(it.shown, it.values)))
            yield name, labels[it.number(value)], of.CategoricalDistribution(labels)
        case Float():
            high = it.high if it.step is None or it.size is None else it.level(it.size - 1)
            yield name, value, of.FloatDistribution(it.low, high, step=it.step, log=it.log)
        case Int():
            high = it.level(it.size - 1)
            yield name, value, of.IntDistribution(it.low, high, step=it.step or 1, log=it.log)
