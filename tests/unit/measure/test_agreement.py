"""Laws of the scores: scikit-learn's numbers, whatever the partitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from clipbatch.measure import agreement

pytestmark = [pytest.mark.quick, pytest.mark.filterwarnings("ignore:The number of unique classes")]

ORACLES = {
    "ami": metrics.adjusted_mutual_info_score,
    "ari": metrics.adjusted_rand_score,
    "fmi": metrics.fowlkes_mallows_score,
    "nmi": metrics.normalized_mutual_info_score,
}


def score(cluster, label):
    table = agreement.count(np.asarray(cluster), np.asarray(label))
    return agreement.scores(table, table.expected)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=60))
def test_agrees_with_scikit_learn(cells):
    cluster, label = np.array(cells).T
    expected = [ORACLES[name](label, cluster) for name in agreement.NAMES]
    np.testing.assert_allclose(score(cluster, label), expected, atol=1e-9)


@pytest.mark.parametrize("n", [2, 30])
def test_the_same_partition_under_other_names_scores_one(n):
    cluster = np.arange(n) // 2
    assert score(cluster, cluster[::-1].copy()).tolist()[:2] == [1.0, 1.0]
    np.testing.assert_allclose(score(cluster, cluster.max() - cluster), 1.0)


def test_empty_cells_change_nothing():
    """A resampled table has cells, rows and columns of nothing."""
    full = agreement.count(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 2]))
    gone = agreement.Counts(full.row, full.column, np.where(full.row == 2, 0, full.count))
    short = agreement.count(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    np.testing.assert_allclose(
        agreement.scores(gone, short.expected), agreement.scores(short, short.expected)
    )


def test_permuted_labels_give_chance():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 6, 500)
    chance = agreement.permuted(label.copy(), label, rng, 50)
    assert chance.shape == (50, 4)
    np.testing.assert_allclose(chance[:, :2].mean(axis=0), 0, atol=0.005)
    assert chance[:, 3].mean() > 0.005  # NMI is not adjusted


def simulated(rng, n):
    """Clusters that agree with one of ten classes 60 % of the time."""
    label = rng.integers(0, 10, n)
    return np.where(rng.random(n) < 0.6, label, rng.integers(0, 10, n)), label


def test_bootstrap_intervals_hold_the_truth_about_as_often_as_they_say():
    """Without the shift by the bootstrap's bias, AMI's hold it much less often."""
    rng = np.random.default_rng(1)
    truth = score(*simulated(rng, 400_000))
    covered, unshifted = np.zeros(3), np.zeros(3)
    for _ in range(100):
        table = agreement.count(*simulated(rng, 1500))
        value = agreement.scores(table, table.expected)
        repeats = agreement.bootstrap(table, rng, 100)
        for i in range(3):  # not NMI, which is biased itself
            low, high = agreement.interval(value[i], repeats[:, i])
            assert low <= value[i] <= high
            covered[i] += low <= truth[i] <= high
            low, high = np.percentile(repeats[:, i], [2.5, 97.5])
            unshifted[i] += low <= truth[i] <= high
    assert (covered >= 85).all(), covered
    assert unshifted[0] < covered[0] - 10, unshifted


def test_a_certain_score_has_no_width():
    table = agreement.count(np.arange(40) % 4, np.arange(40) % 4)
    repeats = agreement.bootstrap(table, np.random.default_rng(2), 30)
    assert agreement.interval(1.0, repeats[:, 1]) == (1.0, 1.0)
