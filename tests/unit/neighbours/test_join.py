"""Laws of the threshold join: it agrees with brute force, however the work is cut."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipbatch.neighbours import join as joining
from clipbatch.neighbours import rows, sketch
from clipbatch.neighbours.join import join
from tests.unit.neighbours import brute

pytestmark = pytest.mark.quick

KINDS = [("float32",), ("bfloat16", "float32")]


@pytest.fixture(params=KINDS, ids=lambda kinds: kinds[0], autouse=True)
def kind(request, monkeypatch):
    """Both kinds of short rows, whatever this processor prefers; bfloat16 must be honest here."""
    monkeypatch.setattr(joining, "kinds", lambda: request.param)
    return request.param[0]


def found(joined):
    return set(zip(joined.a.tolist(), joined.b.tolist(), strict=True))


def alike(n, dim, seed, spread=0.3):
    """Return rows around few directions, so that cosines of all sizes occur."""
    rng = np.random.default_rng(seed)
    centres = brute.unit(rng.normal(size=(max(1, n // 8), dim)))
    noise = spread * rng.normal(size=(n, dim)) / np.sqrt(dim)
    return (centres[rng.integers(0, len(centres), n)] + noise).astype(np.float32)


@pytest.mark.parametrize("scale", [1.0, 255.0, 1e-6])
@pytest.mark.parametrize("threshold", [-0.5, 0.001, 0.3, 0.9])
@pytest.mark.parametrize("dim", [1, 8, 400])
def test_self_join_agrees_with_brute_force_at_any_length(scale, threshold, dim):
    rng = np.random.default_rng(0)
    x = (alike(300, dim, 1) * rng.uniform(0.1, 3, (300, 1)) * scale).astype(np.float32)
    joined = join(x, None, threshold, cap=10**6)
    assert found(joined) == brute.pairs(x, threshold)
    assert joined.total == len(joined.a) > 0
    expected = brute.cosines(x, x)[joined.a, joined.b]
    np.testing.assert_allclose(joined.cosine, expected, atol=1e-11)
    assert (np.diff(joined.cosine) <= 0).all()


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 90),
    dim=st.integers(1, 300),
    kept=st.integers(1, 40),
    threshold=st.floats(0.01, 1.0),
    seed=st.integers(0, 2**31),
)
def test_any_rows_any_components_any_threshold(n, dim, kept, threshold, seed):
    rng = np.random.default_rng(seed)
    x = alike(n, dim, seed) if n else np.empty((0, dim), np.float32)
    x[rng.random(n) < 0.1] = 0  # no direction
    again = rng.random(n) < 0.2
    x[again] = 2 * x[rng.permutation(n)[: again.sum()]]  # the same direction at another length
    components = np.linalg.qr(rng.normal(size=(dim, min(kept, dim))))[0]  # not the leading ones
    joined = join(x, None, threshold, cap=10**6, components=components)
    exact = brute.cosines(x, x)
    near = np.triu(exact >= threshold + 2e-12, 1)
    assert set(zip(*(part.tolist() for part in np.nonzero(near)), strict=True)) <= found(joined)
    assert all(exact[a, b] >= threshold - 2e-12 for a, b in found(joined))


def test_pairs_at_the_threshold_itself_are_found():
    """Products in float32 would lose about half of these; float64 decides."""
    x = np.random.default_rng(1).normal(size=(200, 512)).astype(np.float32)
    side = rows.Side(x)
    a, b = np.triu_indices(200, 1)
    exact = rows.cosines(side, side, a, b)
    for i in np.random.default_rng(2).choice(np.flatnonzero(exact > 0.01), 20, replace=False):
        joined = join(x, None, float(exact[i]), cap=10**6)
        assert (int(a[i]), int(b[i])) in found(joined)
        assert joined.total == int((exact >= exact[i]).sum())


def test_equal_directions_have_cosine_one():
    x = np.random.default_rng(2).normal(size=(50, 33)).astype(np.float32)
    joined = join(np.concatenate([x, 4 * x]), None, 1.0, cap=10**6)
    assert found(joined) == {(i, i + 50) for i in range(50)}
    assert (joined.cosine == 1.0).all()


def test_one_vector_a_hundred_times():
    x = np.repeat(np.random.default_rng(3).normal(size=(1, 700)).astype(np.float32), 100, axis=0)
    assert join(x, None, 1.0, cap=10**6).total == 100 * 99 // 2


def test_zero_vectors_have_no_direction_and_no_pairs():
    x = np.zeros((4, 5), np.float32)
    x[3] = 1
    assert join(x, None, 0.1, cap=10).total == 0
    assert join(x, None, -1.0, cap=10).total == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 120), st.integers(1, 9), st.integers(0, 2**31))
def test_joining_parts_is_joining_the_whole(n, parts, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    whole = join(x, None, 0.5, cap=10**6)
    cuts = np.array_split(rng.permutation(n), parts)
    listed = []
    for i, first in enumerate(cuts):
        for j, second in enumerate(cuts[i:], start=i):
            joined = join(x[first], None if i == j else x[second], 0.5, cap=10**6)
            a, b = first[joined.a], second[joined.b]
            listed += zip(np.minimum(a, b), np.maximum(a, b), joined.cosine, strict=True)
    # Bit for bit: a cosine depends on its two rows alone.
    assert sorted(listed) == sorted(zip(whole.a, whole.b, whole.cosine, strict=True))


@pytest.mark.parametrize("tile", [(1, 64), (7, 64), (64, 128)])
@pytest.mark.parametrize("threads", [1, 3])
def test_tiles_and_threads_do_not_change_the_answer(monkeypatch, tile, threads):
    x = alike(150, 240, 3)
    whole = join(x, None, 0.2, cap=10**6)
    monkeypatch.setattr(joining, "TILE", tile)
    monkeypatch.setattr(joining, "WAITING", 16)
    monkeypatch.setattr(rows, "EXACT", 256)
    cut = join(x, None, 0.2, cap=10**6, threads=threads)
    assert whole.total > 100
    for name in ("a", "b", "cosine"):
        assert getattr(whole, name).tobytes() == getattr(cut, name).tobytes()


@pytest.mark.parametrize("cap", [1, 5, 100])
def test_the_cap_keeps_the_most_similar(monkeypatch, cap):
    monkeypatch.setattr(joining, "TILE", (16, 64))  # so that pruning happens on the way
    x = np.random.default_rng(4).normal(size=(200, 6)).astype(np.float32)
    whole = join(x, None, 0.3, cap=10**6)
    capped = join(x, None, 0.3, cap=cap)
    assert capped.total == whole.total > cap
    assert capped.cosine.tolist() == whole.cosine[:cap].tolist()
    assert capped.a.tolist() == whole.a[:cap].tolist()


def test_the_short_rows_leave_little_and_lose_nothing(kind):
    """What the bound is for: of pictures' vectors, few pairs are left to multiply out."""
    rng = np.random.default_rng(5)
    fall = np.arange(1, 513) ** -0.7  # principal components of real features fall off like this
    x = (rng.normal(size=(1000, 512)) * fall + 0.2).astype(np.float32)
    x[500:] = x[:500] + 0.02 * rng.normal(size=(500, 512)).astype(np.float32)
    side = rows.Side(x)
    with joining.Threads() as at_once:
        short = sketch.sketch(side.directions, sketch.basis(side.directions), kind, at_once)
    reach = sketch.reach(short, short)
    bound = (short.short.double() @ short.short.double().T).numpy()[:1000, :1000] + reach
    exact = brute.cosines(x, x)
    assert (bound >= exact).all()
    assert short.short.shape[1] == sketch.KEPT + 1
    assert (exact >= 0.95).mean() < (bound >= 0.95).mean() < 0.06


def test_where_all_rows_are_alike_no_more_pairs_are_held_than_the_cap_asks():
    x = np.ones((4000, 4), np.float32)
    tracemalloc.start()
    joined = join(x, None, 0.5, cap=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (joined.total, len(joined.a)) == (4000 * 3999 // 2, 100)
    assert peak < 90e6  # the pairs of the first strip alone would take 86 MB, and as much to sort
