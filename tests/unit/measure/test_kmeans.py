"""Laws of spherical k-means: planted directions are found, and the objective only rises."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import silhouette_score

from clipbatch.measure import kmeans
from tests.unit.measure.worlds import unit, world

pytestmark = pytest.mark.quick


def planted(n=300, classes=5, spread=0.3, dim=16, seed=0):
    contents, vectors = world(n=n, dim=dim, classes=classes, spread=spread, seed=seed)
    return vectors[0], contents.label


def fit(x, k, seed=0, max_iterations=100):
    return kmeans.fit(x, k, np.random.default_rng(seed), max_iterations)


@pytest.mark.parametrize("seed", range(5))
def test_planted_clusters_are_found(seed):
    x, label = planted(seed=seed)
    found = fit(x, 5, seed).label
    counts = np.array([[((found == c) & (label == t)).sum() for t in range(5)] for c in range(5)])
    assert counts[linear_sum_assignment(-counts)].sum() == len(x)


def test_a_fit_is_a_fixed_point():
    x, _ = planted(spread=2.0)
    found = fit(x, 6)
    assert found.converged
    label, cosine = kmeans.assign(x, found.centroids)
    assert label.tolist() == found.label.tolist()
    assert cosine.mean() == pytest.approx(found.objective, abs=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1, atol=1e-6)
    for c in range(6):
        mean = unit(x[found.label == c].mean(axis=0, dtype=np.float64))
        np.testing.assert_allclose(found.centroids[c], mean, atol=1e-5)


def test_more_iterations_never_lower_the_objective():
    x, _ = planted(spread=3.0)
    objectives = [fit(x, 8, max_iterations=i).objective for i in range(1, 15)]
    assert (np.diff(objectives) >= -1e-6).all()
    assert objectives[-1] > objectives[0]


def test_assigning_agrees_with_brute_force_however_it_is_cut(monkeypatch):
    x, _ = planted(n=50, spread=3.0)
    centroids = fit(x, 7).centroids
    cosine = x.astype(np.float64) @ centroids.astype(np.float64).T
    whole = kmeans.assign(x, centroids)
    assert whole[0].tolist() == cosine.argmax(axis=1).tolist()
    monkeypatch.setattr(kmeans, "_CHUNK", 40)
    cut = kmeans.assign(x, centroids)
    for a, b in zip(whole, cut, strict=True):
        assert a.tobytes() == b.tobytes()


def test_zeros_belong_to_no_centroid():
    label, _ = kmeans.assign(np.zeros((2, 3), np.float32), np.eye(3, dtype=np.float32))
    assert label.tolist() == [-1, -1]


@pytest.mark.parametrize(("n", "k", "clusters"), [(1, 1, 1), (1, 5, 1), (5, 5, 5), (4, 9, 4)])
def test_no_more_clusters_than_contents(n, k, clusters):
    x, _ = planted(n=n, classes=1)
    assert len(fit(x, k).centroids) == clusters


def test_no_more_clusters_than_directions():
    x = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    found = fit(x, 6)
    assert len(found.centroids) == 3
    assert found.objective == pytest.approx(1.0)


def test_empty_clusters_are_filled_with_the_worst_fitting_contents():
    label = np.array([0, 0, 0, 3, 3])
    kmeans._refill(label, np.array([0.9, 0.2, 0.8, 0.1, 1.0], np.float32), 4)
    # Content 3 fits worst, then 1; the last of a cluster is not taken.
    assert label.tolist() == [0, 2, 0, 1, 3]


def test_a_start_far_from_everything_still_ends_with_k_clusters(monkeypatch):
    x, _ = planted()
    one = fit(x, 1).objective
    opposite = -unit(x.mean(axis=0))
    far = np.stack([x[0], opposite, opposite, opposite, opposite])
    monkeypatch.setattr(kmeans, "seeding", lambda *_: far)
    found = fit(x, 5)
    assert len(found.centroids) == 5
    assert found.objective > one + 0.05


def test_seeds_are_spread_over_planted_directions():
    x, label = planted(spread=0.1)
    for seed in range(10):
        first = kmeans.seeding(x, 5, np.random.default_rng(seed))
        rows = [int(np.flatnonzero((x == c).all(axis=1))[0]) for c in first]
        assert len(set(label[rows].tolist())) == 5


def test_silhouettes_agree_with_scikit_learn_by_cosine():
    x, label = planted(spread=1.0)
    expected = silhouette_score(x.astype(np.float64), label, metric="cosine")
    assert kmeans.silhouettes(x, label).mean() == pytest.approx(expected, abs=1e-6)


def test_one_cluster_or_lone_contents_have_no_silhouette():
    x, _ = planted(n=6)
    assert len(kmeans.silhouettes(x, np.zeros(6, np.int64))) == 0
    assert len(kmeans.silhouettes(x, np.arange(6))) == 0
