"""How much each hyperparameter matters, with its spread; beside it by fANOVA."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpmpi.views.figures.run import Run, described
from hpmpi.views.figures.style import INK, PALETTE, legend, new_figure, plain, wrapped
from hpmpi.views.importance import FEWEST, LITTLE, Importance, Weight
from hpmpi.views.layout import resource_of

BAR, BOTH = 0.7, 2
"""How much of its row a bar fills, or two."""


def importance(run: Run) -> Figure | str:
    """Draw a bar a hyperparameter; or say why there is nothing to tell."""
    found = run.importance
    if found is None:
        return f"no rung has {FEWEST} results yet"
    title, subtitle = described([run], "importance of hyperparameters")
    height = 1.9 + 0.3 * max(len(found.weights), 3)
    figure, (panel,) = new_figure(title, subtitle, size=(7.2, height))
    kinds = BOTH if any(it.fanova is not None for it in found.weights) else 1
    bars(panel, found.weights, BAR / kinds)
    panel.set_yticks(range(len(found.weights)), [plain(it.name, 34) for it in found.weights])
    panel.set_ylim(len(found.weights) - 0.4, -0.6)
    panel.axvline(0, color=INK, linewidth=0.8)
    panel.set_xlabel("importance (0: none)")
    panel.set_title(wrapped(told(found, run.unit), panel))
    panel.grid(visible=False, axis="y")
    legend(figure, ncols=2)
    return figure


def bars(panel: Axes, weights: list[Weight], tall: float) -> None:
    """Draw the bars of both kinds, where there are both."""
    places = range(len(weights))
    both = tall < BAR
    panel.barh(
        [place - tall / 2 * both for place in places],
        [it.mean for it in weights],
        tall,
        xerr=[it.spread for it in weights],
        color=PALETTE[1],
        error_kw={"ecolor": INK, "elinewidth": 1.0, "capsize": 2.0},
        label="permutation: R² lost, ± deviation",
    )
    if both:
        panel.barh(
            [place + tall / 2 for place in places],
            [it.fanova or 0.0 for it in weights],
            tall,
            color=PALETTE[3],
            hatch="////",
            edgecolor="white",
            linewidth=0,
            label="fANOVA: share of the variance",
        )


def told(found: Importance, unit: str) -> str:
    """Say what it was learnt from, and how well."""
    least = f"; {found.left_out} that matter less are left out" if found.left_out else ""
    if found.score < LITTLE:
        least = "; the forest knows next to nothing: so does this"
    learnt = f"Of the places of {found.trials} trials at {resource_of(found.resource, unit)}"
    return f"{learnt} (R² of the forest {found.score:.2f}){least}"
