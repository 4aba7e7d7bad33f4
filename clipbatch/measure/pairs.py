"""Every pair of vectors whose cosine reaches a threshold, exactly, in memory that is bounded.

Capitals: N contents, D numbers a vector, K pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure.base import Contents

TILE: Final = 1024  # rows whose products with a block are held at once
EXACT: Final = 1 << 17  # numbers taken in float64 at once: what a processor's cache holds
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


def lengths(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the norm of each row, (N,), in float64."""
    found = np.empty(len(rows))
    for part in _slices(len(rows), rows.shape[1]):
        exact = rows[part].astype(np.float64)
        found[part] = np.sqrt((exact * exact).sum(axis=1))
    return found


def directions(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring rows to length 1, (N, D); a row of zeros has no direction and stays zero."""
    length = lengths(rows)
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    found = np.empty(rows.shape, np.float32)
    for part in _slices(len(rows), rows.shape[1]):
        found[part] = rows[part] * scale[part, None]
    return found


def cosines(x: "Side", y: "Side", a: Rows, b: Rows) -> NDArray[np.float64]:
    """Return the cosine of x[a] and y[b], (K,), to twelve decimals; 0 where a vector is zero.

    Each value depends on its two rows alone, so it is the same however the work was cut.
    """
    products = np.empty(len(a))
    for part in _slices(len(a), x.vectors.shape[1]):
        left, right = x.vectors[a[part]].astype(np.float64), y.vectors[b[part]]
        left *= right
        products[part] = left.sum(axis=1)
    scale = x.lengths[a] * y.lengths[b]
    found = np.divide(products, scale, out=np.zeros(len(a)), where=scale > 0)
    return found.clip(-1.0, 1.0).round(12)


class Side:
    """One of two sets of rows to join: vectors (N, D), their lengths and directions."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.vectors = vectors
        self.lengths = lengths(vectors)
        self.directions = directions(vectors)


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
    left = Side(x)
    right = left if y is None else Side(y)
    margin = threshold - (x.shape[1] + 8) * _ROUNDING
    found = _Best(cap)
    for start in range(0, len(x), TILE):
        skip = start if y is None else 0  # the rest was joined by an earlier tile
        tile = left.directions[start : start + TILE] @ right.directions[skip:].T
        flat = np.flatnonzero(tile >= margin)
        for part in _slices(len(flat), 1):
            a, b = np.divmod(flat[part], tile.shape[1])
            a, b = a + start, b + skip
            if y is None:
                a, b = a[a < b], b[a < b]
            cosine = cosines(left, right, a, b)
            near = cosine >= threshold
            found.add(a[near], b[near], cosine[near])
    return found.joined()


def _slices(count: int, width: int) -> Iterator[slice]:
    """Cut ``count`` rows into parts of at most EXACT numbers."""
    step = max(1, EXACT // max(width, 1))
    return (slice(start, start + step) for start in range(0, count, step))


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
