"""Neighbours and pairs mended when rows come and go: new against all, not all against all.

Capitals: N old rows, M rows that are left and new together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipbatch.neighbours.join import Best, Joined, join
from clipbatch.neighbours.nearest import Nearest, merged, nearest, nothing
from clipbatch.neighbours.rows import Positions


@dataclass(frozen=True)
class Change:
    """How rows came and went.

    Attributes:
        before: (M,) int64 old position of each row there is now, -1 where it is new.
        old: N.
    """

    before: Positions
    old: int

    @property
    def new(self) -> Positions:
        """Positions of the new rows."""
        return np.flatnonzero(self.before < 0)

    @property
    def after(self) -> Positions:
        """(N,) position now of each old row, -1 where it is gone."""
        found = np.full(self.old, -1, np.int64)
        kept = np.flatnonzero(self.before >= 0)
        found[self.before[kept]] = kept
        return found


def renumbered(graph: Nearest, change: Change) -> tuple[Nearest, NDArray[np.bool_]]:
    """Return the old lists of the M rows in positions of now, and which rows must be done anew.

    Those are the new rows, and those whose list held a row that is gone. A list that held none
    still holds the k nearest of the rows that are left: only new rows can enter it.
    """
    m, k = len(change.before), graph.neighbour.shape[1]
    found = nothing(m, k)
    kept = change.before >= 0
    old = graph.neighbour[change.before[kept]]
    moved = np.where(old < 0, -1, np.append(change.after, -1)[old])
    found.neighbour[kept] = moved
    found.cosine[kept] = graph.cosine[change.before[kept]]
    anew = ~kept
    anew[kept] = ((moved < 0) & (old >= 0)).any(axis=1)
    return found, anew


def update(graph: Nearest, vectors: NDArray[np.float32], change: Change) -> Nearest:
    """Mend the k nearest neighbours; equal to ``nearest`` of all rows, bit for bit.

    The order of the rows that are left must be as it was: equal cosines go by position.

    Args:
        graph: of the old rows.
        vectors: (M, D), of the rows there are now.
        change: between the two.
    """
    k = graph.neighbour.shape[1]
    found, anew = renumbered(graph, change)
    again = np.flatnonzero(anew)
    fresh = nearest(vectors[again], vectors, k, own=again)
    kept, new = np.flatnonzero(~anew), change.new
    against_new = nearest(vectors[kept], vectors[new], k)
    joined = merged(
        Nearest(found.neighbour[kept], found.cosine[kept]),
        Nearest(_positions(against_new.neighbour, new), against_new.cosine),
    )
    for part, rows in ((joined, kept), (fresh, again)):
        found.neighbour[rows] = part.neighbour
        found.cosine[rows] = part.cosine
    return found


def _positions(neighbour: NDArray[np.int32], rows: Positions) -> NDArray[np.int32]:
    """Turn positions in ``rows`` into what stands there; -1 stays."""
    return np.append(rows, -1)[neighbour].astype(np.int32)


def update_pairs(
    pairs: Joined, vectors: NDArray[np.float32], change: Change, threshold: float, cap: int
) -> Joined:
    """Mend the list of similar pairs: those left, new against left, and new against new.

    Args:
        pairs: all pairs of the old rows at the threshold: none may have been cut by the cap.
        vectors: (M, D), of the rows there are now.
        change: between the two.
        threshold: as in ``join``.
        cap: as in ``join``.
    """
    best, after, new = Best(cap), change.after, change.new
    a, b = after[pairs.a], after[pairs.b]
    there = (a >= 0) & (b >= 0)
    best.add(a[there], b[there], pairs.cosine[there])
    kept = np.flatnonzero(change.before >= 0)
    for rows, others in ((new, None), (new, kept)):
        found = join(vectors[rows], None if others is None else vectors[others], threshold, cap)
        left, right = rows[found.a], (rows if others is None else others)[found.b]
        best.add(np.minimum(left, right), np.maximum(left, right), found.cosine)
    return best.joined()
