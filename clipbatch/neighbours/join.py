"""Every pair of rows whose cosine reaches a threshold, exactly, in memory that is bounded.

Capitals: N rows, D numbers a row, K pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.neighbours import scan
from clipbatch.neighbours.rows import ROUNDING, Positions, Side, cosines
from clipbatch.neighbours.sketch import PAD, Basis, basis, kinds, reach, sketch
from clipbatch.neighbours.threads import Threads

TILE: Final = (2048, 1024)  # bounds of a tile: fewer calls outweigh what the cache cannot hold
WAITING: Final = 1 << 16  # candidates of a strip that are verified at once


@dataclass(frozen=True)
class Joined:
    """Pairs (a, b) found between two sets of rows, most similar first; ties by a, then b.

    Attributes:
        a, b: (K,) int64 positions in the first and the second set.
        cosine: (K,) float64.
        total: how many there were before the cap.
    """

    a: Positions
    b: Positions
    cosine: NDArray[np.float64]
    total: int


def join(
    x: NDArray[np.float32],
    y: NDArray[np.float32] | None,
    threshold: float,
    cap: int,
    *,
    components: Basis | str = "own",
    threads: int = 1,
) -> Joined:
    """Which pairs have a cosine of at least ``threshold``?

    Exactly the pairs of brute force: products of short rows bound every cosine from above (the
    proof is in ``sketch``), what is left is multiplied out in float32 with a margin that no
    rounding can exceed, and float64 decides. Rows of zeros are in no pair.

    Args:
        x: (N, D), of any length, finite.
        y: (N', D); None joins x with itself and takes each pair once, a < b.
        threshold: of the cosine.
        cap: pairs to keep, the most similar ones.
        components: of the short rows; "own" computes those of x. They move only the work.
        threads: strips of rows taken at once.
    """
    left = Side(x)
    right = left if y is None else Side(y)
    found = Best(cap)
    if not len(x) or not len(right):
        return found.joined()
    with Threads(threads) as at_once:
        if isinstance(components, str):
            components = basis(left.directions)
        work = _Work(left, right, components, threshold, cap, at_once)
        for part in at_once.map(work.strip, range(0, len(x), TILE[0])):
            found.add(part.a, part.b, part.cosine, part.total)
    return found.joined()


class _Work:
    """What all strips of a join share."""

    def __init__(
        self,
        x: Side,
        y: Side,
        components: Basis,
        threshold: float,
        cap: int,
        at_once: Threads,
    ) -> None:
        self.x, self.y, self.threshold, self.cap = x, y, threshold, cap
        # The cosine is the product of directions but for their rounding.
        product = threshold - 2 * (x.off + y.off) - 1e-12
        for kind in kinds():
            self.short_x = sketch(x.directions, components, kind, at_once)
            self.short_y = (
                self.short_x if y is x else sketch(y.directions, components, kind, at_once)
            )
            self.bound = product - reach(self.short_x, self.short_y)
            if kind == "float32" or self.bound > 2.0**-8:
                self.kind = kind
                break  # bfloat16 is compared by its bits, which are ordered above zero only
        self.entry = _as_entry(self.bound, self.short_x.short.dtype)
        self.least = np.float32(product - (x.vectors.shape[1] + 8) * ROUNDING)

    def strip(self, start: int) -> Joined:
        """Find the pairs of TILE[0] rows with all others."""
        rows = slice(start, min(start + TILE[0], len(self.x)))
        found = Best(self.cap)  # where all rows are alike a strip alone has too many to hold
        waiting: list[Any] = []
        for a, b in self._candidates(rows):
            waiting.append((a, b))
            if sum(len(part) for part, _ in waiting) > WAITING:
                found.add(*self._verified(waiting))
                waiting = []
        found.add(*self._verified(waiting))
        return found.joined()

    def _candidates(self, rows: slice) -> Iterator[tuple[Positions, Positions]]:
        import torch

        height, own = rows.stop - rows.start, self.y is self.x
        x, y = self.x.directions, self.y.directions
        scanned = scan.compiled_pairs(self.kind)
        buffer = torch.empty(height * TILE[1], dtype=self.short_x.short.dtype)
        found = np.empty((2, height * TILE[1]), np.int32)
        padded = len(self.short_y.short)
        for first in range(rows.start // PAD * PAD if own else 0, padded, TILE[1]):
            columns = slice(first, min(first + TILE[1], padded))
            tile = buffer[: height * (columns.stop - first)].view(height, -1)
            torch.mm(self.short_x.short[rows], self.short_y.short[columns].T, out=tile)
            entries, sides = scan.entries(tile), (x[rows], y[columns])
            after = rows.start - first if own else -height
            count = scanned(entries, self.entry, sides, self.least, after, found)
            for part in range(0, count, WAITING):
                a, b = found[:, part : min(part + WAITING, count)].astype(np.int64)
                yield a + rows.start, b + first

    def _verified(self, waiting: list[Any]) -> tuple[Positions, Positions, NDArray[np.float64]]:
        nothing = (np.empty(0, np.int64), np.empty(0, np.int64))
        a, b = (np.concatenate(column) for column in zip(nothing, *waiting, strict=True))
        cosine = cosines(self.x, self.y, a, b)
        near = (cosine >= self.threshold) & (self.x.lengths[a] > 0) & (self.y.lengths[b] > 0)
        return a[near], b[near], cosine[near]


def _as_entry(bound: float, dtype: Any) -> Any:
    """Return a bound as ``scan.entries`` holds numbers, rounded down."""
    import torch

    rounded = torch.tensor(bound, dtype=torch.float64).to(dtype)
    if float(rounded) > bound:
        rounded = torch.nextafter(rounded, torch.tensor(-2.0, dtype=dtype))
    if dtype == torch.float32:
        return np.float32(rounded.item())
    return np.int16(rounded.view(torch.int16).item())


class Best:
    """Keeps the ``cap`` most similar pairs of those it is given."""

    def __init__(self, cap: int) -> None:
        self.cap, self.total, self.waiting = cap, 0, 0
        self.parts: list[tuple[Positions, Positions, NDArray[np.float64]]] = []

    def add(
        self,
        a: Positions,
        b: Positions,
        cosine: NDArray[np.float64],
        total: int | None = None,
    ) -> None:
        """Take more pairs, the best of ``total``; prune when twice the cap is held."""
        self.total += len(a) if total is None else total
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


def ordered(a: Positions, b: Positions, cosine: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order of pairs from the most similar; ties by a, then b."""
    return np.lexsort((b, a, -cosine))
