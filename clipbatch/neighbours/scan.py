"""Loops over tiles of bounds, compiled: read each tile once, while the cache holds it.

Nothing is cached on disk, since an installation may be read-only: each process compiles what it
uses, in a second or two. A tile is (R, C, PAD), its columns in groups, of float32, or of bfloat16
as its bits in int16, which NumPy and the compiler know.
"""

from functools import cache
from typing import Any

import numpy as np

from clipbatch.neighbours.sketch import PAD

# Sums may be taken in any order: their bound holds for any. NaN and infinity stay themselves.
_ANY_ORDER = {"reassoc", "contract"}


@cache
def compiled_pairs() -> Any:
    """Return ``candidates``, compiled for this processor."""
    import numba

    dot = numba.njit(_dot, nogil=True, fastmath=_ANY_ORDER)
    reaches = numba.njit(_reaching(numba.njit(_as_it_is)), nogil=True)

    def candidates(tile: Any, bound: Any, sides: Any, least: Any, after: int, found: Any) -> int:
        """List entries of a tile at or above ``bound`` whose float32 product reaches ``least``.

        Args:
            tile: ordered as the bounds are.
            bound: of the tile's type.
            sides: (R, D) float32 and (at most C * PAD, D); the rest of the tile is padding.
            least: float32.
            after: entry (i, j) counts where j > i + after only.
            found: (2, R * C * PAD) where to write i and j.

        Returns:
            How many were written.
        """
        (x, y), count = sides, 0
        for i in range(tile.shape[0]):
            for group in range(tile.shape[1]):
                if not reaches(tile[i, group], bound):
                    continue
                for j in range(PAD):
                    column = group * PAD + j
                    if tile[i, group, j] < bound or column <= i + after or column >= len(y):
                        continue
                    if dot(x[i], y[column]) >= least:
                        found[0, count] = i
                        found[1, count] = column
                        count += 1
        return count

    return numba.njit(candidates, nogil=True)


@cache
def compiled_nearest(kind: str) -> tuple[Any, Any]:
    """Return ``take`` and ``finish``, compiled for tiles of this kind."""
    import numba

    coarse = kind == "bfloat16"
    ordered = numba.njit(_ordered_bits if coarse else _as_it_is)
    bar_of = numba.njit(_bits_below if coarse else _as_it_is)
    reaches = numba.njit(_reaching(ordered), nogil=True)
    keep_best = numba.njit(_keep_best, nogil=True)
    look = numba.njit(_looking(ordered, numba.njit(_cosine(_exact_dot()), nogil=True)), nogil=True)

    def take(tile: Any, first: int, reach: float, sides: Any, k: int, held: Any) -> None:
        """Add the columns of a tile that may be among the k best of its rows.

        Args:
            tile: of bounds; its first column is row ``first`` of y.
            first: ascending from call to call.
            reach: how far a bound may lie below its cosine.
            sides: x (R, D) float32 and its lengths (R,) float64, the same of all y, and which row
                of y each of x is (R,).
            k: neighbours a row.
            held: ids (R, room), cosines (R, room), counts (R,), k-th best cosines (R,); a group of
                columns fits beyond the k best.
        """
        ids, cosines, counts, lowest = held
        for i in range(tile.shape[0]):
            bar = bar_of(np.float32(lowest[i] - reach))
            for group in range(tile.shape[1]):
                if not reaches(tile[i, group], bar):
                    continue
                look(tile[i, group], bar, i, first + group * PAD, sides, held)
                if counts[i] + PAD > ids.shape[1]:
                    counts[i] = keep_best(ids[i], cosines[i], counts[i], k)
                    if counts[i] == k:
                        lowest[i] = cosines[i, k - 1]
                        bar = bar_of(np.float32(lowest[i] - reach))

    def finish(held: Any, k: int, neighbour: Any, cosine: Any) -> None:
        """Write the k best of every row."""
        ids, cosines, counts, _ = held
        for i in range(len(ids)):
            count = keep_best(ids[i], cosines[i], counts[i], k)
            neighbour[i, :count] = ids[i, :count]
            cosine[i, :count] = cosines[i, :count]

    return numba.njit(take, nogil=True), numba.njit(finish, nogil=True)


def _reaching(ordered: Any) -> Any:
    def reaches(group: Any, bar: Any) -> bool:
        # A fixed trip count and one narrow type: so that it becomes two vector compares.
        hit = np.int16(0)
        for j in range(PAD):
            hit |= np.int16(ordered(group[j]) >= bar)
        return bool(hit != 0)

    return reaches


def _looking(ordered: Any, cosine_of: Any) -> Any:
    def look(group: Any, bar: Any, i: int, start: int, sides: Any, held: Any) -> None:
        x, x_length, y, y_length, own = sides
        ids, cosines, counts, lowest = held
        for j in range(min(PAD, len(y) - start)):
            column = start + j
            if ordered(group[j]) < bar or column == own[i] or x_length[i] * y_length[column] == 0:
                continue
            cosine = cosine_of(x[i], y[column], x_length[i] * y_length[column])
            if cosine > lowest[i]:  # an equal one stands behind those before it
                ids[i, counts[i]] = column
                cosines[i, counts[i]] = cosine
                counts[i] += 1

    return look


def _keep_best(ids: Any, cosines: Any, count: int, k: int) -> int:
    # Ids of one cosine stand in ascending order already: columns come so, and this is stable.
    order = np.argsort(-cosines[:count], kind="mergesort")[:k]
    ids[: len(order)] = ids[order]
    cosines[: len(order)] = cosines[order]
    return len(order)


def _cosine(dot: Any) -> Any:
    def cosine_of(x: Any, y: Any, scale: Any) -> Any:
        return np.float32(min(max(dot(x, y) / scale, -1.0), 1.0))

    return cosine_of


def _dot(x: Any, y: Any) -> Any:
    total = x[0] * y[0]
    for d in range(1, len(x)):
        total += x[d] * y[d]
    return total


def _exact_dot() -> Any:
    import numba

    def dot(x: Any, y: Any) -> Any:
        total = 0.0
        for d in range(len(x)):
            total += np.float64(x[d]) * np.float64(y[d])
        return total

    return numba.njit(dot, nogil=True, fastmath=_ANY_ORDER)


def _as_it_is(value: Any) -> Any:
    return value


def _ordered_bits(bits: Any) -> Any:
    """Make the order of a bfloat16's bits that of the numbers, below zero too."""
    return bits ^ ((bits >> np.int16(15)) & np.int16(0x7FFF))


def _bits_below(value: Any) -> Any:
    """Return the ordered bits of the largest bfloat16 that is not above a float32."""
    bits = np.float32(value).view(np.int32)
    return np.int16((bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))) >> np.int32(16))
