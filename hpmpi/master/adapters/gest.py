"""Generators of the gest-api standard: `method = "gest:package.module:Class"`, or a file's.

They are what libEnsemble and Xopt have (github.com/campa-consortium/gest-api). A variable is a
place on the axis of a hyperparameter, from 0 to 1, so that `log` and `step` are ours; a choice has
the numbers of its values. The objective is "loss", less is better; NaN says that a trial failed. As
the standard knows of no rungs, a generator is told of results at the highest one alone. One that
gives no point has to wait for results. The study's seed is its `seed`, if it has such a keyword.
"""

from inspect import Parameter, signature
from math import nan, nextafter
from typing import Any

from hpmpi.errors import SettingsError
from hpmpi.master.adapters import Adapted, Load, adapt, settings_of
from hpmpi.model.dimensions import Choice, Dimension
from hpmpi.model.trial import Config, Metrics

LOSS = "loss"
HIGHEST = nextafter(1.0, 0.0)
GIVEN = ("vocs", "VOCS", "seed")
"""What is no setting of a generator's."""


class GestSearcher(Adapted):
    """Suggest the points of a generator."""

    def _start(self, settings: dict[str, Any]) -> None:
        from gest_api.vocs import VOCS  # noqa: PLC0415 - an extra

        items = self._space.dimensions.items()
        variables = {
            name: set(range(it.size)) if isinstance(it, Choice) else [0.0, 1.0]
            for name, it in items
        }
        vocs = VOCS(variables=variables, objectives={LOSS: "MINIMIZE"})
        named = signature(type(self).kind).parameters
        if "seed" in named:
            settings["seed"] = self._seed
        is_keyword = "vocs" in named and named["vocs"].kind is Parameter.KEYWORD_ONLY
        given = {"vocs": vocs, **settings} if is_keyword else settings
        self._generator = type(self).kind(*(() if is_keyword else (vocs,)), **given)
        self._points: list[dict[str, Any]] = []

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Have the generator ingest a result."""
        del resource, metrics
        if loss is None or rung >= self._top:
            self._ingest(self._begun[trial], loss)

    def _suggest(self) -> tuple[Config, Any] | None:
        if not self._points:
            try:
                self._points = list(self._generator.suggest(1))
            except ValueError:  # it says itself how many there are
                self._points = list(self._generator.suggest(None))
        if not self._points:
            return None
        point = self._points.pop(0)
        items = self._space.dimensions.items()
        return self._space.at([unit_of(it, point[name]) for name, it in items]), point

    def _given_by_us(self, config: Config) -> Any:
        units = zip(self._space.dimensions.items(), self._space.unit(config), strict=True)
        return {
            name: int(unit * it.size) if isinstance(it, Choice) else unit
            for (name, it), unit in units
        }

    def _drop(self, theirs: Any) -> None:
        self._ingest(theirs, None)

    def _ingest(self, point: dict[str, Any], loss: float | None) -> None:
        self._generator.ingest([{**point, LOSS: nan if loss is None else loss}])


def unit_of(it: Dimension, value: Any) -> float:
    """Find the coordinate that a variable's value stands for."""
    if isinstance(it, Choice):
        return (int(value) + 0.5) / it.size
    return min(max(float(value), 0.0), HIGHEST)


def adapted(name: str, load: Load) -> Any:
    """Make the searcher of a generator; raises SettingsError where it is none, or not there."""
    try:
        from gest_api import Generator  # noqa: PLC0415
    except ImportError as error:
        said = "the standard can't be imported; pip install 'hpmpi[gest]'"
        raise SettingsError([f"{said} ({error})"]) from error
    kind = load(name)
    if not (isinstance(kind, type) and issubclass(kind, Generator)):
        raise SettingsError([f"{name} is no class derived from gest_api.Generator"])
    return adapt(GestSearcher, kind, settings_of(kind, GIVEN))
