"""Rank correlation within levels: what is planted is found, what only the level does is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from clipbatch.measure import rank_correlation as rc

pytestmark = pytest.mark.quick

CLASSES, LEVELS, DRAWS = 12, 3, 99


def quantity(rng: np.random.Generator, *, lasting: float = 0.0) -> np.ndarray:
    """Draw (1, L, C), of which a part belongs to the class and stays over all levels."""
    own = rng.standard_normal((1, 1, CLASSES))
    return lasting * own + (1 - lasting) * rng.standard_normal((1, LEVELS, CLASSES))


def p_of(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> float:
    null = rc.permuted(first, second, rng, DRAWS)
    return float(rc.p_values(rc.pooled(first, second), null)[0][0])


def false_alarms(make) -> float:
    """Share of 200 worlds without a relation in which p is at most 0.05."""
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found.append(p_of(*make(rng), rng) <= 0.05)
    return float(np.mean(found))


few_values = st.integers(-3, 3).map(float)


@given(arrays(np.float64, (2, 9), elements=few_values))
def test_spearman_is_scipys_with_ties(values):
    if min(np.ptp(values, axis=1)) == 0:
        assert np.isnan(rc.spearman(*values))
    else:
        assert rc.spearman(*values) == pytest.approx(spearmanr(*values).statistic)


@given(arrays(np.float64, (2, LEVELS, 9), elements=few_values), st.permutations(range(9)))
def test_neither_the_order_of_classes_nor_what_follows_the_level_matters(values, order):
    first, second = values
    expected = rc.pooled(first, second)
    np.testing.assert_allclose(rc.pooled(first[:, order], second[:, order]), expected)
    steps = np.array([1, 10, 100])[:, None]
    np.testing.assert_allclose(rc.pooled(steps * first + steps, np.exp(second / 3)), expected)


def test_a_planted_relation_is_found():
    rng = np.random.default_rng(0)
    lost = quantity(rng)
    moved = np.exp(lost) + 0.3 * quantity(rng)
    rho = rc.pooled(moved, lost)
    assert rho[0] > 0.7
    assert p_of(moved, lost, rng) == pytest.approx(1 / (1 + DRAWS))
    low, high = rc.interval(rc.bootstrapped(moved, lost, rng, 200))
    assert 0 < low[0] < rho[0] < high[0] <= 1
    assert p_of(moved, -lost, rng) == pytest.approx(1 / (1 + DRAWS))  # two-sided


def test_what_only_the_level_does_is_not_evidence():
    rng = np.random.default_rng(1)
    steps = 5.0 * np.arange(LEVELS)[None, :, None]
    moved, lost = steps + quantity(rng), steps + quantity(rng)
    assert rc.naive(moved, lost)[0] > 0.8
    assert p_of(moved, lost, rng) > 0.05


@pytest.mark.parametrize("lasting", [0.0, 0.9])
def test_without_a_relation_alarms_are_as_rare_as_p_says(lasting):
    """Also where a class that is high at one level is high at all: the levels are no replicates."""
    steps = 5.0 * np.arange(LEVELS)[None, :, None]
    rate = false_alarms(
        lambda rng: (steps + quantity(rng, lasting=lasting), steps + quantity(rng, lasting=lasting))
    )
    assert 0.01 <= rate <= 0.09  # 0.05, and three standard errors of 200 worlds


def test_the_interval_narrows_with_more_classes():
    widths = []
    for classes in (10, 160):
        rng = np.random.default_rng(2)
        lost = rng.standard_normal((1, LEVELS, classes))
        moved = lost + rng.standard_normal(lost.shape)
        low, high = rc.interval(rc.bootstrapped(moved, lost, rng, 200))
        widths.append(high[0] - low[0])
    assert widths[1] < widths[0] / 2


def test_the_corrected_p_is_the_larger_and_ignores_what_was_not_asked():
    rng = np.random.default_rng(3)
    lost = np.repeat(quantity(rng), 4, axis=0)
    moved = np.concatenate([lost[:1], rng.standard_normal((3, LEVELS, CLASSES))])
    lost[3] = np.nan
    rho, null = rc.pooled(moved, lost), rc.permuted(moved, lost, rng, DRAWS)
    own, corrected = rc.p_values(rho, null)
    assert np.isnan([rho[3], own[3], corrected[3]]).all()
    assert (corrected[:3] >= own[:3]).all()
    assert corrected[1] > own[1]
    assert own[0] == corrected[0] == pytest.approx(1 / (1 + DRAWS))


def test_a_level_without_a_rho_is_left_out_of_the_mean():
    rng = np.random.default_rng(4)
    moved, lost = quantity(rng), quantity(rng)
    lost[:, 1] = np.nan
    moved[:, 2] = 7.0
    assert rc.pooled(moved, lost) == pytest.approx(rc.spearman(moved, lost)[:, 0])
    assert np.isfinite(rc.permuted(moved, lost, rng, 5)).all()


@pytest.mark.parametrize("shape", [(2, 0, 0), (2, 3, 0), (2, 0, 5), (0, 3, 5)])
def test_nothing_to_rank_is_not_answerable(shape):
    rng = np.random.default_rng(5)
    nothing = np.zeros(shape)
    for found in (
        rc.pooled(nothing, nothing),
        rc.naive(nothing, nothing),
        rc.permuted(nothing, nothing, rng, 3),
        rc.bootstrapped(nothing, nothing, rng, 3),
        *rc.interval(np.full((3, shape[0]), np.nan)),
    ):
        assert np.isnan(found).all()
