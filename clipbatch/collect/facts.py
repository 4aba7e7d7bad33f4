"""What a picture's pixels say about it, without any model: one row of ``schema.FACTS``."""

import hashlib
from typing import Any, Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from PIL import Image

from clipbatch.collect.decode import Picture
from clipbatch.schema import THUMBNAIL_SIDE

_DETAIL_SIDE: Final = 512  # longest side at which sharpness is measured
_HASH_SIDE: Final = 8  # 8 x 8 lowest frequencies make 64 bits


def facts(picture: Picture) -> dict[str, Any]:
    """Describe a picture; the keys and types are those of ``schema.FACTS``.

    Luma is ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B) rounded to 8 bits. Brightness and contrast
    are its mean and standard deviation over all pixels, divided by 255. Sharpness, perceptual
    hash and thumbnail come from a copy whose longest side is at most 512, so that their cost
    does not grow with the picture and sharpness compares pictures at one scale.
    """
    grey = Image.fromarray(picture.pixels).convert("L")
    brightness, contrast = _moments(grey)
    small = _at_most(grey, _DETAIL_SIDE)
    side = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    thumbnail = small.resize(side, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return {
        "pixel_id": pixel_id(picture.pixels),
        "width": picture.width,
        "height": picture.height,
        "format": picture.format,
        "mode": picture.mode,
        "brightness": brightness,
        "contrast": contrast,
        "sharpness": sharpness(np.asarray(small)),
        "phash": perceptual_hash(np.asarray(thumbnail)),
        "thumbnail": thumbnail.tobytes(),
    }


def pixel_id(pixels: NDArray[np.uint8]) -> str:
    """Return the hex sha256 of shape and pixels: equal for the same picture in other bytes."""
    digest = hashlib.sha256("x".join(map(str, pixels.shape)).encode() + b"\n")
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def sharpness(luma: NDArray[np.uint8]) -> float:
    """Return the variance of the 4-neighbour Laplacian of luma in [0, 1]; blur lowers it.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy" (2000).

    Args:
        luma: shape (H, W). The outermost pixels have no Laplacian; 0.0 where none is left.
    """
    if min(luma.shape) < 3:
        return 0.0
    wide = luma.astype(np.int16)
    laplacian = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
    laplacian -= 4 * wide[1:-1, 1:-1]
    return float(laplacian.var(dtype=np.float32)) / 255.0**2


def perceptual_hash(luma: NDArray[np.uint8]) -> str:
    """Return the 64-bit DCT hash as 16 hex digits; few bits differ where pictures look alike.

    The 8 x 8 lowest frequencies of the two-dimensional DCT-II, each compared with their median,
    row by row, highest bit first (Zauner, "Implementation and benchmarking of perceptual image
    hash functions", 2010, as in the usual Python implementation).

    Args:
        luma: the whole picture reduced to shape (32, 32).
    """
    frequencies = scipy.fft.dctn(luma.astype(np.float64), type=2)[:_HASH_SIDE, :_HASH_SIDE]
    rounded = np.round(frequencies, 3)  # a flat picture's zeros must not differ by processor
    bits = rounded > np.median(rounded)
    return np.packbits(bits).tobytes().hex()


def _moments(grey: Image.Image) -> tuple[float, float]:
    """Return mean and standard deviation of luma in [0, 1], exactly, from its histogram."""
    counts = np.asarray(grey.histogram(), np.float64)
    levels = np.arange(256) / 255.0
    total = counts.sum()
    mean = float(counts @ levels / total)
    return mean, float(np.sqrt(counts @ (levels - mean) ** 2 / total))


def _at_most(image: Image.Image, side: int) -> Image.Image:
    if max(image.size) <= side:
        return image
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR)
