"""Laws of the threshold join: it agrees with brute force, however the work is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipbatch.measure import pairs
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick


def brute(x, threshold):
    """All pairs by one float64 product: the oracle."""
    exact = x.astype(np.float64)
    unit = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    cosine = unit @ unit.T
    a, b = np.nonzero(np.triu(cosine >= threshold, 1))
    return set(zip(a.tolist(), b.tolist(), strict=True)), cosine


def found(joined):
    return set(zip(joined.a.tolist(), joined.b.tolist(), strict=True))


@pytest.mark.parametrize("scale", [1.0, 255.0, 1e-6])
@pytest.mark.parametrize("threshold", [-0.5, 0.3, 0.9])
def test_self_join_agrees_with_brute_force_at_any_length(scale, threshold):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(300, 8)) * rng.uniform(0.1, 3, (300, 1)) * scale).astype(np.float32)
    expected, cosine = brute(x, threshold)
    joined = pairs.join(x, None, threshold, cap=10**6)
    assert found(joined) == expected
    assert joined.total == len(expected) > 0
    np.testing.assert_allclose(joined.cosine, cosine[joined.a, joined.b], atol=1e-11)
    assert (np.diff(joined.cosine) <= 0).all()


def test_pairs_at_the_threshold_itself_are_found():
    """Float32 products would lose about half of these; float64 decides."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 512)).astype(np.float32)
    side = pairs.Side(x)
    a, b = np.triu_indices(200, 1)
    exact = pairs.cosines(side, side, a, b)
    for i in rng.choice(len(a), 40, replace=False):
        joined = pairs.join(x, None, float(exact[i]), cap=10**6)
        assert (int(a[i]), int(b[i])) in found(joined)
        assert joined.total == int((exact >= exact[i]).sum())


def test_equal_vectors_have_cosine_one():
    x = np.random.default_rng(2).normal(size=(50, 33)).astype(np.float32)
    joined = pairs.join(np.concatenate([x, 3 * x]), None, 1.0, cap=10**6)
    assert found(joined) == {(i, i + 50) for i in range(50)}
    assert (joined.cosine == 1.0).all()


def test_zero_vectors_have_no_direction_and_no_pairs():
    x = np.zeros((4, 5), np.float32)
    x[3] = 1
    assert pairs.join(x, None, 0.1, cap=10).total == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 120), st.integers(1, 9), st.integers(0, 2**31))
def test_joining_parts_is_joining_the_whole(n, parts, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    whole = pairs.join(x, None, 0.5, cap=10**6)
    cuts = np.array_split(rng.permutation(n), parts)
    rows = []
    for i, first in enumerate(cuts):
        for j, second in enumerate(cuts[i:], start=i):
            joined = pairs.join(x[first], None if i == j else x[second], 0.5, cap=10**6)
            a, b = first[joined.a], second[joined.b]
            rows += zip(np.minimum(a, b), np.maximum(a, b), joined.cosine, strict=True)
    # Bit for bit: a cosine depends on its two rows alone.
    assert sorted(rows) == sorted(zip(whole.a, whole.b, whole.cosine, strict=True))


@pytest.mark.parametrize("tile", [1, 7, 64])
def test_tiles_do_not_change_the_answer(monkeypatch, tile):
    x = np.random.default_rng(3).normal(size=(150, 40)).astype(np.float32)
    whole = pairs.join(x, None, 0.2, cap=10**6)
    monkeypatch.setattr(pairs, "TILE", tile)
    monkeypatch.setattr(pairs, "EXACT", 256)
    cut = pairs.join(x, None, 0.2, cap=10**6)
    for name in ("a", "b", "cosine"):
        assert getattr(whole, name).tobytes() == getattr(cut, name).tobytes()


@pytest.mark.parametrize("cap", [1, 5, 100])
def test_the_cap_keeps_the_most_similar(monkeypatch, cap):
    monkeypatch.setattr(pairs, "TILE", 16)  # so that pruning happens on the way
    x = np.random.default_rng(4).normal(size=(200, 6)).astype(np.float32)
    whole = pairs.join(x, None, 0.3, cap=10**6)
    capped = pairs.join(x, None, 0.3, cap=cap)
    assert capped.total == whole.total > cap
    assert capped.cosine.tolist() == whole.cosine[:cap].tolist()
    assert capped.a.tolist() == whole.a[:cap].tolist()


@pytest.mark.parametrize("block_rows", [1, 3, 10, 99, 100, 1000])
def test_blocks_partition_the_contents(block_rows):
    contents, _ = world(n=100)
    cut = pairs.blocks(contents, block_rows)
    assert sorted(np.concatenate(cut).tolist()) == list(range(100))
    assert len(cut) >= 100 / block_rows
    assert len(cut) < 4 * max(1, 100 / block_rows)


def test_a_new_content_touches_one_block():
    before, _ = world(n=200)
    after, _ = world(n=201)
    of = [[set(c.content_id[block]) for block in pairs.blocks(c, 40)] for c in (before, after)]
    assert sum(a != b for a, b in zip(*of, strict=True)) == 1


def test_no_contents_make_one_empty_block():
    contents, _ = world(n=0)
    assert [len(block) for block in pairs.blocks(contents, 10)] == [0]
