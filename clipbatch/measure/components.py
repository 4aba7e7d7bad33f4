"""Groups of contents from a list of similar pairs, such that every two members are a listed pair.

Capitals: N contents, K pairs.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class NearGroups:
    """Groups of at least two contents.

    Attributes:
        of: (N,) int64 group of each content, -1 where it is in none; numbered by the smallest
            member.
        smallest: (G,) float64, the smallest cosine between two members.
        components: connected components of at least two contents, before any was split.
        split: how many of these held two contents that are no listed pair.
    """

    of: Rows
    smallest: NDArray[np.float64]
    components: int
    split: int

    def __len__(self) -> int:
        return len(self.smallest)


def near_groups(n: int, a: Rows, b: Rows, cosine: NDArray[np.float64]) -> NearGroups:
    """Which contents are near duplicates of each other?

    Connected components of the pairs; a component with two members that are no listed pair is
    split by complete linkage (Sorensen 1948; Defays 1977): from the most similar pair down, two
    groups are joined as soon as all pairs between them have been listed.

    Args:
        n: contents, N.
        a: (K,) positions, most similar pair first (ties in a fixed order), each pair once.
        b: (K,) the other positions.
        cosine: (K,), descending.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(n, n))
    count, component = connected_components(graph, directed=False)
    sizes = np.bincount(component, minlength=count)
    listed = np.bincount(component[a], minlength=count)
    complete = listed == sizes * (sizes - 1) // 2
    broken = np.flatnonzero(~complete[component[a]])
    of = np.where((sizes > 1)[component], component, -1).astype(np.int64)
    of[~complete[component]] = -1
    linked = _complete_linkage(zip(a[broken].tolist(), b[broken].tolist(), strict=True))
    for number, members in enumerate(linked, start=count):
        of[members] = number
    of = _renumbered(of)
    return NearGroups(
        of=of,
        smallest=_smallest(of, a, b, cosine),
        components=int((sizes > 1).sum()),
        split=int((~complete & (sizes > 1)).sum()),
    )


def _complete_linkage(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Join pairs, most similar first, into groups whose every pair is among them.

    ``seen[g][h]`` counts the pairs listed so far between two groups; when it reaches |g| |h|, the
    least similar of them has been seen, which is when complete linkage joins the two. Only listed
    pairs are held, so no matrix of the component is needed.
    """
    group: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    seen: dict[int, dict[int, int]] = {}
    for x, y in pairs:
        for content in (x, y):
            if content not in group:
                group[content], members[content], seen[content] = content, [content], {}
        g, h = group[x], group[y]
        seen[g][h] = seen[h][g] = seen[g].get(h, 0) + 1
        if seen[g][h] < len(members[g]) * len(members[h]):
            continue
        if len(members[g]) < len(members[h]):
            g, h = h, g
        for content in members[h]:
            group[content] = g
        members[g] += members.pop(h)
        del seen[g][h], seen[h][g]
        for other, pairs_seen in seen.pop(h).items():
            del seen[other][h]
            seen[g][other] = seen[other][g] = seen[g].get(other, 0) + pairs_seen
    return [found for found in members.values() if len(found) > 1]


def _renumbered(of: Rows) -> Rows:
    """Number groups 0, 1, ... by their smallest member."""
    inside = of >= 0
    _, first, inverse = np.unique(of[inside], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    found = np.full(len(of), -1, np.int64)
    found[inside] = rank[inverse]
    return found


def _smallest(of: Rows, a: Rows, b: Rows, cosine: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = (of[a] == of[b]) & (of[a] >= 0)
    smallest = np.ones(int(of.max(initial=-1)) + 1)
    np.minimum.at(smallest, of[a[inside]], cosine[inside])
    return smallest
