"""From which cosine on are two pictures of this collection, to this encoder, probably copies?

Chosen by copies that were found without the encoder, and by pixels. Capitals: N contents, K pairs,
T thresholds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure import likeness, pixel_pairs
from clipbatch.measure.base import Contents, Figure, Pairs, Table
from clipbatch.measure.intervals import wilson

USUAL: Final = 0.95  # where there is nothing to choose by
LEAST: Final = 20  # copies to choose by
LOOKED: Final = 20_000  # pairs compared on pixels
STEP: Final = 0.01  # between thresholds
SLACK: Final = 0.05  # of the best F1: what counts as nearly as good

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """A threshold, and what it was chosen by.

    Attributes:
        threshold: the choice, a multiple of ``STEP``; ``USUAL`` where ``why_not`` says why.
        why_not: empty where it was chosen.
        hashed: copies found by hashes, without the encoder.
        thresholds: (T,) that were tried, ascending.
        pairs: (T,) listed pairs that were compared on pixels, from each on.
        verified: (T,) of them copies.
        reached: (T,) of the ``copies``, those with this cosine or more.
        copies: hashed copies of unequal pixels.
        correlation: (K,) of the listed pairs, where all were compared; None otherwise.
    """

    threshold: float
    why_not: str
    hashed: pixel_pairs.PixelPairs
    thresholds: Floats
    pairs: NDArray[np.int64]
    verified: NDArray[np.int64]
    reached: NDArray[np.int64]
    copies: int
    correlation: Floats | None = None

    @property
    def told(self) -> str:
        """The choice in words, with the precision and recall it was made at."""
        if self.why_not:
            return f"the usual one, since {self.why_not}"
        at = int(np.argmin(np.abs(self.thresholds - self.threshold)))
        shares = [
            (self.verified[at], self.pairs[at], "precision"),
            (self.reached[at], self.copies, "recall"),
        ]
        precision, recall = (
            f"{name} {part / whole:.2f} ({wilson(part, whole)[0]:.2f} to "
            f"{wilson(part, whole)[1]:.2f}, of {whole:,})"
            for part, whole, name in ((int(p), max(int(w), 1), n) for p, w, n in shares)
        )
        lowest = (
            "; it is the lowest that the neighbour graph lists, so a lower "
            "measure.neighbours.threshold may find more"
            if at == 0
            else ""
        )
        return f"chosen in this collection by {self.copies:,} copies: {precision}, {recall}{lowest}"


def choose(contents: Contents, near: Pairs, floor: float, verify: float) -> Choice:
    """Choose the threshold of near duplicates.

    Precision is the share of the listed pairs that agree on pixels, recall the share of the copies
    found by hashes that reach the threshold; pairs of equal pixels count in neither, since every
    threshold reaches them. The choice is the centre of the thresholds whose F1 is nearly the best,
    to the next hundredth: a mean hardly moves from night to night, where the best one may jump.

    Args:
        contents: with perceptual hashes and thumbnails among the facts.
        near: every pair of at least ``floor``.
        floor: of the cosine.
        verify: correlation of thumbnails from which two pictures are copies.
    """
    if not {"phash", "thumbnail"} <= contents.facts.keys():
        hashed = pixel_pairs.nothing("there are no hashes and thumbnails")
        return _usual(hashed, hashed.refused)
    hashed = pixel_pairs.find(contents.facts, verify)
    if hashed.refused:
        return _usual(hashed, hashed.refused)
    n, pixels = len(contents), _pixels(contents)
    told = pixels[hashed.a] != pixels[hashed.b]
    if (copies := int(told.sum())) < LEAST:
        return _usual(hashed, f"hashes found {copies:,} copies, fewer than {LEAST}")
    rows = _looked(contents, near)
    correlation = likeness.correlation(contents.facts["thumbnail"], near.a[rows], near.b[rows])
    uneven = pixels[near.a[rows]] != pixels[near.b[rows]]
    alike = near.cosine[rows][uneven & (correlation >= verify)]
    place = np.isin(near.a * n + near.b, (hashed.a * n + hashed.b)[told])
    first = int(np.ceil(floor / STEP - 1e-9))
    steps: Floats = np.arange(first, round(1 / STEP), dtype=np.float64)
    found = [
        _reaching(cosines, steps * STEP)
        for cosines in (near.cosine[rows][uneven], alike, near.cosine[place])
    ]
    thresholds, (pairs, verified, reached) = (steps * STEP).round(9), found
    f1 = 2 * verified * reached / np.maximum(verified * copies + pairs * reached, 1)
    if not f1.any():
        return _usual(hashed, f"none of the {copies:,} copies has a cosine of {floor:.4g}")
    weight = np.maximum(f1 - (1 - SLACK) * f1.max(), 0)
    threshold = float(round(float((weight * steps).sum() / weight.sum())) * STEP)
    return Choice(
        threshold=round(threshold, 9),
        why_not="",
        hashed=hashed,
        thresholds=thresholds,
        pairs=pairs,
        verified=verified,
        reached=reached,
        copies=copies,
        correlation=correlation if len(rows) == len(near.a) else None,
    )


def _usual(hashed: pixel_pairs.PixelPairs, why_not: str) -> Choice:
    none = np.empty(0, np.int64)
    return Choice(USUAL, why_not, hashed, np.empty(0), none, none, none, 0)


def _pixels(contents: Contents) -> NDArray[np.int64]:
    """Number the contents by their pixels, (N,)."""
    if "pixel_id" not in contents.facts:
        return np.arange(len(contents))
    return np.unique(contents.facts["pixel_id"], return_inverse=True)[1].astype(np.int64)


def _looked(contents: Contents, near: Pairs) -> NDArray[np.int64]:
    """Return the pairs to compare on pixels: all, or a sample that is stable from night to night.

    A pair's rank is the sum of its contents' random ones, modulo 2^64, which is uniform too.
    """
    if len(near.a) <= LOOKED:
        return np.arange(len(near.a))
    rank = seeds.rank(contents.seed, "duplicates threshold", contents.content_id.tolist())
    return np.sort(np.argpartition(rank[near.a] + rank[near.b], LOOKED)[:LOOKED])


def _reaching(cosines: NDArray[np.floating], thresholds: Floats) -> NDArray[np.int64]:
    """Count the cosines at or above each threshold, (T,)."""
    ordered = np.sort(cosines.astype(np.float64))
    return len(ordered) - np.searchsorted(ordered, thresholds - 1e-12).astype(np.int64)


def tables(choice: Choice | None) -> Iterator[Table]:
    """List what each threshold would give."""
    if choice is None or choice.why_not:
        return
    yield Table(
        f"What each threshold gives, by pixels; {choice.threshold:.2f} was chosen",
        {
            "cosine": choice.thresholds.round(2).tolist(),
            "pairs compared": choice.pairs.tolist(),
            "of them copies": choice.verified.tolist(),
            "precision": _ratios(choice.verified, choice.pairs),
            "recall": _ratios(choice.reached, np.full(len(choice.reached), choice.copies)),
        },
    )


def figures(choice: Choice | None) -> Iterator[Figure]:
    """Draw the same."""
    for table in tables(choice):
        series = {name: table.columns[name] for name in ("precision", "recall")}
        data = {"x": table.columns["cosine"], "series": series}
        title = "Precision and recall of the encoder's threshold, told by pixels"
        yield Figure("lines", title, data, "cosine", "share")


def _ratios(part: NDArray[np.int64], whole: NDArray[np.int64]) -> list[float | None]:
    return [
        round(p / w, 4) if w else None for p, w in zip(part.tolist(), whole.tolist(), strict=True)
    ]
