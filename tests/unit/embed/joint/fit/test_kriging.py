import numpy as np
import pytest

from clipbatch.embed.joint.fit.kriging import Meanings, covariance, krige, leave_one_out, unit

pytestmark = pytest.mark.quick

C, E, D = 12, 6, 5


@pytest.fixture(scope="module")
def classes():
    draws = np.random.default_rng(0)
    points = unit(draws.normal(size=(C, 3)))
    tree = (1 + points @ points.T) / 2  # positive definite, ones on the diagonal
    return Meanings(tree, unit(draws.normal(size=(C, E))), unit(draws.normal(size=(C, E))))


@pytest.fixture(scope="module")
def rows():
    return unit(np.random.default_rng(1).normal(size=(C, D)))


def test_leave_one_out_in_closed_form_equals_leaving_each_out(classes, rows):
    full = covariance(classes, classes) + 0.3 * np.eye(C)
    for i, found in enumerate(leave_one_out(classes, rows)):
        rest = np.delete(np.arange(C), i)
        brute = full[i, rest] @ np.linalg.solve(full[np.ix_(rest, rest)], rows[rest])
        np.testing.assert_allclose(found, brute, atol=1e-10)


def test_covariance_is_symmetric_and_positive(classes):
    own = covariance(classes, classes)
    np.testing.assert_allclose(own, own.T, atol=1e-12)
    assert np.linalg.eigvalsh(own).min() > -1e-9


def test_a_meaning_like_a_class_goes_where_its_row_is_and_far_ones_nowhere(classes, rows):
    predicted = krige(classes, rows, classes)
    own = (unit(predicted) * rows).sum(axis=1)
    assert own.min() > 0.5
    nothing = Meanings(np.zeros((1, C)), -classes.words[:1], -classes.gloss[:1])
    assert np.linalg.norm(krige(classes, rows, nothing)) < np.linalg.norm(predicted, axis=1).min()
