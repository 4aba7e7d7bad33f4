"""Laws of comparing pictures by small thumbnails and hashes."""

import numpy as np
import pytest

from clipbatch.measure import likeness
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)
ONE, TWO = np.array([0]), np.array([1])


def picture():
    """A smooth picture, as photographs are at this size."""
    y, x = np.mgrid[:32, :32] / 32
    waves = [np.sin(2 * np.pi * (f * x + g * y) + p) for f, g, p in RNG.uniform(0, 2, (4, 3))]
    return 128 + 25 * np.sum(waves, axis=0)


def correlation(first, second):
    return likeness.correlation(np.stack([first, second]).astype(np.uint8), ONE, TWO)[0]


def test_equal_pictures_agree_whatever_the_brightness():
    plain = picture()
    assert correlation(plain, plain) == 1.0
    assert correlation(plain, 0.6 * plain + 30) > 0.99


def test_a_mirrored_picture_agrees():
    plain = picture()
    assert correlation(plain, plain[:, ::-1]) == 1.0


@pytest.mark.parametrize("share", [0.95, 0.9, 0.8])
def test_a_centred_crop_agrees_either_way(share):
    from PIL import Image

    large = Image.fromarray(picture().astype(np.uint8)).resize((320, 320), Image.Resampling.BICUBIC)
    edge = round(320 * (1 - share) / 2)
    crop = large.crop((edge, edge, 320 - edge, 320 - edge))
    small = [np.asarray(i.resize((32, 32), Image.Resampling.LANCZOS)) for i in (large, crop)]
    assert correlation(*small) > 0.97
    assert correlation(*small[::-1]) == correlation(*small)


def test_different_pictures_do_not_agree():
    contents, _ = world(n=100)
    a, b = np.triu_indices(100, 1)
    assert np.abs(likeness.correlation(contents.facts["thumbnail"], a, b)).max() < 0.5


def test_a_flat_picture_agrees_with_nothing():
    flat = np.full((32, 32), 200)
    assert correlation(flat, flat) == 0.0
    assert correlation(flat, picture()) == 0.0


def test_chunks_do_not_change_the_answer(monkeypatch):
    contents, _ = world(n=40)
    a, b = np.triu_indices(40, 1)
    whole = likeness.correlation(contents.facts["thumbnail"], a, b)
    monkeypatch.setattr(likeness, "_CHUNK", 7)
    assert likeness.correlation(contents.facts["thumbnail"], a, b).tolist() == whole.tolist()


def test_hamming_agrees_with_counting_bits():
    contents, _ = world(n=30)
    phash = contents.facts["phash"]
    a, b = np.triu_indices(30, 1)
    expected = [
        (int(phash[i], 16) ^ int(phash[j], 16)).bit_count() for i, j in zip(a, b, strict=True)
    ]
    assert likeness.hamming(phash, a, b).tolist() == expected


def test_no_pairs():
    contents, _ = world(n=3)
    none = np.empty(0, np.int64)
    assert len(likeness.correlation(contents.facts["thumbnail"], none, none)) == 0
    assert len(likeness.hamming(contents.facts["phash"], none, none)) == 0
