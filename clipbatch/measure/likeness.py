"""Do two pictures look alike pixel by pixel? Answered from small grey thumbnails and hashes.

Capitals: N contents, K pairs, S pixels along a thumbnail's side.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

CROPS: Final = 0.75  # smallest share of the side that a crop keeps
FLAT: Final = 1.0  # grey levels of standard deviation below which there is nothing to compare
CLOSE: Final = 0.75  # correlation at half the size from which a pair is looked at in full
_ROWS: Final = 4096  # thumbnails held as numbers at once
_CHUNK: Final = 64  # pairs whose windows are held at once

Rows = NDArray[np.int64]


def correlation(thumbnail: NDArray[np.uint8], a: Rows, b: Rows) -> NDArray[np.float64]:
    """How well do two thumbnails agree once they are aligned?

    Pearson's correlation of the pixels, the best over mirrored copies and crops of either picture
    that keep at least ``CROPS`` of its sides, anywhere (normalised cross-correlation; Lewis 1995).
    Brightness and contrast do not matter to it. Pairs that are far from alike at half the size,
    where fine detail cannot tell them apart, are not looked at again.

    Args:
        thumbnail: (N, S, S) uint8.
        a: (K,) positions.
        b: (K,) positions.

    Returns:
        (K,) in [-1, 1], to four decimals; 0 where a thumbnail is flat.
    """
    found = _best(thumbnail, a, b, _halved)
    close = np.flatnonzero(found >= CLOSE)
    found[close] = _best(thumbnail, a[close], b[close], _whole)
    return found.clip(-1.0, 1.0).round(4)


def uneven(thumbnail: NDArray[np.uint8]) -> Rows:
    """Return the positions of thumbnails whose grey levels spread by ``FLAT`` or more."""
    spread = [np.empty(0, np.float32)]
    for start in range(0, len(thumbnail), _ROWS):  # as numbers, all of them may not fit
        part = thumbnail[start : start + _ROWS]
        spread.append(part.std(axis=(1, 2), dtype=np.float32))
    return np.flatnonzero(np.concatenate(spread) >= FLAT)


def _whole(thumbnail: NDArray[np.uint8]) -> NDArray[np.float32]:
    return thumbnail.astype(np.float32)


def _halved(thumbnail: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of each two by two pixels, (N, S / 2, S / 2)."""
    n, side = len(thumbnail), thumbnail.shape[-1] // 2
    blocks = thumbnail.reshape(n, side, 2, side, 2)
    mean: NDArray[np.float32] = blocks.mean(axis=(2, 4), dtype=np.float32)
    return mean


def _best(
    thumbnail: NDArray[np.uint8],
    a: Rows,
    b: Rows,
    prepared: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
) -> NDArray[np.float64]:
    """Return the best correlation over all placements, (K,), of thumbnails prepared in blocks."""
    found = np.zeros(len(a), np.float64)
    for start in range(0, len(a), _CHUNK):
        part = slice(start, start + _CHUNK)
        used, place = np.unique(np.concatenate([a[part], b[part]]), return_inverse=True)
        some = prepared(thumbnail[used])
        full = some.shape[-1]
        first, second = np.split(place, 2)
        best = np.full(len(first), -1.0, np.float32)
        for side in range(full, round(CROPS * full) - 1, -1):
            windows, whole = _windows(some, side), _templates(some, side)
            for x, y in ((first, second), (second, first)):
                best = np.maximum(best, (windows[x] @ whole[y]).max(axis=(1, 2)))
        found[part] = best
    return found


def hamming(phash: NDArray[np.str_], a: Rows, b: Rows) -> NDArray[np.int64]:
    """Count the bits in which two perceptual hashes differ, (K,).

    Args:
        phash: (N,) hex digits, equally many each.
        a: (K,) positions.
        b: (K,) positions.
    """
    used, place = np.unique(np.concatenate([a, b]), return_inverse=True)
    digits = bytes.fromhex("".join(phash[used].tolist()))
    rows = np.frombuffer(digits, np.uint8).reshape(len(used), -1 if len(used) else 0)
    differing = rows[place[: len(a)]] ^ rows[place[len(a) :]]
    bits: Rows = np.bitwise_count(differing).sum(axis=1, dtype=np.int64)
    return bits


def _directions(views: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Bring views (..., side * side) to mean 0 and length 1; a flat one to zero."""
    centred = views - views.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    flat = length < FLAT * side
    return np.where(flat, np.float32(0), centred / np.where(flat, np.float32(1), length))


def _windows(pictures: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return every window of ``side`` pixels, (N, W, side * side)."""
    cut = np.lib.stride_tricks.sliding_window_view(pictures, (side, side), axis=(1, 2))
    return _directions(cut.reshape(len(pictures), -1, side * side), side)


def _templates(pictures: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return the whole picture and its mirror image shrunk to ``side``, (N, side * side, 2)."""
    shrink = _shrink(pictures.shape[-1], side)
    small = shrink @ pictures @ shrink.T
    both = np.stack([small, small[:, :, ::-1]], axis=1, dtype=np.float32)
    return _directions(both.reshape(len(pictures), 2, -1), side).swapaxes(1, 2)


def _shrink(full: int, side: int) -> NDArray[np.float32]:
    """Return the (side, full) matrix that resamples a side, by a triangle as wide as its step."""
    step = full / side
    centre = (np.arange(side)[:, None] + 0.5) * step - 0.5
    weight = np.maximum(0.0, 1.0 - np.abs(np.arange(full)[None, :] - centre) / step)
    matrix: NDArray[np.float32] = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix
