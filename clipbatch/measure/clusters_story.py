"""What there is to say about clusters: everything the finding is told from.

Capitals: N contents, R starts of k-means, K clusters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure.base import Contents, Result

Ints = NDArray[np.int64]
HELD: Final = 2  # classes below which clusters cannot agree or disagree with labels


@dataclass(frozen=True)
class Chosen:
    """How many clusters were asked for.

    Attributes:
        k: that many.
        why: the rule that gave it.
        ladder: k -> mean silhouette of each start, where k was chosen so.
    """

    k: int
    why: str
    ladder: Mapping[int, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Story:
    """Clusters of a collection.

    Attributes:
        contents: the collection.
        chosen: how many clusters were asked for.
        starts: R fits: centroids, objective, iterations, converged, silhouette.
        nulls: fits of structureless clouds: silhouette.
        label: (R, N) cluster of each content under every start, -1 for a vector of zeros.
        cosine: (R, N) to its centroid.
    """

    contents: Contents
    chosen: Chosen
    starts: Sequence[Result]
    nulls: Sequence[Result]
    label: Ints
    cosine: NDArray[np.float64]

    @cached_property
    def best(self) -> int:
        """The start of the largest mean cosine on the sample; the first of equals."""
        return int(np.argmax([float(start["objective"]) for start in self.starts]))

    @cached_property
    def cluster(self) -> Ints:
        """The clusters that are told, (N,): the best start's, numbered from the largest."""
        return canonical(self.label[self.best])

    @cached_property
    def sizes(self) -> Ints:
        """Contents of each cluster, (K,), descending."""
        return np.bincount(self.cluster[self.cluster >= 0]).astype(np.int64)

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Which contents have both a cluster and a label, (N,)."""
        known: NDArray[np.bool_] = (self.cluster >= 0) & (self.contents.label >= 0)
        return known

    @cached_property
    def has_classes(self) -> bool:
        """Whether there is something to agree with."""
        return len(np.unique(self.contents.label[self.labelled])) >= HELD

    @cached_property
    def table(self) -> Ints:
        """Labelled contents by cluster and class, (K, C)."""
        counts = np.zeros((len(self.sizes), len(self.contents.label_names)), np.int64)
        cells = (self.cluster[self.labelled], self.contents.label[self.labelled])
        np.add.at(counts, cells, 1)
        return counts

    def nearest(self, cluster: int, count: int) -> Ints:
        """Return the contents of a cluster that lie nearest to its centroid."""
        rows = np.flatnonzero(self.cluster == cluster)
        cosine = self.cosine[self.best, rows].round(9)
        return rows[np.argsort(-cosine, kind="stable")[:count]]


def canonical(label: Ints) -> Ints:
    """Number clusters from the largest; of equals, the one that holds the first content.

    Args:
        label: (N,) any numbers from 0; -1 stays.
    """
    inside = label >= 0
    _, first, inverse, sizes = np.unique(
        label[inside], return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(first), np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(len(first))
    found = np.full(len(label), -1, np.int64)
    found[inside] = rank[inverse]
    return found
