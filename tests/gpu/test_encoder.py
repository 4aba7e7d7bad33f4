"""What only an accelerator can show: the device's integers, half precision, and its memory."""

import numpy as np
import pytest
import torch

from clipbatch import embed
from clipbatch.config import EmbedConfig
from clipbatch.embed import noise, offline, philox
from clipbatch.embed.batch import embed_pictures, probe_batch_size, run_padded
from clipbatch.embed.noise import NoiseSettings
from clipbatch.embed.tower import HALF_TOLERANCE, Tower

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

SHAPE = (3, 224, 224)
KEYS = [bytes([i] * 16) for i in range(70)]  # more than one group of keys


@pytest.fixture(scope="module")
def cuda():
    return torch.device("cuda")


@pytest.fixture(scope="module")
def encoder(cuda):
    return embed.load(EmbedConfig(), cuda)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (20, *SHAPE), dtype=np.uint8)


def test_words_equal_numpys(cuda):
    words = philox.words_torch(KEYS, 10_001, cuda).cpu().numpy().view(np.uint64)
    for row, key in zip(words, KEYS, strict=True):
        np.testing.assert_array_equal(row, philox.words_numpy(key, 10_001))


def test_noise_equals_the_cpus_to_rounding(cuda):
    ours, theirs = (
        noise.gaussian(KEYS, SHAPE, cuda),
        noise.gaussian(KEYS, SHAPE, torch.device("cpu")),
    )
    torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-5, atol=2e-6)


def test_noise_ignores_mates(cuda):
    whole = noise.gaussian(KEYS, SHAPE, cuda)
    for i in (0, 63, 64, 69):
        assert torch.equal(noise.gaussian(KEYS[i : i + 1], SHAPE, cuda)[0], whole[i])


def test_half_precision_stays_near_the_cpus_float32(encoder, pictures):
    assert encoder.dtype == torch.float16
    cpu = embed.load(EmbedConfig(), torch.device("cpu"))
    settings = NoiseSettings("normalised", (1.0,), seed=0)
    names = [str(i) for i in range(len(pictures))]
    half, full = (
        embed_pictures(e, pictures, names, [[0, 1000]] * len(names), settings, 8).vector
        for e in (encoder, cpu)
    )
    cosines = (half.astype(np.float64) * full).sum(axis=1)
    assert (1 - cosines).max() <= HALF_TOLERANCE


@pytest.mark.parametrize("half", [True, False])
def test_padded_vectors_ignore_position_and_mates(cuda, encoder, half):
    # Bits are promised on CPUs; a GPU's kernels are held to the design's 1e-6.
    tower = encoder if half else Tower(offline.network(), encoder.spec, cuda, half=False)
    inputs = noise.gaussian(KEYS[:20], SHAPE, cuda)
    expected = run_padded(tower, inputs, 16).double()
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0)).to(cuda)
    shuffled = run_padded(tower, inputs[order], 16).double()
    alone = run_padded(tower, inputs[19:], 16).double()
    assert (1 - (shuffled * expected[order]).sum(dim=1)).max() <= 1e-6
    assert (1 - (alone * expected[19:]).sum(dim=1)).max() <= 1e-6


def test_probe_finishes(encoder):
    assert probe_batch_size(encoder) >= 16
