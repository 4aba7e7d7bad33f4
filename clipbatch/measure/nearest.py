"""The neighbours of every content, as the analyses that ask around see the shared graph.

Capitals: N contents, K neighbours.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure.base import Contents

GRAPH: Final = "neighbours"  # the analysis that finds them


@dataclass(frozen=True)
class Near:
    """Neighbours of every content, nearest first, without itself.

    Attributes:
        neighbour: (N, K) int64 positions in Contents; -1 where there are fewer.
        cosine: (N, K) float32; NaN where there are fewer.
    """

    neighbour: NDArray[np.int64]
    cosine: NDArray[np.float32]

    @property
    def there(self) -> NDArray[np.bool_]:
        """Whether each neighbour exists, (N, K)."""
        return self.neighbour >= 0


def shared(contents: Contents, k: int | None = None) -> Near | None:
    """Return the first ``k`` neighbours, or all; None where this run has no graph."""
    found = contents.found.get(GRAPH)
    if found is None:
        return None
    neighbour, cosine = (found.per_content[name][:, :k] for name in ("neighbour", "cosine"))
    missing = np.float32(np.nan)
    return Near(neighbour.astype(np.int64), np.where(neighbour < 0, missing, cosine))


def of(contents: Contents, k: int | None = None) -> Near:
    """Return the same; nobody has neighbours where this run has no graph."""
    found = shared(contents, k)
    nobody = np.empty((len(contents), 0))
    return found or Near(nobody.astype(np.int64), nobody.astype(np.float32))


def copies(contents: Contents, near: Near, cosine: float) -> NDArray[np.bool_]:
    """Tell neighbours that are the content itself in other bytes, (N, K).

    Equal pixels, or a cosine of at least ``cosine``: they would vote for themselves.
    """
    same: NDArray[np.bool_] = near.cosine >= cosine
    if "pixel_id" in contents.facts:
        _, pixels = np.unique(contents.facts["pixel_id"], return_inverse=True)
        same = same | (pixels[near.neighbour] == pixels[:, None])
    return same & near.there
