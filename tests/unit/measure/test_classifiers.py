"""The classifiers: what they can part they part, and their edges."""

import numpy as np
import pytest

from clipbatch.measure import classifiers

pytestmark = pytest.mark.quick


def groups(per: int = 30, dim: int = 8, apart: float = 6.0, seed: int = 0):
    """Three round groups, far apart."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(3), per)
    return apart * np.eye(dim)[label] + rng.standard_normal((3 * per, dim)), label


def test_both_part_what_is_apart():
    train, label = groups()
    test, truth = groups(seed=1)
    assert (classifiers.nearest_centroid(train, label, test) == truth).all()
    assert (classifiers.fit_probe(train, label, 1.0).predict(test) == truth).all()


def test_the_probe_parts_what_centroids_cannot():
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((400, 2)) * [30, 0.2]
    label = np.repeat([0, 1], 200)
    wide[label == 1, 1] += 2.0
    test, truth = wide[::2], label[::2]
    train, known = wide[1::2], label[1::2]
    centroid = (classifiers.nearest_centroid(train, known, test) == truth).mean()
    probe = (classifiers.fit_probe(train, known, 1000.0).predict(test) == truth).mean()
    assert centroid < 0.8
    assert probe > 0.99


@pytest.mark.parametrize("move", [lambda x: 100 * x + 7, lambda x: x[:, ::-1] / 50])
def test_neither_depends_on_unit_and_origin(move):
    train, label = groups(apart=1.5)
    test, _ = groups(apart=1.5, seed=1)
    np.testing.assert_array_equal(
        classifiers.nearest_centroid(move(train), label, move(test)),
        classifiers.nearest_centroid(train, label, test),
    )
    np.testing.assert_array_equal(
        classifiers.fit_probe(move(train), label, 1.0).predict(move(test)),
        classifiers.fit_probe(train, label, 1.0).predict(test),
    )


def test_one_class_and_equal_vectors():
    train, test = np.ones((4, 3)), np.zeros((2, 3))
    one = np.full(4, 2)
    assert classifiers.nearest_centroid(train, one, test).tolist() == [2, 2]
    assert classifiers.fit_probe(train, one, 1.0).predict(test).tolist() == [2, 2]
    several = np.array([0, 1, 1, 1])
    assert classifiers.nearest_centroid(train, several, test).tolist() == [1, 1]
    assert set(classifiers.fit_probe(train, several, 1.0).predict(test)) <= {0, 1}


def test_the_strength_is_the_one_that_serves_contents_held_back():
    rng = np.random.default_rng(0)
    vectors, label = groups(per=20, dim=60, apart=1.0)
    vectors = vectors + rng.standard_normal(vectors.shape)
    held = np.arange(60) % 5 == 0
    strengths = (1e-6, 1.0, 1e6)
    chosen = classifiers.choose_strength(vectors, label, held, strengths)

    def right(strength):
        probe = classifiers.fit_probe(vectors[~held], label[~held], strength)
        return (probe.predict(vectors[held]) == label[held]).mean()

    assert right(chosen) == max(map(right, strengths))
    assert classifiers.choose_strength(vectors, label, ~held & held, strengths) == strengths[0]


def test_steps_that_do_not_suffice_are_said():
    train, label = groups(apart=0.5)
    assert not classifiers.fit_probe(train, label, 100.0, steps=1).converged
    assert classifiers.fit_probe(train, label, 1.0).converged
