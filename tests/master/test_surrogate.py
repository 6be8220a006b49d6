"""What the model of a searcher must do."""

import math

import numpy as np
import pytest
from scipy.optimize import check_grad

from hpmpi.master.surrogate.beliefs import Beliefs
from hpmpi.master.surrogate.candidates import CANDIDATES, candidates, mutants
from hpmpi.master.surrogate.features import Features
from hpmpi.master.surrogate.gaussian_process import Array, Evidence, Posterior, Prior, learn
from hpmpi.master.surrogate.results import Results, comparable, trusted
from hpmpi.model.dimensions import Choice, Float, Int, OptionalRange
from hpmpi.model.priors import Prior as Belief
from hpmpi.model.space import Space

SPACE = Space(
    {
        "x": Float(0.0, 1.0),
        "units": Int(8, 256, log=True),
        "layers": Int(1, 5),
        "solver": Choice(["a", "b", "c"]),
        "bias": Choice([True, False]),
        "fixed": Choice([1]),
    }
)


def drawn(count: int) -> Array:
    """Draw points of the unit cube."""
    return np.random.default_rng(0).random((count, len(SPACE.dimensions)))


def drawn_of(space: Space, count: int) -> Array:
    """Draw points of another space."""
    return np.random.default_rng(2).random((count, len(space.dimensions)))


def results(*rows: tuple[int, int, float]) -> Results:
    """Make results of trial, rung and loss."""
    trials, rungs, losses = zip(*rows, strict=True)
    return Results(np.array(trials), np.array(rungs), np.array(losses))


def test_a_model_sees_what_runs() -> None:
    points = drawn(300)
    units = [SPACE.unit(SPACE.at(point)) for point in points.tolist()]
    snapped = Features(SPACE).snapped(points)
    # Values have 12 digits, and the logarithms' middles are computed in another way.
    assert np.allclose(snapped[:, [0, 2, 3, 4, 5]], np.array(units)[:, [0, 2, 3, 4, 5]], atol=1e-9)
    assert [SPACE.at(each) for each in snapped.tolist()] == [
        SPACE.at(each) for each in points.tolist()
    ]


def test_values_that_differ_are_as_far_apart_as_both_ends_are() -> None:
    features = Features(SPACE)
    points = features.snapped(drawn(100))
    columns = features.of(points)
    for place, size in ((3, 3), (4, 2)):
        values = (points[:, place] * size).astype(int)
        here = columns[:, features.groups == place]
        distances = ((here[:, None] - here[None]) ** 2).sum(axis=2)
        assert np.allclose(distances, values[:, None] != values[None])


def test_candidates_are_in_the_cube_and_half_of_them_near_the_best() -> None:
    features = Features(SPACE)
    best = features.snapped(drawn(10))
    points = candidates(np.random.default_rng(1), features, best)
    assert points.shape == (CANDIDATES, len(SPACE.dimensions))
    assert ((points >= 0) & (points < 1)).all()
    changed = (points[:, None, :] != best[None]).sum(axis=2).min(axis=1)
    assert np.median(changed[: CANDIDATES // 2]) > np.median(changed[CANDIDATES // 2 :])


def test_the_gradient_is_that_of_the_evidence() -> None:
    features = Features(SPACE)
    columns = features.of(features.snapped(drawn(40)))
    prior = Prior(len(SPACE.dimensions))
    evidence = Evidence(columns, np.sin(9 * columns[:, 0]), features.groups, prior)
    at = prior.mean + 0.3
    off = check_grad(lambda it: evidence(it)[0], lambda it: evidence(it)[1], at)
    assert off < 1e-3 * np.linalg.norm(evidence(at)[1])


def test_a_model_is_sure_of_what_it_knows_and_unsure_of_the_rest() -> None:
    points = np.linspace(0.0, 0.5, 12)[:, None]
    losses = np.sin(6 * points[:, 0])
    groups = np.array([0])
    posterior = Posterior(points, losses, groups, learn(points, losses, groups))
    means, deviations = posterior.predict(np.array([[0.25], [0.3], [1.0]]))
    assert means[:2] == pytest.approx(np.sin([1.5, 1.8]), abs=0.05)
    assert deviations[0] < deviations[2] / 3


def test_what_matters_has_the_shorter_length() -> None:
    points = drawn(60)[:, :2]
    learnt = learn(points, np.sin(6 * points[:, 0]), np.array([0, 1]))
    assert learnt.lengths[0] < learnt.lengths[1] / 2


def test_a_rung_that_says_little_of_the_one_above_is_left_out_with_those_below() -> None:
    rows = [(trial, rung, float(trial)) for rung in (0, 2, 3) for trial in range(8)]
    rows += [(trial, 1, float(trial * 5 % 8)) for trial in range(8)]
    assert trusted(results(*rows), needed=5) == (3, 2)
    assert trusted(results(*rows), needed=9) == (3, 2, 1, 0)


def test_lower_rungs_are_brought_to_the_level_of_the_highest() -> None:
    rows = [(0, 0, 5.0), (1, 0, 6.0), (2, 0, 9.0), (0, 1, 3.0), (1, 1, 4.0), (0, 2, 2.0)]
    assert comparable(results(*rows)).losses.tolist() == [2.0, 3.0, 6.0, 2.0, 3.0, 2.0]


def test_what_failed_is_as_bad_as_the_worst_of_its_rung() -> None:
    rows = [(0, 0, 5.0), (1, 0, np.nan), (2, 0, 9.0), (0, 1, np.nan)]
    assert comparable(results(*rows)).losses.tolist() == [5.0, 9.0, 9.0]


OPTIONAL = Space(
    {
        "decay": OptionalRange(Float(1e-6, 1e-2, log=True)),
        "warmup": OptionalRange(Int(1, 3)),
        "x": Float(0.0, 1.0),
    }
)


def test_an_optional_range_is_seen_as_it_is_tried() -> None:
    features = Features(OPTIONAL)
    points = drawn_of(OPTIONAL, 300)
    snapped = features.snapped(points)
    configs = [OPTIONAL.at(it) for it in points.tolist()]
    assert [OPTIONAL.at(it) for it in snapped.tolist()] == configs
    units = [OPTIONAL.unit(it) for it in configs]
    assert np.allclose(snapped, units, atol=1e-9)


def test_no_value_is_apart_from_all_values_and_as_far_from_the_low_as_from_the_high() -> None:
    features = Features(OPTIONAL)
    none, low, high = features.of(
        features.snapped(np.array([[0.1, 0.1, 0.5], [0.2501, 0.1, 0.5], [0.9999, 0.1, 0.5]]))
    )
    assert math.isclose(np.abs(none - low).max(), 1.0)
    assert math.isclose(((none - low) ** 2).sum(), ((none - high) ** 2).sum(), rel_tol=1e-3)


def test_mutants_come_to_no_value_and_back() -> None:
    features = Features(OPTIONAL)
    generator = np.random.default_rng(0)
    for parent, least in ((0.125, 0.3), (0.26, 0.005)):
        parents = np.full((4000, 3), parent)
        changed = mutants(generator, features, parents)[:, 0]
        is_none = changed < 0.25
        others = is_none != (parent < 0.25)
        assert least < others.mean() < 0.6


BELIEVED = Space(
    {"x": Float(0.0, 1.0), "solver": Choice(["a", "b", "c"]), "y": Float(0.0, 1.0)},
    priors={"x": Belief(0.8, 0.8, 0.5), "solver": Belief("b", 0.5, 0.25, 0.0)},
)


def test_a_belief_is_a_density_that_is_high_at_the_prior() -> None:
    features = Features(BELIEVED)
    beliefs = Beliefs(BELIEVED, features)
    points = drawn_of(BELIEVED, 200_000)
    logarithm = beliefs.logarithm(points)
    assert math.isclose(np.exp(logarithm).mean(), 1.0, abs_tol=0.02)
    best = beliefs.logarithm(np.array([[0.8, 0.5, 0.1]]))
    assert best == logarithm.max() or best > np.quantile(logarithm, 0.99)
    apart = beliefs.logarithm(np.array([[0.1, 0.5, 0.1], [0.1, 0.9, 0.1]]))
    assert np.allclose(np.exp(apart), [0.5 * 1.5, 0.5 * 0.75])


def test_what_is_inactive_is_not_believed() -> None:
    beliefs = Beliefs(BELIEVED, Features(BELIEVED))
    active = np.array([[False, False, True]])
    assert beliefs.logarithm(np.array([[0.8, 0.5, 0.1]]), active) == 0.0
