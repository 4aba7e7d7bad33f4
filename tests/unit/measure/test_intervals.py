"""Intervals of shares are those of SciPy."""

import pytest

from clipbatch.measure.intervals import wilson

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(("part", "whole"), [(0, 5), (3, 7), (7, 7), (50, 1000)])
def test_wilson_is_that_of_scipy(part, whole):
    from scipy.stats import binomtest

    expected = binomtest(part, whole).proportion_ci(method="wilson")
    assert wilson(part, whole) == pytest.approx((expected.low, expected.high))


def test_nothing_may_be_anything():
    assert wilson(0, 0) == (0.0, 1.0)
