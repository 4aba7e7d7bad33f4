"""Words and real photographs in one space; figures with intervals are in the model card."""

import sys

import numpy as np
import pytest

from clipbatch.embed.batch import run_padded
from clipbatch.embed.preprocess import normalise
from clipbatch.measure.zeroshot import ensemble, made_up_words, rank

KINDS = {"apple": ["Delicious", "Granny", "Pink", "Royal"], "pear": ["Anjou", "Conf", "Kaiser"]}
KINDS |= {"melon": ["Cantaloupe", "elon"], "orange": ["Orange", "Satsumas"]}
TEMPLATES = ["a photo of a {}.", "a close-up of a {}."]


@pytest.fixture(scope="module")
def vectors(offline, prepared):
    import torch

    return run_padded(offline, normalise(torch.from_numpy(prepared), offline.spec.preprocess), 16)


@pytest.fixture(scope="module")
def truth(groceries):
    kinds = [
        next(k for k, marks in KINDS.items() if any(m in label for m in marks))
        for _, label, _ in groceries
    ]
    return np.array([[*KINDS].index(kind) for kind in kinds])


@pytest.fixture(scope="module")
def encode(offline):
    def classes(words):
        prompts = offline.encode_text([t.format(w) for w in words for t in TEMPLATES])
        return ensemble(prompts.reshape(len(words), len(TEMPLATES), -1))

    return classes


@pytest.fixture(scope="module")
def null(encode):
    return encode(made_up_words())


def test_prompts_name_photographs_better_than_chance(vectors, truth, encode, null):
    found = rank(vectors.numpy(), encode([*KINDS]), null)
    # 0.62 are right in the sample; the largest class alone would give 0.44.
    assert (found.best == truth).mean() > np.bincount(truth).max() / len(truth) + 0.1
    assert found.low.mean() < 0.1


def test_words_that_mean_nothing_are_marked(vectors, encode, null):
    marked = [
        rank(vectors.numpy(), encode(made_up_words(5, seed)), null).low.mean()
        for seed in range(1, 6)
    ]
    assert np.mean(marked) > 0.6
    keys = rank(vectors.numpy(), encode(["qzxv", "wrtkpl", "bbgfd", "xkcdq"]), null)
    assert keys.low.mean() > 0.6


def test_words_that_are_not_there_are_marked_and_those_beside_them_are_not(
    vectors, truth, encode, null
):
    found = rank(vectors.numpy(), encode([*KINDS, *made_up_words(4, seed=9)]), null)
    assert (found.best < len(KINDS)).mean() > 0.8
    assert found.low.mean() < 0.2


def test_captions_find_their_photographs(vectors, groceries, encode):
    labels = np.array([label for _, label, _ in groceries])
    apple = encode(["Granny Smith apple"])[0]
    first = labels[np.argsort(-(vectors.numpy() @ apple))[:10]]
    assert (first == "Granny-Smith").sum() >= 5  # chance: 1
    assert "transformers" in sys.modules  # by now
