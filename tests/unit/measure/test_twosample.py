"""The two-sample statistics against other people's, and against their definitions."""

import numpy as np
import pytest

from clipbatch.measure import twosample

pytestmark = pytest.mark.quick


def points(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 5)), np.arange(n) % 2 == 1, rng.integers(0, 4, n)


def test_scores_are_those_of_ridge_regression_fitted_without_the_fold():
    from sklearn.linear_model import Ridge

    x, second, fold = points()
    y = np.where(second, 1.0, -1.0)
    score = twosample.scorer(x, fold, 0.5) @ y
    centred = x - x.mean(axis=0)
    penalty = 0.5 * (centred**2).sum() / len(x)
    for value in range(4):
        rest, here = fold != value, fold == value
        model = Ridge(alpha=penalty, fit_intercept=False).fit(centred[rest], y[rest])
        np.testing.assert_allclose(score[here], model.predict(centred[here]), atol=1e-9)


def test_the_area_is_that_of_scikit_learn_within_one_fold():
    from sklearn.metrics import roc_auc_score

    x, second, _ = points()
    one = np.zeros(len(x), np.int64)
    assert twosample.auc(x[:, 0], second, one) == pytest.approx(roc_auc_score(second, x[:, 0]))


def test_mmd_is_its_definition():
    x, second, stratum = points(20)
    matrix = twosample.kernel(x)
    a, b = np.flatnonzero(~second), np.flatnonzero(second)
    inside = [np.mean([matrix[i, j] for i in side for j in side if i != j]) for side in (a, b)]
    expected = sum(inside) - 2 * np.mean([matrix[i, j] for i in a for j in b])
    found = twosample.mmd(x, second, stratum, (10, 19), np.random.default_rng(0))
    assert found.value == pytest.approx(expected)


def test_the_width_of_the_kernel_is_the_median_distance():
    x, _, _ = points(30)
    distance = ((x[:, None] - x[None]) ** 2).sum(axis=-1)
    middle = np.median(distance[np.triu_indices(30, 1)])
    np.testing.assert_allclose(twosample.kernel(x), np.exp(-distance / middle), atol=1e-9)


def test_membership_is_dealt_out_within_strata():
    _, second, stratum = points(60)
    dealt = twosample.shuffled(second, stratum, np.random.default_rng(1))
    for value in range(4):
        assert dealt[stratum == value].sum() == second[stratum == value].sum()
    assert (dealt != second).any()


def test_holm_corrects_as_by_hand():
    np.testing.assert_allclose(twosample.holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Two normals one deviation apart have an area of 0.76 by any direction that is right."""
    from scipy.stats import norm

    truth, held = norm.cdf(1 / np.sqrt(2)), []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(120, 1))
        second = np.arange(120) % 2 == 1
        x[second] += 1.0
        groups = (np.zeros(120, np.int64), rng.integers(0, 4, 120))
        answer, _ = twosample.classifier(x, second, groups, 0.01, (200, 19), rng)
        low, high = answer.interval()
        held.append(low <= truth <= high)
    assert np.mean(held) > 0.8
