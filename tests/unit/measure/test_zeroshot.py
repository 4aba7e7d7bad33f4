"""Rankings by prompts: exact scores, margins, and the mark of what nonsense would do as well."""

import numpy as np
import pytest

from clipbatch.measure.zeroshot import ensemble, made_up_words, rank

pytestmark = pytest.mark.quick

D = 64


def unit(a):
    return a / np.linalg.norm(a, axis=-1, keepdims=True)


def cloud(seed, count, dim=D):
    return unit(np.random.default_rng(seed).normal(size=(count, dim)))


def test_best_score_and_margin_are_brute_forces():
    vectors, classes = cloud(0, 300), cloud(1, 7)
    found = rank(3 * vectors, classes, cloud(2, 100))
    for i, v in enumerate(vectors):
        scores = sorted(((float(v @ c), j) for j, c in enumerate(classes)), reverse=True)
        assert found.best[i] == scores[0][1]
        assert found.score[i] == pytest.approx(scores[0][0], abs=1e-6)
        assert found.margin[i] == pytest.approx(scores[0][0] - scores[1][0], abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 10, 100])
def test_classes_that_are_nonsense_are_marked_as_often_as_promised(count):
    # Everything from one distribution: 95 % are marked whatever the number of classes.
    marked = [
        rank(cloud(i, 50), cloud(1000 + i, count), cloud(2000 + i, 256)).low.mean()
        for i in range(40)
    ]
    assert 0.92 < np.mean(marked) < 0.98


def test_classes_that_fit_are_not_marked_and_one_that_does_not_is():
    classes = cloud(1, 10)
    truth = np.arange(500) % 10
    vectors = unit(classes[truth] + 0.6 * cloud(3, 500))
    found = rank(vectors, classes, cloud(2, 256))
    assert (found.best == truth).all()
    assert not found.low.any()
    strangers = rank(vectors[truth < 5], classes[5:], cloud(2, 256))
    assert strangers.low.mean() > 0.9


def test_blocks_change_nothing(monkeypatch):
    vectors, classes, null = cloud(0, 100), cloud(1, 5), cloud(2, 50)
    whole = rank(vectors, classes, null)
    monkeypatch.setattr("clipbatch.measure.zeroshot._BLOCK", 7)
    parts = rank(vectors, classes, null)
    np.testing.assert_array_equal(whole.best, parts.best)
    np.testing.assert_array_equal(whole.low, parts.low)
    np.testing.assert_allclose(whole.margin, parts.margin, atol=1e-6)


def test_no_pictures_one_class_and_too_few_words():
    assert len(rank(np.zeros((0, D)), cloud(1, 3), cloud(2, 9)).best) == 0
    assert np.isnan(rank(cloud(0, 4), cloud(1, 1), cloud(2, 9)).margin).all()
    with pytest.raises(ValueError, match="1 made-up words"):
        rank(cloud(0, 4), cloud(1, 3), cloud(2, 1))


def test_an_ensemble_is_the_mean_of_directions_and_ignores_lengths():
    prompts = cloud(0, 12).reshape(4, 3, D)
    lengths = np.random.default_rng(1).uniform(0.1, 9, (4, 3, 1))
    np.testing.assert_allclose(ensemble(prompts * lengths), unit(prompts.mean(axis=1)), atol=1e-12)


def test_made_up_words_are_distinct_and_the_same_everywhere():
    words = made_up_words(300)
    assert len(set(words)) == 300
    assert words[:200] == made_up_words(200)
    assert words != made_up_words(300, seed=1)
    assert all(word.isalpha() and 4 <= len(word) <= 20 for word in words)
