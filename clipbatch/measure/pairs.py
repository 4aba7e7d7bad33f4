"""Every pair of vectors whose cosine reaches a threshold, exactly, in memory that is bounded.

Capitals: N contents, D numbers a vector, K pairs.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure.base import Contents

TILE: Final = 1024  # rows whose products with a block are held at once
_EXACT: Final = 1 << 22  # numbers held at once while cosines are taken in float64
_ROUNDING: Final = 2.0**-24  # unit roundoff of float32

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Joined:
    """Pairs (a, b) found between two sets of rows, most similar first; ties by a, then b.

    Attributes:
        a, b: (K,) int64 positions in the first and the second set.
        cosine: (K,) float64.
        total: how many there were before the cap.
    """

    a: Rows
    b: Rows
    cosine: NDArray[np.float64]
    total: int


def blocks(contents: Contents, block_rows: int) -> list[Rows]:
    """Cut the contents into blocks that hardly change when the collection does.

    A content's block comes from its seeded hash, and the number of blocks is a power of two: a new
    content touches one block, and only doubling the collection cuts it anew.

    Returns:
        Positions of each block, ascending; about ``block_rows`` each, at most by expectation.
    """
    bits = max(0, int(np.ceil(np.log2(max(len(contents), 1) / block_rows))))
    if bits == 0:
        return [np.arange(len(contents))]
    ranks = seeds.rank(contents.seed, "block", contents.content_id.tolist())
    block = ranks >> np.uint64(64 - bits)
    order = np.argsort(block, kind="stable")
    return list(np.split(order, np.searchsorted(block[order], np.arange(1, 1 << bits))))


def directions(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring rows to length 1, (N, D); a row of zeros has no direction and stays zero."""
    found = np.empty_like(rows, dtype=np.float32)
    step = max(1, _EXACT // max(rows.shape[1], 1))
    for start in range(0, len(rows), step):
        exact = rows[start : start + step].astype(np.float64)
        length = np.sqrt((exact * exact).sum(axis=1, keepdims=True))
        found[start : start + step] = exact / np.where(length > 0, length, 1.0)
    return found


def cosines(
    x: NDArray[np.float32], y: NDArray[np.float32], a: Rows, b: Rows
) -> NDArray[np.float64]:
    """Return the cosine of x[a] and y[b], (K,), in float64; 0 where a vector is zero.

    Each value depends on its two rows alone, so it is the same however the work was cut.
    """
    found = np.zeros(len(a))
    step = max(1, _EXACT // max(x.shape[1], 1))
    for start in range(0, len(a), step):
        part = slice(start, start + step)
        left, right = x[a[part]].astype(np.float64), y[b[part]].astype(np.float64)
        squares = (left * left).sum(axis=1) * (right * right).sum(axis=1)
        products = (left * right).sum(axis=1)
        np.divide(products, np.sqrt(squares), out=found[part], where=squares > 0)
    return np.clip(found, -1.0, 1.0)


def join(
    x: NDArray[np.float32], y: NDArray[np.float32] | None, threshold: float, cap: int
) -> Joined:
    """Which pairs have a cosine of at least ``threshold``?

    Products in float32 find candidates with a margin that no rounding can exceed (Higham, Accuracy
    and Stability of Numerical Algorithms, 2002, section 3.1); float64 decides.

    Args:
        x: (N, D), of any length.
        y: (N', D); None joins x with itself and takes each pair once, a < b.
        threshold: of the cosine.
        cap: pairs to keep, the most similar ones.
    """
    other = x if y is None else y
    left = directions(x)
    right = left if y is None else directions(other)
    margin = threshold - (x.shape[1] + 8) * _ROUNDING
    found = _Best(cap)
    for start in range(0, len(left), TILE):
        skip = start if y is None else 0  # the rest was joined by an earlier tile
        tile = left[start : start + TILE] @ right[skip:].T
        flat = np.flatnonzero(tile >= margin)
        for part in range(0, len(flat), _EXACT):
            a, b = np.divmod(flat[part : part + _EXACT], tile.shape[1])
            a, b = a + start, b + skip
            if y is None:
                a, b = a[a < b], b[a < b]
            cosine = cosines(x, other, a, b)
            near = cosine >= threshold
            found.add(a[near], b[near], cosine[near])
    return found.joined()


class _Best:
    """Keeps the ``cap`` most similar pairs of those it is given."""

    def __init__(self, cap: int) -> None:
        self.cap, self.total, self.waiting = cap, 0, 0
        self.parts: list[tuple[Rows, Rows, NDArray[np.float64]]] = []

    def add(self, a: Rows, b: Rows, cosine: NDArray[np.float64]) -> None:
        """Take more pairs; prune when twice the cap is held."""
        self.total += len(a)
        self.waiting += len(a)
        self.parts.append((a, b, cosine))
        if self.waiting > 2 * self.cap:
            kept = self.joined()
            self.parts, self.waiting = [(kept.a, kept.b, kept.cosine)], len(kept.a)

    def joined(self) -> Joined:
        """Return what is kept."""
        nothing = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        a, b, cosine = map(np.concatenate, zip(nothing, *self.parts, strict=True))
        order = ordered(a, b, cosine)[: self.cap]
        return Joined(a[order], b[order], cosine[order], self.total)


def ordered(a: Rows, b: Rows, cosine: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order of pairs from the most similar; ties by a, then b."""
    return np.lexsort((b, a, -cosine))
