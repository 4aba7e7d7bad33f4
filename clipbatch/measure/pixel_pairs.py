"""Copies found on pixels alone: what an encoder holds for unlike may still be the same picture.

Perceptual hashes propose pairs, of pictures as they are and of one of them mirrored; thumbnails
decide. Capitals: N contents, K pairs.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import likeness

BITS: Final = 4  # in which two hashes of copies may differ, of 64
MOST: Final = 2_000_000_000  # hashes compared; beyond it the question costs too much
PROPOSED: Final = 2_000_000  # pairs whose thumbnails are compared; frames of a film propose all
_SIDE: Final = 8  # lowest frequencies of a hash, a side
_CHUNK: Final = 1 << 22  # hashes compared at once
_MIRRORED: Final = 4096  # thumbnails mirrored at once

Rows = NDArray[np.int64]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class PixelPairs:
    """Pairs of copies, a < b, by position.

    Attributes:
        a, b: (K,) positions.
        correlation: (K,) of the thumbnails, see ``likeness.correlation``.
        refused: why nothing was looked for; empty otherwise.
    """

    a: Rows
    b: Rows
    correlation: NDArray[np.float64]
    refused: str = ""


def find(facts: Mapping[str, NDArray[Any]], verify: float) -> PixelPairs:
    """Which pictures are copies of each other, by hash and thumbnail?

    Every pair whose hashes differ in at most ``BITS`` bits is looked at. Flat pictures, of which
    any two look alike, take no part.

    Args:
        facts: of the contents, with phash and thumbnail.
        verify: correlation of thumbnails from which two pictures are copies.
    """
    thumbnail = facts["thumbnail"]
    uneven = likeness.uneven(thumbnail)
    plain, mirrored = numbers(facts["phash"])[uneven], mirrored_hashes(thumbnail, uneven)
    proposed = np.empty((0, 2), np.int64)
    for other in (plain, mirrored):
        if comparisons(plain, other) > MOST:
            return nothing(f"more than {MOST:,} pairs of hashes share a part")
        for part in within(plain, other, BITS):
            different = np.sort(part[part[:, 0] != part[:, 1]], axis=1)
            proposed = np.unique(np.concatenate([proposed, different]), axis=0)
            if len(proposed) > PROPOSED:
                return nothing(f"hashes propose more than {PROPOSED:,} pairs")
    a, b = uneven[proposed[:, 0]], uneven[proposed[:, 1]]
    correlation = likeness.correlation(thumbnail, a, b)
    alike = correlation >= verify
    return PixelPairs(a[alike], b[alike], correlation[alike])


def nothing(why: str) -> PixelPairs:
    """Return no pairs, and why nothing was looked for."""
    none = np.empty(0, np.int64)
    return PixelPairs(none, none, np.empty(0), why)


def numbers(phash: NDArray[np.str_]) -> Hashes:
    """Return hashes of 16 hex digits as numbers, (N,)."""
    return np.frombuffer(bytes.fromhex("".join(phash.tolist())), ">u8").astype(np.uint64)


def mirrored_hashes(thumbnail: NDArray[np.uint8], rows: Rows) -> Hashes:
    """Return the perceptual hashes of some thumbnails, mirrored, as the decode computes them."""
    import scipy.fft

    found = [np.empty(0, np.uint64)]
    for start in range(0, len(rows), _MIRRORED):
        flipped = thumbnail[rows[start : start + _MIRRORED], :, ::-1].astype(np.float64)
        low = scipy.fft.dctn(flipped, type=2, axes=(1, 2))[:, :_SIDE, :_SIDE].round(3)
        low = low.reshape(len(low), -1)
        bits = np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)
        found.append(bits.view(">u8").ravel().astype(np.uint64))
    return np.concatenate(found)


def within(x: Hashes, y: Hashes, bits: int) -> Iterator[NDArray[np.int64]]:
    """Yield pairs (i, j) with at most ``bits`` bits between x[i] and y[j], some more than once.

    Hashes that differ in so few bits agree in one of ``bits + 1`` bands (Norouzi et al. 2012), so
    only those that agree in a band are compared, and none is missed.
    """
    for band in _bands(bits):
        order, low, count = _matches(x, y, band)
        ends = np.cumsum(count)
        start = 0
        while start < len(x):
            base = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, base + _CHUNK, side="right")))
            i = np.repeat(np.arange(start, stop), count[start:stop])
            place = (
                np.arange(len(i))
                + base
                - np.repeat(ends[start:stop] - count[start:stop], (count[start:stop]))
            )
            j = order[low[i] + place]
            near = np.bitwise_count(x[i] ^ y[j]) <= bits
            yield np.column_stack([i[near], j[near]])
            start = stop


def comparisons(x: Hashes, y: Hashes) -> int:
    """Return how many pairs of hashes agree in a band."""
    return sum(int(_matches(x, y, band)[2].sum()) for band in _bands(BITS))


def _bands(bits: int) -> list[Hashes]:
    """Cut 64 bits into ``bits + 1`` masks."""
    edges = np.linspace(0, 64, bits + 2).astype(int).tolist()
    return [
        np.array(sum(1 << bit for bit in range(low, high)), np.uint64)
        for low, high in itertools.pairwise(edges)
    ]


def _matches(x: Hashes, y: Hashes, band: Hashes) -> tuple[Rows, Rows, Rows]:
    """Return an order of y, and for each x where its matches start in it and how many there are."""
    key = y & band
    order = np.argsort(key, kind="stable")
    wanted, key = x & band, key[order]
    low = np.searchsorted(key, wanted, side="left")
    return order, low, np.searchsorted(key, wanted, side="right") - low
