import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipbatch.embed import noise, philox
from clipbatch.embed.encoder import Preprocess
from clipbatch.embed.noise import NoiseSettings
from clipbatch.embed.preprocess import normalise, standardise, to_unit
from clipbatch.errors import ConfigError

pytestmark = pytest.mark.quick

CPU = torch.device("cpu")
SHAPE = (3, 64, 64)
PREPROCESS = Preprocess(64, 64, mean=(0.48, 0.46, 0.41), std=(0.27, 0.26, 0.28))
SETTINGS = NoiseSettings("normalised", (0.5, 1.0, 2.0), seed=7)
NAMES = [f"{i:064x}" for i in range(24)]


def keys(variant=1000, settings=SETTINGS):
    return [settings.key(name, variant) for name in NAMES]


def bits(tensor):
    return tensor.numpy().tobytes()


def test_moments_are_those_of_a_standard_normal():
    z = noise.gaussian(keys(), (3, 224, 224), CPU).double().flatten()
    n = len(z)  # 3.6 million: bounds below are five standard errors
    assert abs(z.mean()) < 5 / n**0.5
    assert abs(z.var() - 1) < 5 * (2 / n) ** 0.5
    assert abs((z**3).mean()) < 5 * (15 / n) ** 0.5
    assert abs((z**4).mean() - 3) < 5 * (96 / n) ** 0.5
    assert z.isfinite().all()
    assert 4.5 < z.abs().max() < 6.77


def test_distribution_is_normal_by_kolmogorov():
    from scipy import stats

    z = noise.gaussian(keys(), SHAPE, CPU).double().flatten().numpy()
    assert stats.kstest(z, "norm").pvalue > 1e-3


def test_neighbours_in_an_array_are_uncorrelated():
    z = noise.gaussian(keys()[:1], (3, 224, 224), CPU)[0].double()
    for a, b in [
        (z[:, :, 1:], z[:, :, :-1]),
        (z[:, 1:], z[:, :-1]),
        (z[1:], z[:-1]),
        (z.flatten()[: z.numel() // 2], z.flatten()[z.numel() // 2 :]),  # cosines and sines
    ]:
        assert abs((a * b).mean()) < 5 / a.numel() ** 0.5


def test_contents_are_uncorrelated():
    z = noise.gaussian(keys(), SHAPE, CPU).flatten(1).double()
    correlation = (z @ z.T / z.shape[1]).fill_diagonal_(0)
    assert correlation.abs().max() < 5.5 / z.shape[1] ** 0.5


def test_numbers_ignore_mates_order_and_threads():
    whole = noise.gaussian(keys(), SHAPE, CPU)
    backwards = noise.gaussian(keys()[::-1], SHAPE, CPU)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for i, key in enumerate(keys()):
                alone = noise.gaussian([key], SHAPE, CPU)[0]
                assert bits(alone) == bits(whole[i]) == bits(backwards[-1 - i])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("units", ["normalised", "unit"])
def test_noisy_inputs_ignore_mates(units):
    unit = torch.rand(len(NAMES), *SHAPE, generator=torch.Generator().manual_seed(0))
    levels = [0.5 + i / 10 for i in range(len(NAMES))]
    whole = noise.add(unit.clone(), levels, keys(), PREPROCESS, units)
    for i in (0, 5, 23):
        part = slice(i, i + 1)
        alone = noise.add(unit[part].clone(), levels[part], keys()[part], PREPROCESS, units)
        assert bits(alone[0]) == bits(whole[i])


def test_another_level_seed_content_or_generator_gives_other_numbers():
    others = [
        SETTINGS.key(NAMES[0], 500),
        SETTINGS.key(NAMES[0], 1000),
        SETTINGS.key(NAMES[1], 500),
        dataclasses.replace(SETTINGS, seed=8).key(NAMES[0], 500),
        dataclasses.replace(SETTINGS, generator="another/1").key(NAMES[0], 500),
    ]
    z = noise.gaussian(others, SHAPE, CPU).flatten(1).double()
    correlation = (z @ z.T / z.shape[1]).fill_diagonal_(0)
    assert correlation.abs().max() < 5 / z.shape[1] ** 0.5


def test_normalised_noise_has_the_level_as_its_deviation():
    unit = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(0))
    clean = standardise(unit.clone(), PREPROCESS)
    for level in (0.5, 2.0):
        noisy = noise.add(unit.clone(), [level] * 8, keys()[:8], PREPROCESS, "normalised")
        assert abs((noisy - clean).std() / level - 1) < 0.01


def test_unit_noise_stays_inside_the_unit_interval():
    unit = torch.full((4, *SHAPE), 0.5)
    noisy = noise.add(unit, [0.2] * 4, keys()[:4], PREPROCESS, "unit")
    back = noisy * torch.tensor(PREPROCESS.std).view(3, 1, 1)
    back += torch.tensor(PREPROCESS.mean).view(3, 1, 1)
    assert -1e-6 < back.min() < 1e-6
    assert 1 - 1e-6 < back.max() < 1 + 1e-6
    inside = (back > 0.01) & (back < 0.99)
    assert abs(inside.float().mean() - 0.9857) < 0.01  # P(|z| < 0.49 / 0.2)


def test_no_noise_leaves_the_normalised_input():
    pixels = torch.randint(0, 256, (2, *SHAPE), dtype=torch.uint8)
    for units in ("normalised", "unit"):
        added = noise.add(to_unit(pixels, PREPROCESS), [0, 0], keys()[:2], PREPROCESS, units)
        assert torch.equal(added, normalise(pixels, PREPROCESS))


def test_device_formula_agrees_with_the_cpu():
    # What a GPU runs: words by torch's integers, logarithms and sines by torch.
    words = philox.words_torch(keys(), 3 * 64 * 64 // 2, CPU)
    theirs = noise._box_muller(torch, noise._halves(words)).view(-1, *SHAPE)
    torch.testing.assert_close(theirs, noise.gaussian(keys(), SHAPE, CPU), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("number", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_extreme_numbers_give_finite_noise(number):
    for other in (0, 2**30, 2**31, 2**32 - 1):
        z = noise._box_muller(np, np.array([number, other], np.float32))
        assert np.isfinite(z).all()
        assert abs(z).max() < 6.77


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_any_shape_is_filled(shape):
    z = noise.gaussian(keys()[:2], shape, CPU)
    assert z.shape == (2, *shape)
    assert z.dtype == torch.float32
    assert z.isfinite().all()


def test_no_keys_give_an_empty_array():
    assert noise.gaussian([], SHAPE, CPU).shape == (0, *SHAPE)


def test_fingerprint_tells_noises_apart_but_not_levels():
    more = dataclasses.replace(SETTINGS, levels=(0.5, 4.0))
    assert SETTINGS.fingerprint() == more.fingerprint()
    assert len(SETTINGS.fingerprint()) == 8
    others = {
        dataclasses.replace(SETTINGS, **change).fingerprint()
        for change in ({}, {"units": "unit"}, {"seed": 8}, {"generator": "another/1"})
    }
    assert len(others) == 4
    assert SETTINGS.variants == (0, 500, 1000, 2000)


@pytest.mark.parametrize("level", [0.0, -1.0, 0.0004, 0.5004])
def test_levels_that_their_keys_cannot_tell_are_refused(level):
    with pytest.raises(ConfigError, match=f"got {level}, expected multiples of 0.001"):
        dataclasses.replace(SETTINGS, levels=(0.5, level))
