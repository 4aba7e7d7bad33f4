"""Bytes to pixels, or a reason: the one place where pictures are decoded."""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from clipbatch.collect.signature import ends_early, name_of
from clipbatch.errors import BadImage, Reason

# A picture's damaged EXIF is no news in a worker's log. Set once: filters are not thread-safe.
warnings.filterwarnings("ignore", module=r"PIL\.")

# Rasters only. EPS and WMF would start other programs; the rest are not pictures. TGA has no
# signature, so it is tried last.
_WANTED: Final = (
    *("JPEG", "PNG", "MPO", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO", "DIB"),
    *("ICNS", "PSD", "QOI", "DDS", "PCX", "SGI", "TGA"),
)

# What Pillow was seen to raise for bytes that it cannot decode, and what its code can raise.
_DECODER_ERRORS: Final = (
    *(OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, AttributeError),
    *(EOFError, OverflowError, ZeroDivisionError, AssertionError, MemoryError, RuntimeError),
    *(struct.error, zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning),
)

# Words of Pillow's messages, in lower case, that tell more than its exceptions' classes do.
_NOT_HERE: Final = ("support", "unimplemented", "not available")
_NO_MEMORY: Final = ("memory", "error -9", "decompressed data too large")

_UPRIGHT: Final = {  # EXIF orientation -> what makes the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG: Final = 0x0112
_BITS_TAG: Final = 258
_largest = 0
_PHOTOMETRIC_TAG: Final = 262


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: uint8 RGB of shape (H, W, 3), upright, row by row, read-only.
        width: W, in pixels.
        height: H, in pixels.
        format: of the file, as Pillow names it, e.g. "JPEG".
        mode: of the file before conversion, e.g. "CMYK" or "I;16".
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    format: str
    mode: str


def decode(data: bytes, *, max_pixels: int) -> Picture:
    """Turn the bytes of a picture into upright 8-bit RGB.

    The EXIF orientation is applied; transparency is composited on white; of several frames the
    first is taken; colour profiles are ignored. Sixteen bits are scaled to eight by 255/65535;
    32-bit integers and floats as ``_to_bytes`` says. Nothing but BadImage is raised for any bytes.

    Args:
        data: a whole file.
        max_pixels: larger pictures are refused from their header, before they are decoded.

    Raises:
        BadImage: with a message of one line that holds no path.
    """
    if not data:
        raise BadImage(Reason.EMPTY, "zero bytes; expected a picture")
    _raise_pillows_limit(max_pixels)
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            return _decode(image, max_pixels)
    except _DECODER_ERRORS as error:
        raise _explain(error, data, max_pixels) from error


def _raise_pillows_limit(max_pixels: int) -> None:
    """Set Pillow's own limit to the largest that this process was given.

    Ours is ``_check_size``; Pillow's serves where a decoder meets a second size inside the file,
    and allows twice as much. It is only ever raised, so that threads cannot disturb each other.
    """
    global _largest  # noqa: PLW0603 - Pillow's limit is a global too
    Image.MAX_IMAGE_PIXELS = _largest = max(_largest, max_pixels)


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _WANTED if name in Image.OPEN)


def _decode(image: Image.Image, max_pixels: int) -> Picture:
    file_format, mode = image.format or "", image.mode
    _check_size(image, max_pixels)
    image.load()
    _check_size(image, max_pixels)  # an icon's directory may belie what it holds
    orientation = _orientation(image)  # after load(): TIFF applies and forgets its own
    image = _to_rgb(image)
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    pixels = np.asarray(image, np.uint8)
    return Picture(pixels, image.width, image.height, file_format, mode)


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise BadImage(Reason.CORRUPT, f"{width} x {height} pixels; expected at least one")
    if width * height > max_pixels:
        raise BadImage(
            Reason.TOO_MANY_PIXELS,
            f"{width} x {height} = {width * height} pixels; expected at most {max_pixels}; "
            "raise collect.max_pixels to take it",
        )


def _orientation(image: Image.Image) -> int:
    """Read the EXIF orientation; a picture whose EXIF cannot be read is taken as upright."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_bytes(image)).convert("RGB")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        white.alpha_composite(clear)
        return white.convert("RGB")
    return image.convert("RGB")


def _to_bytes(image: Image.Image) -> NDArray[np.uint8]:
    """Scale 12, 16 and 32-bit grey to 8 bits, shape (H, W).

    16-bit containers: by their full range. 32-bit integers and floats declare no range, so it is
    the smallest of [0, 1] (floats), [0, 255], [0, 65535] that holds every value, else
    [minimum, maximum]. NaN is the lowest value.
    """
    values = np.asarray(image)
    inverted = False
    if image.mode.startswith("I;16"):
        low, high = 0.0, 4095.0 if _tiff_tag(image, _BITS_TAG) == (12,) else 65535.0
        inverted = _tiff_tag(image, _PHOTOMETRIC_TAG) == 0  # Pillow inverts 8 bits only
    elif image.mode == "I" and image.format == "PPM":
        low, high = 0.0, 65535.0
    else:
        low, high = _range(values)
    with np.errstate(over="ignore"):  # infinities end at the edge of the range
        scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
    grey: NDArray[np.uint8] = np.rint(np.clip(np.nan_to_num(scaled), 0, 255)).astype(np.uint8)
    return np.invert(grey) if inverted else grey


def _range(values: NDArray[Any]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    tops = (255.0, 65535.0) if values.dtype.kind == "i" else (1.0, 255.0, 65535.0)
    top = next((top for top in tops if low >= 0 and high <= top), None)
    return (low, max(high, low + 1.0)) if top is None else (0.0, top)


def _tiff_tag(image: Image.Image, tag: int) -> object:
    tags = getattr(image, "tag_v2", None)
    return None if tags is None else tags.get(tag)


def _explain(error: BaseException, data: bytes, max_pixels: int) -> BadImage:
    """Name the reason why Pillow refused the bytes."""
    if isinstance(error, UnidentifiedImageError):
        return _unidentified(data)
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return BadImage(
            Reason.TOO_MANY_PIXELS,
            f"a size inside the file is above the {max_pixels} pixels of collect.max_pixels",
        )
    text = "".join(c if c.isprintable() else " " for c in str(error))[:200]
    detail = f"the decoder says {type(error).__name__}: {text}"
    low = text.lower()
    if isinstance(error, EOFError) or "truncat" in low:
        return BadImage(Reason.TRUNCATED, detail)
    if isinstance(error, NotImplementedError) or any(word in low for word in _NOT_HERE):
        return BadImage(Reason.UNSUPPORTED, detail)
    if isinstance(error, MemoryError) or any(word in low for word in _NO_MEMORY):
        return BadImage(Reason.TOO_MUCH_MEMORY, detail)
    return BadImage(Reason.TRUNCATED if ends_early(data) else Reason.CORRUPT, detail)


def _unidentified(data: bytes) -> BadImage:
    name = name_of(data)
    if name is None:
        return BadImage(
            Reason.NOT_AN_IMAGE, f"{len(data)} bytes that no picture format begins with"
        )
    if name not in _formats():
        return BadImage(Reason.UNSUPPORTED, f"{name} cannot be decoded here; convert it")
    if ends_early(data):
        return BadImage(Reason.TRUNCATED, f"begins as {name} and ends after {len(data)} bytes")
    return BadImage(Reason.CORRUPT, f"begins as {name}, but its header makes no sense")
