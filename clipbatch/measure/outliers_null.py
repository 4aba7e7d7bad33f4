"""A structureless cloud in place of the collection, and how far its points lie from each other.

Capitals: N points, D numbers a vector, Q queries, K neighbours.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_TILE: Final = 512  # queries whose products with all points are held at once

Floats = NDArray[np.float64]


def cloud(x: NDArray[np.float32], size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw points that have the mean and covariance of directions, and no other shape.

    Args:
        x: (N, D) of length 1, or zero.
        size: points wanted.
        rng: of the draw.

    Returns:
        (size, D) of length 1.
    """
    from clipbatch.measure.diagrams import featureless
    from clipbatch.measure.pairs import directions

    known = x[x.any(axis=1)]
    if len(known) < 2:
        known = np.broadcast_to(known[:1] if len(known) else np.float32(0), (2, x.shape[1]))
    return directions(featureless(known, size, rng).astype(np.float32))


def nearest(
    queries: NDArray[np.float32], points: NDArray[np.float32], k: int, among: int = 0
) -> Floats:
    """Return the distances to the ``k`` nearest points, (Q, K), ascending; chords, 0 to 2.

    Args:
        queries: (Q, D) of length 1.
        points: (N, D) of length 1.
        k: how many; all points where there are fewer.
        among: the first so many queries are the points themselves, and do not find themselves.
    """
    k = min(k, len(points) - (among > 0))
    found = np.empty((len(queries), k))
    for start in range(0, len(queries), _TILE):
        rows = np.arange(start, min(start + _TILE, len(queries)))
        cosine = queries[rows] @ points.T
        own = rows[rows < among]
        cosine[own - start, own] = -2.0
        near = -np.partition(-cosine, k - 1, axis=1)[:, :k]
        found[rows] = np.sort(chords(near), axis=1)
    return found


def chords(cosine: NDArray[np.floating]) -> Floats:
    """Return the distance of two directions from their cosine, to six decimals."""
    return np.sqrt(np.maximum(2.0 - 2.0 * cosine.astype(np.float64), 0.0)).round(6)


def line(far: Floats, rate: float) -> float:
    """Return the distance beyond which a share ``rate`` of a cloud lies."""
    return float(np.quantile(far, 1.0 - rate, method="higher"))


def lines(far: Floats, rate: float, draws: int, rng: np.random.Generator) -> Floats:
    """Return the same of clouds drawn again with replacement, (draws,)."""
    return np.array([line(rng.choice(far, len(far)), rate) for _ in range(draws)])
