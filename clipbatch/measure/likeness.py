"""Do two pictures look alike pixel by pixel? Answered from small grey thumbnails and hashes.

Capitals: N contents, K pairs, S pixels along a thumbnail's side.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

ZOOMS: Final = (1.0, 0.95, 0.9, 0.8)  # shares of the side that a centred crop keeps
FLAT: Final = 1.0  # grey levels of standard deviation below which there is nothing to compare
_CHUNK: Final = 256  # pairs whose views are held at once

Rows = NDArray[np.int64]


def correlation(thumbnail: NDArray[np.uint8], a: Rows, b: Rows) -> NDArray[np.float64]:
    """How well do two thumbnails agree once they are aligned?

    Pearson's correlation of the pixels, the best over a mirrored copy and centred crops of either
    picture. Brightness and contrast do not matter to it.

    Args:
        thumbnail: (N, S, S) uint8.
        a: (K,) positions.
        b: (K,) positions.

    Returns:
        (K,) in [-1, 1], to four decimals; 0 where a thumbnail is flat.
    """
    found = np.zeros(len(a), np.float64)
    for start in range(0, len(a), _CHUNK):
        part = slice(start, start + _CHUNK)
        used, place = np.unique(np.concatenate([a[part], b[part]]), return_inverse=True)
        views = _views(thumbnail[used].astype(np.float32))
        first, second = np.split(place, 2)
        left, right = views[first], views[second]
        plain = views[:, 0, :, None]
        best = np.maximum(left @ plain[second], right @ plain[first])
        found[part] = best.max(axis=(1, 2))
    return found.clip(-1.0, 1.0).round(4)


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


def _views(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return every zoom and its mirror image, (N, 2 Z, S * S), the plain picture first.

    Each view has mean 0 and length 1; a flat one is zero.
    """
    zoomed = [z @ pictures @ z.T for z in (_zoom(pictures.shape[-1], s) for s in ZOOMS)]
    views = np.stack([v for z in zoomed for v in (z, z[:, :, ::-1])], axis=1)
    views = views.reshape(*views.shape[:2], -1)
    views -= views.mean(axis=2, keepdims=True)
    length = np.linalg.norm(views, axis=2, keepdims=True)
    flat = length < FLAT * pictures.shape[-1]
    return np.where(flat, np.float32(0), views / np.where(flat, np.float32(1), length))


def _zoom(side: int, share: float) -> NDArray[np.float32]:
    """Return the (S, S) matrix that samples the central ``share`` of a side, linearly."""
    at = (1 - share) * (side - 1) / 2 + np.arange(side) * share
    at = np.minimum(at, side - 1)
    low = np.minimum(at.astype(int), side - 2)
    matrix = np.zeros((side, side), np.float32)
    matrix[np.arange(side), low] = 1 - (at - low)
    matrix[np.arange(side), low + 1] = at - low
    return matrix
