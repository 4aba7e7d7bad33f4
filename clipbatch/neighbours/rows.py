"""What the cosine of two rows is: one function of these two rows alone, however work is cut.

Capitals: N rows, D numbers a row, K pairs.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

EXACT: Final = 1 << 17  # numbers taken in float64 at once: what a processor's cache holds
ROUNDING: Final = 2.0**-24  # unit roundoff of float32

AS_GIVEN: Final = 2.0**-20  # rows this near to length 1 are not copied

Positions = NDArray[np.int64]


def lengths(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the norm of each row, (N,), in float64."""
    found = np.empty(len(rows))
    for part in slices(len(rows), rows.shape[1]):
        exact = rows[part].astype(np.float64)
        found[part] = np.sqrt((exact * exact).sum(axis=1))
    return found


def directions(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring rows to length 1, (N, D); a row of zeros has no direction and stays zero."""
    return Side(rows).directions


class Side:
    """One of two sets of rows to compare.

    Attributes:
        vectors: (N, D) float32, of any length.
        lengths: (N,) float64.
        directions: (N, D) float32, of length 1 or zero; the vectors themselves where they are so.
        off: how far a direction's length may be from 1, and its entries from the exact ones.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.vectors = vectors = np.ascontiguousarray(vectors, np.float32)
        self.lengths = lengths(vectors)
        self.off = float(np.abs(self.lengths - 1).max(initial=0.0))
        if self.off < AS_GIVEN:
            self.directions = vectors
            return
        self.off = 2 * ROUNDING
        scale = np.divide(1.0, self.lengths, out=np.zeros(len(vectors)), where=self.lengths > 0)
        self.directions = np.empty(vectors.shape, np.float32)
        for part in slices(len(vectors), vectors.shape[1]):
            self.directions[part] = vectors[part] * scale[part, None]

    def __len__(self) -> int:
        return len(self.vectors)


def cosines(x: Side, y: Side, a: Positions, b: Positions) -> NDArray[np.float64]:
    """Return the cosine of x[a] and y[b], (K,), to twelve decimals; 0 where a vector is zero.

    Each value depends on its two rows alone, so it is the same however the work was cut.
    """
    products = np.empty(len(a))
    for part in slices(len(a), x.vectors.shape[1]):
        left, right = x.vectors[a[part]].astype(np.float64), y.vectors[b[part]]
        left *= right
        products[part] = left.sum(axis=1)
    scale = x.lengths[a] * y.lengths[b]
    found = np.divide(products, scale, out=np.zeros(len(a)), where=scale > 0)
    return found.clip(-1.0, 1.0).round(12)


def slices(count: int, width: int) -> Iterator[slice]:
    """Cut ``count`` rows into parts of at most EXACT numbers."""
    step = max(1, EXACT // max(width, 1))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))
