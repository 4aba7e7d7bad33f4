"""The tables: their Arrow schemas, keys and names.

Key columns are never null and carry Lance's primary-key metadata: without it, concurrent
merges repeat rows. Key types are string and int32 only: int16 and fixed-size binary keys are
not honoured. No scalar index is ever built on a key.
"""

from typing import Final

import pyarrow as pa

VERSION: Final = "1"  # written to every table; another version is refused
STORAGE_VERSION: Final = "2.2"  # the newest that both pylance and lancedb read

CATALOG: Final = "catalog"
CONTENTS: Final = "contents"
FINDINGS: Final = "findings"
RUNS: Final = "runs"
THUMBNAILS: Final = "thumbnails"
PLANS: Final = "plans"
ACCEPTED: Final = "accepted"

PENDING: Final = "pending"
OK: Final = "ok"
BAD: Final = "bad"
GONE: Final = "gone"

CLEAN: Final = 0  # the variant of a picture as it is
THUMBNAIL_SIDE: Final = 32  # pixels; grey, for verifying pairs


def variant(level: float) -> int:
    """Return the key of a noise level: round(1000 x level); clean is 0."""
    return round(1000 * level)


def _key(name: str, dtype: pa.DataType, position: int) -> pa.Field:
    metadata = {
        "lance-schema:unenforced-primary-key": "true",
        "lance-schema:unenforced-primary-key:position": str(position),
    }
    return pa.field(name, dtype, nullable=False, metadata=metadata)


CATALOG_SCHEMA: Final = pa.schema(
    [
        _key("uri", pa.string(), 1),  # relative to the source root, percent-encoded bytes
        pa.field("size", pa.int64()),  # bytes; -1 where only opening would tell
        pa.field("stamp", pa.string()),  # "mtime_ns:..." or "etag:..."
        pa.field("offset", pa.int64()),  # where the bytes start inside a tar; null elsewhere
        pa.field("content_id", pa.string()),  # hex sha256 of the bytes; null until opened
        pa.field("label", pa.string()),
        pa.field("labels", pa.list_(pa.string())),  # all of them, where a picture has several
        pa.field("split", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("status", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("message", pa.string()),
        pa.field("attempts", pa.int32()),
        pa.field("first_run", pa.string()),
        pa.field("changed_run", pa.string()),
        pa.field("gone_run", pa.string()),
    ]
)

FACTS: Final = [
    pa.field("pixel_id", pa.string()),  # hex sha256 of the decoded pixels and their shape
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("format", pa.string()),
    pa.field("mode", pa.string()),
    pa.field("brightness", pa.float32()),  # mean luma, [0, 1]
    pa.field("contrast", pa.float32()),  # standard deviation of luma, [0, 0.5]
    pa.field("sharpness", pa.float32()),  # variance of the Laplacian of luma
    pa.field("phash", pa.string()),  # 64-bit perceptual hash, 16 hex digits
    pa.field("thumbnail", pa.binary(THUMBNAIL_SIDE * THUMBNAIL_SIDE)),  # grey, row by row
]

CONTENTS_SCHEMA: Final = pa.schema(
    [
        _key("content_id", pa.string(), 1),
        *FACTS,
        pa.field("status", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("message", pa.string()),
        pa.field("run_id", pa.string()),
    ]
)

FINDINGS_SCHEMA: Final = pa.schema(
    [
        _key("fingerprint", pa.string(), 1),
        _key("analysis", pa.string(), 2),
        _key("unit", pa.string(), 3),  # "" for the combined finding
        pa.field(
            "result", pa.large_binary()
        ),  # npz without pickle; a finding also holds finding.json
        pa.field("seconds", pa.float64()),
        pa.field("run_id", pa.string()),
    ]
)

RUNS_SCHEMA: Final = pa.schema(
    [
        _key("run_id", pa.string(), 1),
        pa.field("state", pa.string()),  # embedded, measured, reported
        pa.field("started", pa.timestamp("us", "UTC")),
        pa.field("finished", pa.timestamp("us", "UTC")),
        pa.field("source", pa.string()),
        pa.field("encoder", pa.string()),  # slug
        pa.field("config", pa.string()),  # JSON, without secrets
        pa.field("versions", pa.string()),  # JSON: libraries, Python, processor
        pa.field("counts", pa.string()),  # JSON
        pa.field("tables", pa.string()),  # JSON: table name -> version
        pa.field("fingerprints", pa.string()),  # JSON: analysis -> fingerprint
        pa.field("checks", pa.string()),  # JSON: the gate's checks
        pa.field("verdict", pa.string()),  # passed, failed or incomplete
    ]
)

THUMBNAILS_SCHEMA: Final = pa.schema(
    [_key("content_id", pa.string(), 1), pa.field("jpeg", pa.binary())]
)

ACCEPTED_SCHEMA: Final = pa.schema(
    [
        _key("run_id", pa.string(), 1),
        pa.field("encoder", pa.string()),  # slug
        pa.field("accepted", pa.timestamp("us", "UTC")),  # the latest is the reference
        pa.field("note", pa.string()),
    ]
)

PLANS_SCHEMA: Final = pa.schema(
    [
        _key("plan_id", pa.string(), 1),
        pa.field("made", pa.timestamp("us", "UTC")),
        pa.field("forecast", pa.string()),  # JSON
    ]
)

PAIRS_SCHEMA: Final = pa.schema(
    [
        _key("content_a", pa.string(), 1),  # content_a < content_b
        _key("content_b", pa.string(), 2),
        pa.field("cosine", pa.float32()),
        pa.field("run_id", pa.string()),
    ]
)


NEIGHBOURS_SCHEMA: Final = pa.schema(
    [
        _key("content_id", pa.string(), 1),
        pa.field("neighbours", pa.list_(pa.string())),  # content ids, nearest first
        pa.field("cosines", pa.list_(pa.float32())),
        pa.field("run_id", pa.string()),  # that found them; every run with news writes all rows
    ]
)


def vectors_schema(dim: int, dtype: str = "float32") -> pa.Schema:
    """Return the schema of an encoder's table.

    Args:
        dim: length of a vector.
        dtype: "float32" or "float16".
    """
    number = {"float32": pa.float32(), "float16": pa.float16()}[dtype]
    return pa.schema(
        [
            _key("content_id", pa.string(), 1),
            _key("variant", pa.int32(), 2),
            pa.field("vector", pa.list_(number, dim), nullable=False),
            # Of the forward pass; it differs from the table's only after a fall-back.
            pa.field("batch_size", pa.int32()),
            pa.field("run_id", pa.string()),
        ]
    )


def vectors_table(slug: str) -> str:
    """Return the name of an encoder's table of vectors."""
    return f"vectors__{slug}"


def pairs_table(slug: str) -> str:
    """Return the name of an encoder's table of similar pairs."""
    return f"pairs__{slug}"


def neighbours_table(slug: str) -> str:
    """Return the name of an encoder's table of nearest neighbours."""
    return f"neighbours__{slug}"
