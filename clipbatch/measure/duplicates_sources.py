"""Who proposes a pair as copies: the encoder's threshold, its nearest neighbours, or hashes.

Capitals: N contents, K pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import likeness, nearest

if TYPE_CHECKING:
    from clipbatch.measure.base import Contents
    from clipbatch.measure.copies import Rows
    from clipbatch.measure.duplicates_story import Story

ASKED: Final = 20_000  # nearest neighbours compared on pixels, the most similar ones


@dataclass(frozen=True)
class Copies:
    """Pairs that are verified on pixels, a < b.

    Attributes:
        a, b: (K,) positions in Contents.
        correlation: (K,) of the thumbnails.
        cosine: (K,) of the vectors; NaN where only hashes propose the pair.
        listed: (K,) whether the pair reaches the encoder's threshold.
        by_hash: (K,) whether hashes propose it, so that no encoder was needed.
        leaks, conflicts: (K,) whether it crosses splits, and labels.
    """

    a: Rows
    b: Rows
    correlation: NDArray[np.float64]
    cosine: NDArray[np.float64]
    listed: NDArray[np.bool_]
    by_hash: NDArray[np.bool_]
    leaks: NDArray[np.bool_]
    conflicts: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True)
class _Proposed:
    """Verified pairs of one source; ``key`` is a N + b."""

    key: Rows
    correlation: NDArray[np.float64]
    cosine: NDArray[np.float64]


def copies(story: Story) -> Copies | None:
    """Return the pairs verified on pixels, whoever proposed them; None where nothing can be."""
    contents = story.contents
    if story.correlation is None or not {"phash", "thumbnail"} <= contents.facts.keys():
        return None
    n, place = len(contents), np.flatnonzero(story.verified)
    near, hashed = story.near, story.hashed
    listed = _Proposed(
        near.a[place] * n + near.b[place], story.correlation[place], near.cosine[place]
    )
    asked = _nearest(contents, story.limits.verify)
    by_hash = _Proposed(hashed.a * n + hashed.b, hashed.correlation, np.full(len(hashed.a), np.nan))
    every = (listed, asked, by_hash)
    key, first = np.unique(np.concatenate([p.key for p in every]), return_index=True)
    a, b = np.divmod(key, max(n, 1))
    splits, labels = story.images.pairs_crossing(a, b)
    return Copies(
        a=a,
        b=b,
        correlation=np.concatenate([p.correlation for p in every])[first],
        cosine=np.concatenate([p.cosine for p in every])[first],
        listed=np.isin(key, listed.key),
        by_hash=np.isin(key, by_hash.key),
        leaks=splits,
        conflicts=labels,
    )


def _nearest(contents: Contents, verify: float) -> _Proposed:
    """Compare every content with its nearest neighbour on pixels, whatever their cosine.

    A crop may lie far from its original, and still have no nearer neighbour.
    """
    nothing = np.empty(0)
    near = nearest.shared(contents, 1)
    if near is None or not near.there.any():
        return _Proposed(np.empty(0, np.int64), nothing, nothing)
    a = np.flatnonzero(near.there[:, 0])
    b, cosine = near.neighbour[a, 0], near.cosine[a, 0].astype(np.float64)
    key, first = np.unique(np.minimum(a, b) * len(contents) + np.maximum(a, b), return_index=True)
    cosine = cosine[first]
    order = np.argsort(-cosine, kind="stable")[:ASKED]
    key, cosine = key[order], cosine[order]
    a, b = np.divmod(key, len(contents))
    correlation = likeness.correlation(contents.facts["thumbnail"], a, b)
    alike = correlation >= verify
    return _Proposed(key[alike], correlation[alike], cosine[alike])
