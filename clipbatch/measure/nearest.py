"""The neighbours of every content, as the analyses that ask around see the shared graph.

Capitals: N contents, K neighbours.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import copy_groups
from clipbatch.measure.base import Contents

GRAPH: Final = "neighbours"  # the analysis that finds them
WIDTH: Final = 91  # of them by default: what t-SNE at perplexity 30 asks for


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


def voters(contents: Contents, near: Near, cosine: float) -> NDArray[np.bool_]:
    """Tell the neighbours that are witnesses, (N, K): another picture, and each picture once.

    Copies of the content would vote for themselves, and copies of a neighbour for each other. They
    have equal pixels or were verified by the analysis of duplicates (see ``copy_groups``); a
    neighbour with a cosine of at least ``cosine`` is taken for a copy of the content as well.
    """
    _, group = np.unique(copy_groups.of(contents), return_inverse=True)
    theirs = group[near.neighbour]
    other = near.there & (near.cosine < cosine) & (theirs != group[:, None])
    # Of a row's neighbours of one group the nearest comes first, once ordered by group.
    theirs = np.where(other, theirs, -1)
    order = np.argsort(theirs, axis=1, kind="stable")
    ordered = np.take_along_axis(theirs, order, axis=1)
    first = np.ones_like(other)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    heard: NDArray[np.bool_] = np.empty_like(other)
    np.put_along_axis(heard, order, first, axis=1)
    heard &= other
    return heard
