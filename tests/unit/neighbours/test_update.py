"""Laws of the update: mending is computing anew, and costs less."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipbatch.neighbours import update as updating
from clipbatch.neighbours.join import join
from clipbatch.neighbours.nearest import nearest
from clipbatch.neighbours.update import Change, update, update_pairs

pytestmark = pytest.mark.quick


def night(n, gone, new, seed, dim=4):
    """Return old rows, the rows of now with new ones anywhere among the old, and the change."""
    rng = np.random.default_rng(seed)
    old = rng.normal(size=(n, dim)).astype(np.float32)
    old[rng.random(n) < 0.2] = old[0]  # ties
    kept = np.sort(rng.permutation(n)[gone:])
    before = np.full(len(kept) + new, -1)
    before[np.sort(rng.permutation(len(before))[: len(kept)])] = kept
    now = rng.normal(size=(len(before), dim)).astype(np.float32)
    now[before >= 0] = old[kept]
    return old, now, Change(before, n)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.floats(0, 1),
    st.integers(0, 20),
    st.integers(1, 8),
    st.integers(0, 2**31),
)
def test_a_mended_graph_is_the_graph_computed_anew(n, share, new, k, seed):
    old, now, change = night(n, int(n * share), new, seed)
    graph = nearest(old, old, k, np.arange(n))
    mended = update(graph, now, change)
    anew = nearest(now, now, k, np.arange(len(now)))
    assert mended.neighbour.tobytes() == anew.neighbour.tobytes()
    assert mended.cosine.tobytes() == anew.cosine.tobytes()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.floats(0, 1), st.integers(0, 20), st.integers(0, 2**31))
def test_mended_pairs_are_the_pairs_computed_anew(n, share, new, seed):
    old, now, change = night(n, int(n * share), new, seed)
    mended = update_pairs(join(old, None, 0.6, 10**6), now, change, 0.6, 10**6)
    anew = join(now, None, 0.6, 10**6)
    for name in ("a", "b", "cosine"):
        assert getattr(mended, name).tobytes() == getattr(anew, name).tobytes()
    assert mended.total == anew.total


def test_only_new_rows_and_those_that_lost_a_neighbour_are_looked_at_anew(monkeypatch):
    old, now, change = night(500, 3, 4, seed=1, dim=20)
    graph = nearest(old, old, 5, np.arange(500))
    gone = np.flatnonzero(change.after < 0)
    lost = np.isin(graph.neighbour, gone).any(axis=1) & (change.after >= 0)
    asked = []

    def counting(x, y, k, own=None):
        asked.append((len(x), len(y)))
        return nearest(x, y, k, own)

    monkeypatch.setattr(updating, "nearest", counting)
    update(graph, now, change)
    assert sorted(asked) == sorted([(lost.sum() + 4, 501), (501 - lost.sum() - 4, 4)])
