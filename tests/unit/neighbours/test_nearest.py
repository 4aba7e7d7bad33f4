"""Laws of the nearest neighbours: brute force agrees, ties go by position, parts merge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipbatch.neighbours import nearest as finding
from clipbatch.neighbours.nearest import Nearest, merged, nearest
from tests.unit.neighbours import brute

pytestmark = pytest.mark.quick


@pytest.fixture(params=["float32", "bfloat16"], autouse=True)
def kind(request, monkeypatch):
    """Both kinds of coarse rows, whatever this processor prefers."""
    monkeypatch.setattr(finding, "kinds", lambda: (request.param,))


def same(found, neighbour, cosine):
    """Equal lists, but that cosines may differ in float32's last bit and neighbours then swap."""
    np.testing.assert_allclose(found.cosine, cosine, atol=1.5e-7)
    differ = found.neighbour != neighbour
    assert differ.sum() <= 0.01 * differ.size
    assert (np.isnan(found.cosine) == (found.neighbour < 0)).all()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 80),
    st.integers(0, 150),
    st.integers(1, 40),
    st.integers(1, 20),
    st.integers(0, 2**31),
)
def test_any_rows_agree_with_brute_force(n, others, dim, k, seed):
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(size=(m, dim)).astype(np.float32) for m in (n, others))
    y[rng.random(others) < 0.1] = 0
    same(nearest(x, y, k), *brute.nearest(x, y, k))


@pytest.mark.parametrize("k", [1, 10, 299, 400])
@pytest.mark.parametrize("dim", [2, 30, 600])
def test_no_row_is_its_own_neighbour(k, dim):
    x = np.random.default_rng(1).normal(size=(300, dim)).astype(np.float32) * 7
    own = np.arange(300)
    found = nearest(x, x, k, own)
    same(found, *brute.nearest(x, x, k, own))
    assert not (found.neighbour == own[:, None]).any()


def test_equal_cosines_go_by_position():
    """Three rows 1,500 times: far more ties than a row can hold on the way."""
    three = np.eye(3, 9, dtype=np.float32)
    x = np.tile(three, (1500, 1))
    found = nearest(x[:6], x, 5, np.arange(6))
    assert found.neighbour[0].tolist() == [3, 6, 9, 12, 15]
    assert found.neighbour[4].tolist() == [1, 7, 10, 13, 16]
    assert (found.cosine == 1).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_tiles_and_threads_do_not_change_the_answer(monkeypatch, threads):
    x = np.random.default_rng(2).normal(size=(400, 24)).astype(np.float32)
    whole = nearest(x, x, 12, np.arange(400))
    monkeypatch.setattr(finding, "TILE", (7, 64))
    cut = nearest(x, x, 12, np.arange(400), threads=threads)
    assert whole.neighbour.tobytes() == cut.neighbour.tobytes()
    assert whole.cosine.tobytes() == cut.cosine.tobytes()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 12), st.integers(0, 2**31))
def test_lists_of_parts_merge_to_the_list_of_the_whole(n, parts, k, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    x[rng.random(n) < 0.3] = x[0]
    whole = nearest(x, x, k)
    lists = []
    for part in np.array_split(np.arange(n), parts):
        found = nearest(x, x[part], k)
        place = np.append(part, -1)[found.neighbour].astype(np.int32)
        lists.append(Nearest(place, found.cosine))
    again = merged(*lists[::-1], lists[0])  # in any order, and one of them twice
    assert again.neighbour.tobytes() == whole.neighbour.tobytes()
    assert again.cosine.tobytes() == whole.cosine.tobytes()
