"""Small JPEG copies of pictures for the evidence in a report."""

import base64
import io
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIDE: Final = 128  # pixels of the longer side
QUALITY: Final = 78  # about 4 KB for a photograph


def thumbnail(pixels: NDArray[np.uint8], side: int = SIDE) -> bytes:
    """Return a JPEG of the whole picture, at most ``side`` pixels long; never enlarged.

    Args:
        pixels: (H, W, 3) uint8, H and W at least 1.
        side: of the longer side of the result, in pixels.
    """
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(pixels))
    # thumbnail() keeps the proportions, and at least one pixel of each side.
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def data_uri(jpeg: bytes) -> str:
    """Return a JPEG as a ``data:`` URI, so that a page holds it by itself."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
