"""Loops over tiles of bounds, as the compiler sees them: read each tile once, while it is cached.

Plain functions of one file, so that what is compiled can be kept on disk (see ``scan``). A tile is
(R, C, PAD), its columns in groups, of float32, or of bfloat16 as its bits in int16, which NumPy
and the compiler know; above zero these are in the order of the numbers, and all numbers below zero
are below them.
"""

from typing import Any, Final

import numba
import numpy as np

from clipbatch.neighbours.sketch import PAD

# Sums may be taken in any order: their bound holds for any. NaN and infinity stay themselves.
ANY_ORDER: Final = {"reassoc", "contract"}
LOWEST: Final = -(2**15)  # no bits are below it


@numba.njit(nogil=True)
def _reaches(group: Any, bar: Any) -> bool:
    # A fixed trip count and one narrow type: so that it becomes two vector compares.
    hit = np.int16(0)
    for j in range(PAD):
        hit |= np.int16(group[j] >= bar)
    return bool(hit != 0)


@numba.njit(nogil=True, fastmath=ANY_ORDER)
def _dot(x: Any, y: Any) -> Any:
    total = np.float32(0)
    for d in range(len(x)):
        total += x[d] * y[d]
    return total


@numba.njit(nogil=True, fastmath=ANY_ORDER)
def _exact_dot(x: Any, y: Any) -> float:
    total = 0.0
    for d in range(len(x)):
        total += np.float64(x[d]) * np.float64(y[d])
    return total


@numba.njit(nogil=True)
def _set_bar(bars: Any, i: int, value: Any, coarse: bool) -> None:
    if not coarse:
        bars[i] = value
    elif value > 0:
        bars[i] = (
            np.float32(value).view(np.int32) >> 16
        )  # the largest bfloat16 that is not above it
    else:
        bars[i] = LOWEST


def pairs(tile: Any, bound: Any, sides: Any, least: Any, after: int, found: Any) -> int:
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
    x, y = sides
    count = 0
    for i in range(tile.shape[0]):
        for group in range(tile.shape[1]):
            if not _reaches(tile[i, group], bound):
                continue
            for j in range(PAD):
                column = group * PAD + j
                if tile[i, group, j] < bound or column <= i + after or column >= len(y):
                    continue
                if _dot(x[i], y[column]) >= least:
                    found[0, count] = i
                    found[1, count] = column
                    count += 1
    return count


def nearest(tile: Any, first: int, reach: float, sides: Any, held: Any, coarse: bool) -> None:
    """Add the columns of a tile that are among the k best of its rows so far.

    Args:
        tile: of bounds; its first column is row ``first`` of y.
        first: ascending from call to call, so that equal cosines stand in the order of columns.
        reach: how far a bound may lie below its cosine.
        sides: x (R, D) float32 and its lengths (R,) float64, the same of all y, and which row of y
            each of x is (R,).
        held: neighbours (R, k) and cosines (R, k) so far, nearest first, how many there are (R,),
            and the bound that another must reach (R,), of the tile's type.
        coarse: whether the tile holds bits.
    """
    x, x_length, y, y_length, own = sides
    neighbour, cosines, counts, bars = held
    k = cosines.shape[1]
    for i in range(tile.shape[0]):
        for group in range(tile.shape[1]):
            if not _reaches(tile[i, group], bars[i]):
                continue
            start = first + group * PAD
            for j in range(min(PAD, len(y) - start)):
                scale = x_length[i] * y_length[start + j]
                if tile[i, group, j] < bars[i] or start + j == own[i] or scale == 0:
                    continue
                exact = _exact_dot(x[i], y[start + j]) / scale
                cosine = np.float32(min(max(exact, -1.0), 1.0))
                place = counts[i]
                if place == k:
                    if not cosine > cosines[i, k - 1]:  # an equal one stands behind those before it
                        continue
                    place -= 1
                else:
                    counts[i] += 1
                while place > 0 and cosines[i, place - 1] < cosine:
                    cosines[i, place] = cosines[i, place - 1]
                    neighbour[i, place] = neighbour[i, place - 1]
                    place -= 1
                cosines[i, place] = cosine
                neighbour[i, place] = start + j
                if counts[i] == k:
                    _set_bar(bars, i, np.float32(cosines[i, k - 1] - reach), coarse)
