"""Maps keep what is near near, start from the principal axes, and are judged by known measures."""

import numpy as np
import pytest

from clipbatch.measure import layout
from clipbatch.measure.repeats import one_thread
from tests.unit.measure.worlds import unit

pytestmark = pytest.mark.quick


def nearest(points, k):
    """Brute force: (N, k) neighbours by Euclidean distance, and these distances."""
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    order = np.argsort(distance, axis=1, kind="stable")[:, :k].astype(np.int32)
    return order, np.take_along_axis(distance, order, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def clumps():
    """Points in three tight clumps on the sphere, their clumps, and their graph."""
    rng = np.random.default_rng(0)
    of = np.arange(240) % 3
    points = unit(np.eye(3, 12)[of] + 0.05 * rng.normal(size=(240, 12))).astype(np.float32)
    order, chord = nearest(points, 31)
    return points, of, (order, chord)


def test_chords_are_the_distances_of_unit_vectors():
    points = unit(np.random.default_rng(1).normal(size=(30, 5))).astype(np.float32)
    order, chord = nearest(points, 7)
    cosine = (points[:, None] * points[order]).sum(axis=2)
    assert np.allclose(layout.graph_of(order, cosine)[1], chord, atol=1e-5)


def test_rounding_above_one_is_a_chord_of_zero():
    assert layout.graph_of(np.array([[1]]), np.array([[1.0000001]], np.float32))[1] == 0


def test_principal_coordinates_are_those_of_the_singular_vectors():
    rows = np.random.default_rng(2).normal(size=(40, 6)).astype(np.float32) + 3
    found = layout.principal(rows, 3)
    left, values, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    expected = (left * values)[:, :3]
    assert np.allclose(np.abs(found), np.abs(expected), atol=1e-4)
    assert layout.principal(rows[:, :2], 3)[:, 2].tolist() == [0.0] * 40


@pytest.mark.parametrize("method", ["umap", "tsne"])
@pytest.mark.parametrize("dims", [2, 3])
def test_clumps_stay_apart_and_the_map_is_the_same_twice(clumps, method, dims):
    points, of, graph = clumps
    start = layout.principal(points, dims)

    def laid():
        with one_thread():
            if method == "umap":
                return layout.umap(graph, points, start, 10, seed=3)
            return layout.tsne(graph, start, 30.0, seed=3)

    spots = laid()
    assert spots.shape == (240, dims)
    assert spots.dtype == np.float32
    found, _ = nearest(spots, 3)
    assert (of[found] == of[:, None]).mean() > 0.99
    assert (laid() == spots).all()


def test_perplexity_is_what_the_graph_allows(clumps):
    _, _, graph = clumps
    assert layout.perplexity_for(graph, 30.0) == 10
    assert layout.perplexity_for(graph, 2.0) == 2.0


def test_a_map_that_is_the_truth_is_perfect():
    points = np.random.default_rng(4).normal(size=(50, 2)).astype(np.float32)
    order, _ = nearest(points, 5)
    assert (layout.neighbour_recall(order, points, 5) == 1).all()
    around = unit(np.c_[np.cos(points[:, :1]), np.sin(points[:, :1])]).astype(np.float32)
    assert layout.trustworthiness(around, around, 5) == 1


def test_recall_is_that_of_brute_force():
    rng = np.random.default_rng(5)
    order, _ = nearest(rng.normal(size=(60, 8)), 6)
    spots = rng.normal(size=(60, 2)).astype(np.float32)
    on_map, _ = nearest(spots, 6)
    expected = [len(set(a) & set(b)) / 6 for a, b in zip(order, on_map, strict=True)]
    assert layout.neighbour_recall(order, spots, 6).tolist() == expected


def test_a_shuffled_map_keeps_what_chance_keeps():
    rng = np.random.default_rng(6)
    points = rng.normal(size=(400, 2)).astype(np.float32)
    order, _ = nearest(points, 10)
    kept = layout.neighbour_recall(order, rng.permutation(points), 10).mean()
    assert kept == pytest.approx(10 / 399, abs=0.015)


def test_a_row_never_counts_as_its_own_neighbour_even_on_one_spot():
    order = np.array([[1, 2], [0, 2], [0, 1], [0, 1]], np.int32)
    kept = layout.neighbour_recall(order, np.zeros((4, 2), np.float32), 2)
    assert ((kept >= 0) & (kept <= 1)).all()
