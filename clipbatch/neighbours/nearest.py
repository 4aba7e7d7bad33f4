"""The k nearest rows of every row by cosine, exactly, in memory that is bounded.

Capitals: N rows, D numbers a row.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.neighbours import scan
from clipbatch.neighbours.rows import Positions, Side
from clipbatch.neighbours.sketch import kinds, reach, sketch
from clipbatch.neighbours.threads import Threads

TILE: Final = (256, 1024)  # bounds of a tile: what a core's cache holds


@dataclass(frozen=True)
class Nearest:
    """Neighbours of N rows, nearest first; equal cosines by position.

    Attributes:
        neighbour: (N, k) int32 positions among the candidates; -1 where there are fewer than k.
        cosine: (N, k) float32; NaN there.
    """

    neighbour: NDArray[np.int32]
    cosine: NDArray[np.float32]


def nothing(rows: int, k: int) -> Nearest:
    """Return rows without neighbours."""
    return Nearest(np.full((rows, k), -1, np.int32), np.full((rows, k), np.nan, np.float32))


def nearest(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    k: int,
    own: Positions | None = None,
    *,
    threads: int = 1,
) -> Nearest:
    """Which k rows of y are most similar to each row of x?

    Exactly those of brute force in float64: a product of coarse rows bounds every cosine from
    above (the proof is in ``sketch``); float64 decides on all whose bound reaches the k-th best
    cosine so far. Cosines count in float32, to which the exact ones are rounded. A row of zeros
    has no neighbours and is none.

    Args:
        x: (N, D), of any length, finite.
        y: (N', D), the candidates.
        k: neighbours a row.
        own: (N,) where each row of x is in y, -1 where it is not: no row is its own neighbour.
        threads: strips of rows taken at once.
    """
    left = Side(x)
    right = left if y is x else Side(y)
    if not len(x) or not len(y) or k < 1:
        return nothing(len(x), k)
    own = np.full(len(x), -1, np.int64) if own is None else own
    with Threads(threads) as at_once:
        work = _Work(left, right, k, own, at_once)
        for _ in at_once.map(work.strip, range(0, len(x), TILE[0])):
            pass
    return work.found


class _Work:
    """What all strips share."""

    def __init__(self, x: Side, y: Side, k: int, own: Positions, at_once: Threads) -> None:
        self.x, self.y, self.k, self.own = x, y, k, own
        self.found = nothing(len(x), k)
        self.kind = kinds()[0]
        self.short_x = sketch(x.directions, None, self.kind, at_once)
        self.short_y = self.short_x if y is x else sketch(y.directions, None, self.kind, at_once)
        # The cosine is the product of directions but for their rounding; it counts in float32.
        self.reach = reach(self.short_x, self.short_y) + 2 * (x.off + y.off) + 2.0**-20

    def strip(self, start: int) -> None:
        """Find the neighbours of TILE[0] rows and write them."""
        import torch

        rows = slice(start, min(start + TILE[0], len(self.x)))
        height = rows.stop - rows.start
        short, coarse = self.short_x.short[rows], self.kind == "bfloat16"
        held = (
            self.found.neighbour[rows],
            self.found.cosine[rows],
            np.zeros(height, np.int64),
            np.full(height, -(2**15), np.int16) if coarse else np.full(height, -np.inf, np.float32),
        )
        take = scan.compiled_nearest(self.kind)
        x, y = self.x, self.y
        sides = (x.vectors[rows], x.lengths[rows], y.vectors, y.lengths, self.own[rows])
        buffer = torch.empty(height * TILE[1], dtype=short.dtype)
        for first in range(0, len(self.y), TILE[1]):
            columns = slice(first, min(first + TILE[1], len(self.short_y.short)))
            tile = buffer[: height * (columns.stop - first)].view(height, -1)
            torch.mm(short, self.short_y.short[columns].T, out=tile)
            take(scan.entries(tile), first, self.reach, sides, held, coarse)


def merged(*parts: Nearest) -> Nearest:
    """Keep the k best of several lists of the same rows; a position in two lists counts once."""
    k = max(part.neighbour.shape[1] for part in parts)
    neighbour = np.concatenate([part.neighbour for part in parts], axis=1)
    cosine = np.concatenate([part.cosine for part in parts], axis=1)
    by_position = np.argsort(neighbour, axis=1, kind="stable")
    neighbour = np.take_along_axis(neighbour, by_position, axis=1)
    cosine = np.take_along_axis(cosine, by_position, axis=1)
    repeated = np.zeros(neighbour.shape, np.bool_)
    repeated[:, 1:] = neighbour[:, 1:] == neighbour[:, :-1]
    distance = np.where(repeated | (neighbour < 0), np.inf, -cosine)
    order = np.argsort(distance, axis=1, kind="stable")[:, :k]
    distance = np.take_along_axis(distance, order, axis=1)
    there = np.isfinite(distance)
    return Nearest(
        np.where(there, np.take_along_axis(neighbour, order, axis=1), -1).astype(np.int32),
        np.where(there, -distance, np.nan).astype(np.float32),
    )
