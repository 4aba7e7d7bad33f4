"""Persistence diagrams and their distances: known shapes, theorems, brute-force oracles."""

from itertools import permutations

import numpy as np
import persim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from scipy.stats import ortho_group

from clipbatch.measure import diagrams

pytestmark = pytest.mark.quick

NONE = np.empty((0, 2))


def bars_of(max_size: int = 8):
    """Diagrams with few distinct values, so that ties are common."""
    cells = st.tuples(st.integers(0, 6), st.integers(1, 6)).map(lambda b: (b[0], b[0] + b[1]))
    return st.lists(cells, max_size=max_size).map(lambda b: np.array(b, float).reshape(-1, 2) / 4)


def clouds(max_points: int = 12, dim: int = 3):
    return st.integers(2, max_points).flatmap(
        lambda n: arrays(np.float64, (n, dim), elements=st.floats(-1, 1, width=32))
    )


def circle(n: int) -> np.ndarray:
    turn = 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def diagrams_of(points: np.ndarray) -> list[np.ndarray]:
    return diagrams.persistence(diagrams.distances(points))


# Numbers of one diagram.


def sphere(n: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).standard_normal((n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_a_sphere_has_no_loop_that_lasts_and_a_circle_has_one():
    ball = diagrams.lifetimes(diagrams_of(sphere(200))[1])
    ring = diagrams.lifetimes(diagrams_of(circle(60))[1])
    assert ball.max() < 0.6  # its loops fill in across the gaps between points
    assert ring.max() > 1.5


@pytest.mark.parametrize("clusters", [2, 3, 5])
def test_clusters_have_one_long_component_less_than_they_are(clusters):
    centres = 10.0 * np.eye(6)[:clusters]
    points = np.repeat(centres, 20, axis=0)
    points = points + 0.1 * np.random.default_rng(0).standard_normal(points.shape)
    lives = np.sort(diagrams.lifetimes(diagrams_of(points)[0]))
    assert (lives > 5).sum() == clusters - 1
    assert lives[-clusters] < 1


def test_entropy_is_that_of_equal_shares_or_of_one_bar():
    equal = np.array([[0.0, 2.0], [1.0, 3.0], [5.0, 7.0]])
    assert diagrams.entropy(equal) == pytest.approx(np.log(3))
    one = np.array([[0.0, 1.0], [0.5, 0.5 + 1e-9]])
    assert diagrams.entropy(one) == pytest.approx(0.0, abs=1e-6)
    assert diagrams.entropy(NONE) == 0.0


@given(bars_of())
def test_entropy_ignores_scale_and_the_others_follow_it(bars):
    assert diagrams.entropy(3 * bars) == pytest.approx(diagrams.entropy(bars))
    assert 0 <= diagrams.entropy(bars) <= np.log(max(len(bars), 1)) + 1e-9
    assert diagrams.scatter(3 * bars) == pytest.approx(3 * diagrams.scatter(bars))
    if len(bars):
        assert diagrams.median_death(3 * bars) == pytest.approx(3 * diagrams.median_death(bars))


def test_scatter_is_the_spread_of_points_and_death_their_median():
    bars = np.array([[0.0, 1.0], [0.0, 3.0], [0.0, 8.0]])
    assert diagrams.scatter(bars) == pytest.approx(np.std([1, 3, 8]))
    assert diagrams.median_death(bars) == 3.0
    assert diagrams.scatter(bars[:1]) == diagrams.scatter(NONE) == 0.0
    assert np.isnan(diagrams.median_death(NONE))


# Distances between points.


@given(clouds())
def test_distances_are_euclidean_symmetric_and_zero_on_the_diagonal(points):
    found = diagrams.distances(points)
    # A difference of squares loses half the digits where points coincide, and no more.
    np.testing.assert_allclose(found, cdist(points, points), atol=1e-7)
    assert (found == found.T).all()
    assert (np.diagonal(found) == 0).all()


def test_on_unit_vectors_the_distance_is_the_chord():
    a, b = circle(360)[[0, 40]]
    assert diagrams.distances(np.stack([a, b]))[0, 1] == pytest.approx(2 * np.sin(np.radians(20)))


# Diagrams of known shapes.


def test_a_circle_has_one_loop_that_lives_from_its_spacing_to_its_inscribed_triangle():
    h0, h1 = diagrams_of(circle(60))
    np.testing.assert_allclose(h1, [[2 * np.sin(np.pi / 60), np.sqrt(3)]], rtol=1e-6)
    np.testing.assert_allclose(h0[:, 1], 2 * np.sin(np.pi / 60), rtol=1e-6)


def test_two_clusters_have_one_long_component_that_dies_at_their_gap():
    rng = np.random.default_rng(0)
    left = rng.uniform(-0.1, 0.1, (20, 3))
    right = rng.uniform(-0.1, 0.1, (20, 3)) + np.array([5.0, 0.0, 0.0])
    lives = np.sort(diagrams.lifetimes(diagrams_of(np.concatenate([left, right]))[0]))
    assert lives[-1] == pytest.approx(cdist(left, right).min(), rel=1e-6)
    assert lives[-2] < 0.5


@given(clouds())
def test_h0_deaths_are_the_edges_of_the_minimum_spanning_tree(points):
    points = np.unique(np.round(points, 2), axis=0)  # scipy takes a zero for a missing edge
    matrix = diagrams.distances(points)
    h0 = diagrams.persistence(matrix)[0]
    assert (h0[:, 0] == 0).all()
    np.testing.assert_allclose(
        np.sort(h0[:, 1]), np.sort(minimum_spanning_tree(matrix).data), rtol=1e-5
    )


def test_the_bar_that_never_dies_is_left_out():
    h0, h1 = diagrams_of(np.random.default_rng(0).standard_normal((30, 4)))
    assert len(h0) == 29
    assert np.isfinite(h0).all()
    assert np.isfinite(h1).all()


def test_copies_of_a_point_give_no_bars():
    h0, h1 = diagrams_of(np.repeat(circle(1), 5, axis=0))
    assert h0.shape == h1.shape == (0, 2)


def test_no_loop_dimension_when_not_asked():
    assert len(diagrams.persistence(diagrams.distances(circle(12)), maxdim=0)) == 1


def test_order_rotation_and_scale():
    rng = np.random.default_rng(1)
    points = rng.standard_normal((40, 6))
    moved = 3.0 * points[rng.permutation(40)] @ ortho_group.rvs(6, random_state=1)
    for before, after in zip(diagrams_of(points), diagrams_of(moved), strict=True):
        np.testing.assert_allclose(after, 3.0 * before, rtol=1e-5)


# Distances between diagrams.


def lay_out(first: np.ndarray, second: np.ndarray, norm: float) -> np.ndarray:
    """All costs, with a place on the diagonal for every bar; independent of the code tested."""
    m, n = len(first), len(second)
    costs = np.full((m + n, n + m), np.inf)
    costs[m:, n:] = 0.0
    for i, bar in enumerate(first):
        for j, other in enumerate(second):
            costs[i, j] = np.linalg.norm(bar - other, norm)
        costs[i, n + i] = np.linalg.norm(bar - bar.mean(), norm)
    for j, other in enumerate(second):
        costs[m + j, j] = np.linalg.norm(other - other.mean(), norm)
    return costs


@given(bars_of(3), bars_of(3))
@settings(max_examples=60)
def test_bottleneck_is_the_best_of_all_matchings(first, second):
    costs = lay_out(first, second, np.inf)
    size = len(costs)
    best = min(
        (
            max((costs[i, p[i]] for i in range(size)), default=0.0)
            for p in permutations(range(size))
        ),
    )
    assert diagrams.bottleneck(first, second) == pytest.approx(best)


@given(bars_of(12), bars_of(12))
def test_bottleneck_agrees_with_persim(first, second):
    # persim turns an empty diagram into one bar of length 0, which changes nothing.
    ours = diagrams.bottleneck(first, second)
    assert ours == pytest.approx(
        persim.bottleneck(first, second) if len(first) + len(second) else 0
    )


def test_bottleneck_agrees_with_persim_on_real_diagrams():
    rng = np.random.default_rng(5)
    a, b = (diagrams_of(rng.standard_normal((80, 8))) for _ in range(2))
    for first, second in zip(a, b, strict=True):
        assert len(first) > 20
        assert diagrams.bottleneck(first, second) == persim.bottleneck(first, second)


@given(bars_of(8), bars_of(8))
def test_wasserstein_is_the_cheapest_matching_under_l2(first, second):
    costs = lay_out(first, second, 2)
    expected = costs[linear_sum_assignment(costs)].sum()
    assert diagrams.wasserstein(first, second) == pytest.approx(expected)


def test_ground_distances_are_l2_for_wasserstein_and_largest_coordinate_for_bottleneck():
    one, moved = np.array([[0.0, 10.0]]), np.array([[3.0, 14.0]])
    assert diagrams.wasserstein(one, moved) == pytest.approx(5.0)
    assert diagrams.bottleneck(one, moved) == pytest.approx(4.0)
    assert diagrams.wasserstein(one, NONE) == pytest.approx(10 / np.sqrt(2))
    assert diagrams.bottleneck(one, NONE) == pytest.approx(5.0)


@given(bars_of(), bars_of(), bars_of())
def test_both_distances_are_metrics_and_bottleneck_is_the_smaller(a, b, c):
    for distance in (diagrams.bottleneck, diagrams.wasserstein):
        assert distance(a, a) == pytest.approx(0.0, abs=1e-12)
        assert distance(a, b) == pytest.approx(distance(b, a))
        assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-9
    assert diagrams.bottleneck(a, b) <= diagrams.wasserstein(a, b) + 1e-9


def test_many_bars_of_one_birth_are_matched_in_the_order_of_their_deaths():
    """Where the diagonal is far. Nearly every bar may go to nearly every other: a dense search."""
    rng = np.random.default_rng(0)
    first, second = (np.stack([np.zeros(800), 10 + rng.random(800)], axis=1) for _ in range(2))
    expected = np.abs(np.sort(first[:, 1]) - np.sort(second[:, 1])).max()
    assert diagrams.bottleneck(first, second) == pytest.approx(expected)


def test_empty_diagrams_are_at_distance_zero():
    assert diagrams.bottleneck(NONE, NONE) == 0.0
    assert diagrams.wasserstein(NONE, NONE) == 0.0


@pytest.mark.parametrize("step", [0.001, 0.05, 0.4])
def test_moving_points_by_a_step_moves_diagrams_by_at_most_two_steps(step):
    rng = np.random.default_rng(2)
    points = np.concatenate([circle(40), rng.standard_normal((20, 2))])
    moves = rng.standard_normal(points.shape)
    moves *= step / np.linalg.norm(moves, axis=1, keepdims=True)
    pairs = zip(diagrams_of(points), diagrams_of(points + moves), strict=True)
    moved = [diagrams.bottleneck(before, after) for before, after in pairs]
    assert 0.0 < max(moved) <= 2 * step + 1e-6


# The featureless cloud.


def test_featureless_has_the_mean_and_the_shrunk_covariance():
    from sklearn.covariance import ledoit_wolf

    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((60, 5)) * [3, 2, 1, 1, 0.5] + [1, 2, 3, 4, 5]
    cloud = diagrams.featureless(vectors, 200_000, rng)
    np.testing.assert_allclose(cloud.mean(axis=0), vectors.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(np.cov(cloud.T), ledoit_wolf(vectors)[0], atol=0.06)


def test_featureless_has_no_loop_where_the_vectors_have_one():
    wide = np.pad(circle(60), ((0, 0), (0, 4)))
    wide += 0.01 * np.random.default_rng(0).standard_normal(wide.shape)
    cloud = diagrams.featureless(wide, 60, np.random.default_rng(1))
    longest = [diagrams.lifetimes(diagrams_of(p)[1]).max() for p in (wide, cloud)]
    assert longest[0] > 3 * longest[1]


def test_featureless_stays_on_the_sphere_only_where_the_vectors_are():
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((50, 8))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert diagrams.is_unit(unit)
    assert diagrams.is_unit(diagrams.featureless(unit, 30, rng))
    assert not diagrams.is_unit(diagrams.featureless(vectors, 30, rng))


def test_featureless_of_copies_is_copies():
    cloud = diagrams.featureless(np.ones((5, 3)), 4, np.random.default_rng(0))
    np.testing.assert_array_equal(cloud, np.ones((4, 3)))


def test_half_precision_vectors_count_as_unit():
    vectors = np.random.default_rng(5).standard_normal((50, 512))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert diagrams.is_unit(vectors.astype(np.float16))


def test_the_estimate_covers_what_was_measured():
    memory, seconds = diagrams.estimate(2000, 1, 2, 0)
    assert memory >= 0.57e9
    assert 5.0 <= seconds <= 16.0
    assert diagrams.estimate(2000, 1, 2, 3)[1] > seconds
