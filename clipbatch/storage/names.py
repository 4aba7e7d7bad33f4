"""Names of files and objects: printable for any bytes, and without secrets in messages.

A *root* is a folder (``/data/pictures``) or a prefix (``s3://bucket/pictures``). What lies under
it is named by a relative uri: its bytes, percent-encoded.
"""

import os
import re
from typing import Final, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from clipbatch.errors import BadImage, ConfigError, Reason
from clipbatch.text import redact

_SCHEMES: Final = ("s3", "gs", "az")
# user:secret@ before a bucket (a secret may hold slashes), or a signature behind a key.
_CREDENTIALS: Final = re.compile(
    r"(?i)\w+://([^/@:]+:(?!\d+/)[^@]*@|[^/]*@|.*[?&](X-Amz-|X-Goog-|AWSAccessKeyId=|Sig(nature)?=))"
)
_READABLE: Final = "/ :"  # beside letters, digits and -_.~; never "#", which parts tar#member


class Object(NamedTuple):
    """One file or object: its relative uri, bytes (-1: unknown), and stamp."""

    uri: str
    size: int
    stamp: str


def is_remote(uri: str) -> bool:
    """Say whether a plain uri names an object store.

    Raises:
        ConfigError: its scheme is not supported, or it holds credentials.
    """
    scheme, found, _ = uri.partition("://")
    if not found or scheme == "file":
        return False
    if scheme not in _SCHEMES:
        raise ConfigError(
            f"{redact(uri)}: got {scheme}://, expected a local path or s3://, gs://, az://; "
            "copy the pictures to one of them"
        )
    if _CREDENTIALS.match(uri):
        raise ConfigError(
            f"{redact(uri)}: the address holds credentials or a signature; take them out and set "
            "credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
        )
    return True


def encode_uri(name: bytes) -> str:
    """Make any bytes printable; ``decode_uri`` takes it back."""
    return quote_from_bytes(name, safe=_READABLE)


def decode_uri(uri: str) -> bytes:
    """Return the bytes that ``encode_uri`` was given."""
    return unquote_to_bytes(uri)


def uri_text(uri: str) -> str:
    """Return a relative uri as text to read or to match, whatever its bytes are."""
    return decode_uri(uri).decode("utf-8", "backslashreplace")


def join(root: str, *parts: str) -> str:
    """Join a root and plain names below it."""
    return "/".join([root.rstrip("/"), *parts]) if root else "/".join(parts)


def split(uri: str) -> tuple[str, str]:
    """Split a plain uri into the root around it and its relative, percent-encoded name."""
    root, slash, name = uri.rstrip("/").rpartition("/")
    return (root or slash or "."), encode_uri(os.fsencode(name))


def refuse_large(size: int, max_bytes: int | None) -> None:
    """Raise BadImage(TOO_MANY_BYTES) for a size above the limit."""
    if max_bytes is not None and size > max_bytes:
        raise BadImage(
            Reason.TOO_MANY_BYTES,
            f"{size} bytes; expected at most {max_bytes}; raise collect.max_bytes to take it",
        )
