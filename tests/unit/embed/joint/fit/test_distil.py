import dataclasses

import numpy as np
import pytest
import torch

from clipbatch.embed.joint.fit.distil import Training, distil
from clipbatch.embed.joint.fit.kriging import unit

pytestmark = pytest.mark.quick

SMALL = Training(hidden=48, steps=150, batch=32, noise=0.1, dropout=0.1)
DRAWS = np.random.default_rng(0)
INPUTS = unit(DRAWS.normal(size=(80, 16)))
TARGETS = unit(np.tanh(2 * INPUTS @ DRAWS.normal(size=(16, 8))))
EVENLY = np.ones(80)


def cosine(hidden, out, rows=slice(None)):
    active = torch.nn.functional.gelu(torch.from_numpy(INPUTS @ hidden.T)).numpy()
    return (unit(active @ out.T) * TARGETS)[rows].sum(axis=1).mean()


def test_training_learns():
    first = cosine(*distil(INPUTS, TARGETS, EVENLY, dataclasses.replace(SMALL, steps=3)))
    assert cosine(*distil(INPUTS, TARGETS, EVENLY, SMALL)) > max(0.8, first + 0.3)


def test_the_same_seed_gives_the_same_bytes_and_another_others():
    once, again = (distil(INPUTS, TARGETS, EVENLY, SMALL) for _ in range(2))
    other = distil(INPUTS, TARGETS, EVENLY, dataclasses.replace(SMALL, seed=1))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(once, again, strict=True))
    assert once[0].tobytes() != other[0].tobytes()
    assert [part.shape for part in once] == [(48, 16), (8, 48)]


def test_phrases_of_no_weight_are_not_learnt():
    weights = np.where(np.arange(80) < 40, 1.0, 0.0)
    learnt = distil(INPUTS, TARGETS, weights, SMALL)
    assert cosine(*learnt, slice(0, 40)) > cosine(*learnt, slice(40, 80)) + 0.1
