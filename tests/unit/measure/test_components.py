"""Laws of grouping: every two members are a listed pair, and complete linkage decides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from clipbatch.measure.components import near_groups
from clipbatch.neighbours.join import ordered

pytestmark = pytest.mark.quick


def similar(n, seed, levels=None):
    """A symmetric matrix of similarities, all different unless ``levels`` makes ties."""
    rng = np.random.default_rng(seed)
    upper = rng.permutation(n * (n - 1) // 2) + 1.0
    if levels:
        upper = rng.integers(1, levels + 1, len(upper)).astype(float)
    return squareform(upper / upper.max(initial=1))


def listed(cosine, threshold):
    a, b = np.nonzero(np.triu(cosine >= threshold, 1))
    order = ordered(a, b, cosine[a, b])
    return a[order], b[order], cosine[a, b][order]


def as_sets(of):
    return {frozenset(np.flatnonzero(of == g).tolist()) for g in set(of.tolist()) - {-1}}


@settings(max_examples=150, deadline=None)
@given(st.integers(2, 24), st.integers(0, 10**6), st.floats(0.2, 0.95))
def test_agrees_with_scipys_complete_linkage(n, seed, threshold):
    cosine = similar(n, seed)
    groups = near_groups(n, *listed(cosine, threshold))
    tree = linkage(squareform(1 - cosine, checks=False), method="complete")
    flat = fcluster(tree, 1 - threshold + 1e-9, criterion="distance")
    expected = {s for s in as_sets(flat) if len(s) > 1}
    assert as_sets(groups.of) == expected


@settings(max_examples=150, deadline=None)
@given(st.integers(2, 20), st.integers(0, 10**6), st.floats(0.2, 0.95), st.integers(1, 6))
def test_every_two_members_are_listed_even_with_ties(n, seed, threshold, levels):
    cosine = similar(n, seed, levels)
    a, b, values = listed(cosine, threshold)
    groups = near_groups(n, a, b, values)
    assert len(groups) == len(as_sets(groups.of))
    for number, smallest in enumerate(groups.smallest):
        members = np.flatnonzero(groups.of == number)
        inside = cosine[np.ix_(members, members)][np.triu_indices(len(members), 1)]
        assert len(members) > 1
        assert inside.min() == smallest >= threshold
    # No two groups (or lone contents) could still be joined.
    alone = [{i} for i in np.flatnonzero(groups.of < 0).tolist()]
    parts = [sorted(s) for s in [*as_sets(groups.of), *alone]]
    for i, first in enumerate(parts):
        for second in parts[:i]:
            assert cosine[np.ix_(first, second)].min() < threshold


def test_a_chain_is_split():
    """0-1-2-3 are linked one to the next; 1-2 is the most similar, so the ends stay alone."""
    a, b = np.array([1, 0, 2]), np.array([2, 1, 3])
    groups = near_groups(5, a, b, np.array([0.99, 0.97, 0.96]))
    assert groups.of.tolist() == [-1, 0, 0, -1, -1]
    assert groups.smallest.tolist() == [0.99]
    assert (groups.components, groups.split) == (1, 1)


def test_groups_are_numbered_by_their_smallest_member():
    a, b = np.array([3, 0]), np.array([4, 9])
    groups = near_groups(10, a, b, np.array([0.99, 0.98]))
    assert groups.of.tolist() == [0, -1, -1, 1, 1, -1, -1, -1, -1, 0]
    assert groups.smallest.tolist() == [0.98, 0.99]


def test_groups_of_a_split_component_are_numbered_alike():
    """0-1-2 is a chain, split into {1, 2} and 0; 7-8 is a whole component."""
    a, b = np.array([7, 1, 0]), np.array([8, 2, 1])
    groups = near_groups(9, a, b, np.array([0.99, 0.98, 0.97]))
    assert groups.of.tolist() == [-1, 0, 0, -1, -1, -1, -1, 1, 1]
    assert groups.smallest.tolist() == [0.98, 0.99]


@pytest.mark.parametrize("n", [0, 1, 5])
def test_no_pairs_no_groups(n):
    nothing = np.empty(0, np.int64)
    groups = near_groups(n, nothing, nothing, np.empty(0))
    assert groups.of.tolist() == [-1] * n
    assert len(groups) == groups.components == groups.split == 0
