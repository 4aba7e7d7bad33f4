"""From pairs and neighbour lists to numbers, a headline and notes.

Capitals: N contents, k neighbours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure.base import Contents, Figure, Finding, Number, Pairs
from clipbatch.neighbours.join import Joined
from clipbatch.neighbours.nearest import Nearest, nothing

BOOTSTRAPS: Final = 1000
EDGES: Final = np.linspace(-1.0, 1.0, 81)
MEANING: Final = (
    "Every pair of pictures whose vectors point the same way up to the threshold, and for each "
    "picture its most similar ones. Other sections start from here; alike means alike to this "
    "encoder, which is not yet a copy."
)


@dataclass(frozen=True)
class Story:
    """Everything the finding is told from.

    Attributes:
        content_id: (N,), by which a later night finds its contents again.
        pairs: listed.
        near: neighbours of every content.
        exact: neighbours of a sample beyond doubt, the other rows empty; None where all are exact.
        threshold: of the cosine that pairs were searched for.
        asked: of the configuration; lower where too many pairs were expected.
        expected: pairs, from a sample.
        zero: (N,) whose vector is zero.
        seed: of the collection.
    """

    content_id: NDArray[np.str_]
    pairs: Joined
    near: Nearest
    exact: Nearest | None
    threshold: float
    asked: float
    expected: float
    zero: NDArray[np.bool_]
    seed: int

    @classmethod
    def nothing(cls, contents: Contents, k: int, threshold: float) -> "Story":
        """Return the story of a collection too small to hold a pair."""
        n, none = len(contents), np.empty(0, np.int64)
        return cls(
            content_id=contents.content_id,
            pairs=Joined(none, none, np.empty(0), 0),
            near=nothing(n, min(k, max(n - 1, 0))),
            exact=None,
            threshold=threshold,
            asked=threshold,
            expected=0.0,
            zero=np.zeros(n, np.bool_),
            seed=contents.seed,
        )

    @property
    def reached(self) -> float:
        """The cosine down to which every pair is listed."""
        capped = self.pairs.total > len(self.pairs.a)
        # Pairs equal to the last one may have been cut.
        return float(np.nextafter(self.pairs.cosine[-1], 2.0)) if capped else self.threshold


@dataclass(frozen=True)
class Shared:
    """What another analysis starts from.

    Attributes:
        pairs: of at least the cosine it asked for, most similar first; float64.
        zero: contents whose vector is zero.
    """

    pairs: Pairs
    zero: int


def reached(contents: Contents) -> float:
    """Return the cosine down to which this run holds every pair; 1 where it holds none."""
    finding = contents.found.get("neighbours")
    if finding is None or finding.pairs is None:
        return 1.0
    return next(n.value or 0.0 for n in finding.numbers if n.name == "pairs_threshold")


def shared(contents: Contents, threshold: float) -> Shared | None:
    """Return all pairs of at least ``threshold``; None where this run does not hold them all."""
    finding = contents.found.get("neighbours")
    if finding is None or finding.pairs is None:
        return None
    numbers = {number.name: number.value or 0.0 for number in finding.numbers}
    if threshold < numbers["pairs_threshold"]:
        return None
    found = finding.pairs
    last = int(np.searchsorted(-found.cosine, -threshold, side="right"))
    pairs = Pairs(found.a[:last], found.b[:last], found.cosine[:last])
    return Shared(pairs, int(numbers["zero_vectors"]))


def tell(story: Story) -> Finding:
    """Join everything into the finding."""
    pairs = story.pairs
    return Finding(
        headline=_headline(story),
        numbers=tuple(_numbers(story)),
        meaning=MEANING,
        figures=tuple(_figures(story)),
        notes=tuple(_notes(story)),
        per_content={
            "neighbour": story.near.neighbour,
            "cosine": story.near.cosine,
            "zero": story.zero,
            "content_id": story.content_id.astype(np.bytes_),
        },
        pairs=Pairs(pairs.a, pairs.b, pairs.cosine),
    )


def _headline(story: Story) -> str:
    n, k = story.near.neighbour.shape
    how = "exactly" if story.exact is None else "approximately"
    return (
        f"{len(story.pairs.a):,} pairs have a cosine of at least {story.reached:.4g}; the {k} "
        f"nearest neighbours of each of {n:,} contents are known {how}."
    )


def _numbers(story: Story) -> Iterator[Number]:
    near, pairs = story.near, story.pairs
    k = near.neighbour.shape[1]
    note = "counted over all, not estimated: every pair of contents was looked at or bounded"
    if pairs.total > len(pairs.a):
        note = f"the most similar of {pairs.total:,}: max_pairs was reached"
    yield Number("pairs", len(pairs.a), "pairs", note=note)
    yield Number("pairs_threshold", story.reached, "cosine", note="every pair down to it is listed")
    yield Number(
        "zero_vectors", int(story.zero.sum()), "contents", note="no direction, so no neighbours"
    )
    yield Number("neighbours", k, "neighbours", note="of each content")
    yield _recall(story)
    few = "no content has a neighbour"
    for name, column in (("nearest_cosine", 0), ("farthest_cosine", k - 1)):
        values = near.cosine[:, column] if k else np.empty(0)
        values = values[np.isfinite(values)]
        middle = float(np.median(values)) if len(values) else None
        what = f"median over contents, of neighbour {column + 1}"
        yield Number(name, middle, "cosine", note=what if len(values) else few)
    yield _skew(near)


def _recall(story: Story) -> Number:
    if story.exact is None:
        return Number("recall", 1.0, note="exact: every pair of contents was looked at or bounded")
    share = recall(story.near, story.exact)
    if not len(share):
        return Number("recall", None, note="no sampled content has a neighbour")
    random = seeds.generator(story.seed, "neighbours recall")
    draws = random.integers(0, len(share), (BOOTSTRAPS, len(share)))
    low, high = np.percentile(share[draws].mean(axis=1), (2.5, 97.5))
    note = f"share of the true neighbours found, over {len(share):,} sampled contents"
    return Number(
        "recall", float(share.mean()), "", float(low), float(high), "bootstrap 95 %", note
    )


def recall(near: Nearest, exact: Nearest) -> NDArray[np.float64]:
    """Which share of the exact neighbours is in the lists, for every row that has any?"""
    rows = np.flatnonzero((exact.neighbour >= 0).any(axis=1))
    found = np.empty(len(rows))
    for i, row in enumerate(rows):
        true = exact.neighbour[row][exact.neighbour[row] >= 0]
        found[i] = np.isin(true, near.neighbour[row]).mean()
    return found


def _skew(near: Nearest) -> Number:
    """How unevenly are contents listed as neighbours? Hubness: Radovanovic et al. 2010."""
    n, k = near.neighbour.shape
    k = min(k, 10)
    listed = near.neighbour[:, :k]
    count = np.bincount(listed[listed >= 0], minlength=n).astype(np.float64)
    spread = float(count.std()) if n else 0.0
    if spread == 0.0:
        return Number("hubness", None, note="every content is listed equally often")
    value = float((((count - count.mean()) / spread) ** 3).mean())
    note = f"skewness of how often a content is among the {k} nearest of others; 0 is even"
    return Number("hubness", value, note=note)


def _figures(story: Story) -> Iterator[Figure]:
    near = story.near
    for column, name in ((0, "nearest"), (near.cosine.shape[1] - 1, "farthest listed")):
        if near.cosine.size:
            values = near.cosine[:, column]
            counts, edges = np.histogram(values[np.isfinite(values)], EDGES)
            used = np.flatnonzero(counts)
            if len(used):
                part = slice(int(used[0]), int(used[-1]) + 1)
                data = {
                    "edges": edges[part.start : part.stop + 1].round(4).tolist(),
                    "counts": counts[part].tolist(),
                }
                title = f"Cosine of each content to its {name} neighbour"
                yield Figure("histogram", title, data, "cosine", "contents")


def _notes(story: Story) -> Iterator[str]:
    if story.reached > story.asked:
        yield (
            f"About {story.expected:,.0f} pairs were expected at the threshold {story.asked:.4g}, "
            f"more than max_pairs: it was raised to {story.reached:.4g}. A higher threshold, or "
            "max_pairs, makes the list complete."
        )
    if story.zero.any():
        yield (
            f"{int(story.zero.sum()):,} contents have a vector of zeros, which has no direction: "
            "no pairs, no neighbours."
        )
    if story.exact is not None:
        yield "Neighbours are those found in the nearest cells; more probes find more of them."
