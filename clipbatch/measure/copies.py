"""What groups of images say: whether they cross splits or labels, and which image to keep.

Capitals: M images, N contents, G groups, K pairs.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure.base import Contents

Rows = NDArray[np.int64]
NOWHERE: Final = "none"  # how an image without a split or label is told


@dataclass(frozen=True)
class Images:
    """The images of a collection, looked at in groups.

    A group is named by ``group``, (M,) int64: the group of each image, -1 where it is in none.
    """

    contents: Contents

    @cached_property
    def best_first(self) -> Rows:
        """Return the images (M,) in the order in which they are worth keeping.

        First those of the smallest split, so that a leak is mended in the larger one, which is
        usually for training; then the one with the most pixels; then the smallest uri.
        """
        contents = self.contents
        split = contents.image_split
        images_of = np.bincount(split + 1, minlength=len(contents.split_names) + 1)
        pixels = np.zeros(len(contents), np.int64)
        if {"width", "height"} <= contents.facts.keys():
            pixels = contents.facts["width"].astype(np.int64) * contents.facts["height"]
        uri = np.arange(len(split))  # images are sorted by it
        return np.lexsort((uri, -pixels[contents.image_content], split, images_of[split + 1]))

    def members(self, group: Rows, count: int) -> list[Rows]:
        """Return the images of each of ``count`` groups, those worth keeping first."""
        order = self.best_first[group[self.best_first] >= 0]
        order = order[np.argsort(group[order], kind="stable")]
        return np.split(order, np.searchsorted(group[order], np.arange(1, count)))[:count]

    def crossing(self, group: Rows, count: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Tell, for each group, whether its images lie in several splits, and under several labels.

        Images without a split or label say nothing.
        """
        sides = (self.contents.image_split, self.contents.image_label)
        split, label = (low < high for low, high in (_range(group, s, count) for s in sides))
        return split, label

    def told(self, group: Rows, count: int) -> "Told":
        """Say of each of ``count`` groups what there is to say."""
        return Told(self.members(group, count), *self.crossing(group, count))

    def pairs_crossing(self, a: Rows, b: Rows) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Tell the same of pairs of contents, (K,) each."""
        found = []
        for side in (self.contents.image_split, self.contents.image_label):
            low, high = _range(self.contents.image_content, side, len(self.contents))
            found.append(np.minimum(low[a], low[b]) < np.maximum(high[a], high[b]))
        return found[0], found[1]

    def splits(self, images: Rows) -> str:
        """Name the splits of some images with their counts, e.g. ``test x 2``."""
        return _counted(self.contents.image_split[images], self.contents.split_names)

    def labels(self, images: Rows) -> str:
        """Name the labels of some images with their counts."""
        return _counted(self.contents.image_label[images], self.contents.label_names)

    def uris(self, images: Rows) -> list[str]:
        """Return the uris of some images."""
        uris: list[str] = self.contents.image_uri[images].tolist()
        return uris


@dataclass(frozen=True)
class Told:
    """Groups of images.

    Attributes:
        members: G arrays of images, the one worth keeping first.
        leaks: (G,) whether the group's images lie in several splits.
        conflicts: (G,) whether they lie under several labels.
    """

    members: list[Rows]
    leaks: NDArray[np.bool_]
    conflicts: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.members)

    @cached_property
    def worst_first(self) -> list[int]:
        """Return the groups in the order to look at: leaks, conflicts, then the largest."""
        sizes = np.array([len(found) for found in self.members], np.int64)
        order: list[int] = np.lexsort((-sizes, ~self.conflicts, ~self.leaks)).tolist()
        return order


def _range(
    group: Rows, value: NDArray[np.int32], count: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the lowest and the highest known value of each group; low > high where none is."""
    known = (group >= 0) & (value >= 0)
    low = np.full(count, np.iinfo(np.int32).max, np.int32)
    high = np.full(count, -1, np.int32)
    np.minimum.at(low, group[known], value[known])
    np.maximum.at(high, group[known], value[known])
    return low, high


def _counted(values: NDArray[np.int32], names: tuple[str, ...]) -> str:
    counts = Counter(names[v] if v >= 0 else NOWHERE for v in values.tolist())
    return ", ".join(f"{name} x {counts[name]}" for name in sorted(counts))
