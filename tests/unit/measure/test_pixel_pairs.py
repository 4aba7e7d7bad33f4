"""Copies found by hashes and thumbnails: none is missed, and the mirror is the decode's."""

import numpy as np
import pytest
from PIL import Image

from clipbatch.measure import pixel_pairs
from tests.pictures import picture

pytestmark = pytest.mark.quick


def facts(*images):
    from clipbatch.collect.facts import perceptual_hash

    small = [np.asarray(i.convert("L").resize((32, 32), Image.Resampling.LANCZOS)) for i in images]
    return {
        "thumbnail": np.array(small, np.uint8),
        "phash": np.array([perceptual_hash(s) for s in small]),
    }


def found(*images, verify=0.9):
    pairs = pixel_pairs.find(facts(*images), verify)
    return set(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True))


def test_copies_are_found_and_different_pictures_are_not():
    one = picture(1, 200, 150)
    small, mirrored = one.resize((90, 70)), one.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    others = [picture(seed, 200, 150) for seed in range(2, 12)]
    assert found(one, *others, small, mirrored) == {(0, 11), (0, 12), (11, 12)}


def test_blank_pictures_are_copies_of_nothing():
    assert found(*[Image.new("RGB", (40, 40), (g, g, g)) for g in (0, 90, 90)]) == set()


def test_the_mirrored_hash_is_that_of_the_decode():
    from clipbatch.collect.facts import perceptual_hash

    thumbnail = facts(*[picture(seed, 64, 64) for seed in range(5)])["thumbnail"]
    expected = [perceptual_hash(t[:, ::-1]) for t in thumbnail]
    assert [
        f"{h:016x}" for h in pixel_pairs.mirrored_hashes(thumbnail, np.arange(5)).tolist()
    ] == expected


@pytest.mark.parametrize("chunk", [1, 64, 1 << 22])
def test_no_pair_within_the_bits_is_missed(monkeypatch, chunk):
    monkeypatch.setattr(pixel_pairs, "_CHUNK", chunk)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2**63, 60, np.uint64)
    flips = [sum(1 << int(b) for b in rng.choice(64, k, replace=False)) for k in range(1, 9)]
    y = np.concatenate([x[:8] ^ np.array(flips, np.uint64), x[8:]])
    parts = list(pixel_pairs.within(x, y, 4))
    got = {(int(i), int(j)) for part in parts for i, j in part}
    distance = np.bitwise_count(x[:, None] ^ y[None, :])
    assert got == {(int(i), int(j)) for i, j in zip(*np.nonzero(distance <= 4), strict=True)}
    assert {(i, i) for i in range(4)} <= got


def test_too_many_alike_are_refused_by_name(monkeypatch):
    monkeypatch.setattr(pixel_pairs, "MOST", 3)
    pairs = pixel_pairs.find(facts(*[picture(1, 64, 64)] * 4), 0.9)
    assert len(pairs.a) == 0
    assert "hashes" in pairs.refused


def test_no_contents():
    nothing = {"thumbnail": np.empty((0, 32, 32), np.uint8), "phash": np.empty(0, "U16")}
    assert len(pixel_pairs.find(nothing, 0.9).a) == 0
