"""What there is to say about copies: everything the finding of duplicates is told from.

Capitals: N contents, K near pairs, G groups.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure import duplicates_sources, likeness, pixel_pairs
from clipbatch.measure.base import Contents
from clipbatch.measure.components import NearGroups
from clipbatch.measure.copies import Images, Rows, Told
from clipbatch.measure.duplicates_sources import Copies
from clipbatch.measure.duplicates_threshold import Choice

VERIFIED: Final = 20_000  # near pairs compared on pixels, the most similar ones
CONTROL: Final = 1_000  # random pairs compared on pixels, to show what chance gives


@dataclass(frozen=True)
class Limits:
    """What of ``DuplicatesParams`` the finding needs."""

    threshold: float
    verify: float
    table_rows: int


@dataclass(frozen=True)
class Near:
    """Near pairs and their groups.

    Attributes:
        a: (K,) positions in Contents; a < b.
        b: (K,) positions in Contents.
        cosine: (K,) float64, descending.
        total: pairs that reached ``threshold``; more than K where the cap cut them.
        threshold: of the cosine that was searched for, raised where too many pairs were expected.
        zero: contents whose vector is zero.
        groups: of the K pairs.
    """

    a: Rows
    b: Rows
    cosine: NDArray[np.float64]
    total: int
    threshold: float
    zero: int
    groups: NearGroups

    @property
    def reached(self) -> float:
        """The cosine down to which pairs are listed."""
        capped = self.total > len(self.a)
        return float(self.cosine[-1]) if capped else self.threshold


@dataclass(frozen=True)
class Sampled:
    """What the first look at a sample of contents gave.

    Attributes:
        size: contents in the sample.
        expected: near pairs in the whole collection.
        edges: (B + 1,) of the histogram of cosines.
        counts: (B,) pairs of the sample.
    """

    size: int
    expected: float
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class Story:
    """Everything the finding is told from.

    ``choice`` says how the threshold was chosen; None where the configuration gives it.
    """

    images: Images
    near: Near
    limits: Limits
    choice: Choice | None = None

    @property
    def contents(self) -> Contents:
        """The collection."""
        return self.images.contents

    @cached_property
    def exact(self) -> Told:
        """Contents that several images hold."""
        contents = self.contents
        repeated = np.bincount(contents.image_content, minlength=len(contents)) > 1
        group = np.where(repeated, np.cumsum(repeated) - 1, -1)
        return self.images.told(group[contents.image_content], int(repeated.sum()))

    @cached_property
    def alike(self) -> Told:
        """Groups of similar pictures."""
        group = self.near.groups.of[self.contents.image_content]
        return self.images.told(group, len(self.near.groups))

    @cached_property
    def same_pixels(self) -> Told | None:
        """Contents of equal pixels under different bytes; None where pixels are not known."""
        if "pixel_id" not in self.contents.facts:
            return None
        _, group, counts = np.unique(
            self.contents.facts["pixel_id"], return_inverse=True, return_counts=True
        )
        several = counts > 1
        number = np.where(several, np.cumsum(several) - 1, -1)
        return self.images.told(number[group][self.contents.image_content], int(several.sum()))

    @cached_property
    def crossing(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether each near pair crosses splits, and labels."""
        return self.images.pairs_crossing(self.near.a, self.near.b)

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Whether both ends of each near pair are in one group."""
        of = self.near.groups.of
        inside: NDArray[np.bool_] = (of[self.near.a] == of[self.near.b]) & (of[self.near.a] >= 0)
        return inside

    @cached_property
    def correlation(self) -> NDArray[np.float64] | None:
        """Agreement of the thumbnails of the first near pairs; None without thumbnails."""
        if "thumbnail" not in self.contents.facts:
            return None
        a, b = self.near.a[:VERIFIED], self.near.b[:VERIFIED]
        if self.choice is not None and self.choice.correlation is not None:
            return self.choice.correlation[: len(a)]  # the most similar of those compared already
        return likeness.correlation(self.contents.facts["thumbnail"], a, b)

    @cached_property
    def verified(self) -> NDArray[np.bool_]:
        """Whether each near pair is verified on pixels."""
        found = np.zeros(len(self.near.a), np.bool_)
        if self.correlation is not None:
            found[: len(self.correlation)] = self.correlation >= self.limits.verify
        return found

    @cached_property
    def hashed(self) -> pixel_pairs.PixelPairs:
        """Copies found by hashes, without the encoder."""
        if self.choice is not None:
            return self.choice.hashed
        return pixel_pairs.find(self.contents.facts, self.limits.verify)

    @cached_property
    def copies(self) -> Copies | None:
        """Pairs verified on pixels, whoever proposed them; None where nothing can be verified."""
        return duplicates_sources.copies(self)

    @cached_property
    def chance(self) -> tuple[int, int]:
        """How many of how many random pairs of contents would be verified."""
        n = len(self.contents)
        if n < 2 or self.correlation is None:
            return 0, 0
        random = seeds.generator(self.contents.seed, "duplicates chance")
        a = random.integers(0, n, CONTROL)
        b = (a + random.integers(1, n, CONTROL)) % n
        found = likeness.correlation(self.contents.facts["thumbnail"], a, b)
        return int((found >= self.limits.verify).sum()), CONTROL
