"""The one decode: a block of to-do rows becomes ready pixels and facts, or reasons."""

import hashlib
from typing import Any, Final

import pyarrow as pa

from clipbatch import schema
from clipbatch.collect.base import Place, Source
from clipbatch.collect.decode import decode
from clipbatch.collect.facts import facts
from clipbatch.embed.encoder import Preprocess
from clipbatch.errors import BadImage, ConfigError, Reason
from clipbatch.runtime import limits

UNREAD: Final = "unread"  # the bytes were not to be had; says nothing about the content

DECODED: Final = pa.schema(
    [
        ("uri", pa.string()),
        ("content_id", pa.string()),
        ("variants", pa.list_(pa.int32())),
        ("pixels", pa.large_binary()),  # (C, H, W) uint8 after preprocessing; null unless wanted
        ("shape", pa.list_(pa.int32())),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
        *schema.FACTS,
    ]
)


def decode_block(
    block: pa.Table, source: Source, preprocess: Preprocess, max_pixels: int
) -> pa.Table:
    """Open, check, decode and prepare a block of contents; never raises for a picture.

    Args:
        block: rows of content_id, uri, size, offset, variants.
        source: that opens them.
        preprocess: of the encoder.
        max_pixels: larger pictures are bad.
    """
    rows = block.to_pylist()
    places = [Place(row["uri"], row["size"], row["offset"]) for row in rows]
    read = source.read(places)
    decoded = [
        {key: row[key] for key in ("uri", "content_id", "variants")}
        | _decode(row, data, preprocess, max_pixels)
        for row, data in zip(rows, read, strict=True)
    ]
    return pa.Table.from_pylist(decoded, schema=DECODED)


def _decode(
    row: dict[str, Any], data: bytes | BadImage, preprocess: Preprocess, max_pixels: int
) -> dict[str, Any]:
    from clipbatch.embed.preprocess import prepare

    if isinstance(data, BadImage):
        return _refused(UNREAD, data)
    if hashlib.sha256(data).hexdigest() != row["content_id"]:
        changed = BadImage(Reason.CHANGED, "got other bytes than when it was listed")
        return _refused(UNREAD, changed)
    try:
        with limits.within(limits.DECODE_S, limits.memory_bound(max_pixels, len(data))):
            picture = decode(data, max_pixels=max_pixels)
        answer = {"status": schema.OK, **facts(picture)}
    except BadImage as error:
        return _refused(schema.BAD, error)
    if row["variants"]:
        try:
            ready = prepare(picture.pixels, preprocess)
        except BadImage as error:  # says something of the encoder, nothing of the picture
            raise ConfigError(
                f"{row['uri']}: {error.message}; this encoder cannot take every picture of the "
                "source: set embed.pixels_side, or name another encoder"
            ) from error
        answer |= {"pixels": ready.tobytes(), "shape": list(ready.shape)}
    return answer


def _refused(status: str, error: BadImage) -> dict[str, Any]:
    return {"status": status, "reason": str(error.reason), "message": error.message}
