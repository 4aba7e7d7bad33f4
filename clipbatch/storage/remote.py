"""Objects of S3 and its like, through obstore; settings come from the environment only."""

import datetime as dt
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, BinaryIO, Final, Literal

import obstore
import obstore.store
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
)

from clipbatch.errors import BadImage, ClipbatchError, ConfigError, Reason, Refused, Transient
from clipbatch.storage.names import Object, decode_uri, encode_uri, refuse_large
from clipbatch.text import redact

_ERRORS: Final = (BaseError, OSError, ValueError)
_RETRIES: Final = 3
_BUFFER: Final = 1 << 20  # bytes of one request where a container is scanned
_PAGE: Final = 1000  # keys of one answer to a listing
_ANSWERED: Final = "the store answered"
_SILENT: Final = ("the store did not answer", "the store could not be reached")


def kind(root: str, timeout_s: float) -> Literal["file", "folder", "missing"]:
    """Say what an address names; a prefix that holds nothing is missing."""
    store, key = _locate(root, timeout_s)
    try:
        if key:
            try:
                obstore.head(store, key)
            except FileNotFoundError:
                pass
            else:
                return "file"
        page = next(iter(obstore.list(store, prefix=key or None, chunk_size=1)), ())
    except _ERRORS as error:
        raise _refusal(root, error) from error
    return "folder" if page or not key else "missing"


def walk(root: str, timeout_s: float, depth: int | None) -> Iterator[Object]:
    """List every object under a prefix, page by page, in the store's order (S3: byte order)."""
    store, prefix = _locate(root, timeout_s)
    start = len(prefix) + 1 if prefix else 0
    try:
        for page in obstore.list(store, prefix=prefix or None, chunk_size=_PAGE):
            for meta in page:
                name = meta["path"][start:]
                is_deep = depth is not None and name.count("/") >= depth
                if not (name.startswith(".") or "/." in name or is_deep):
                    yield _object(encode_uri(name.encode()), meta)
    except _ERRORS as error:
        raise _refusal(root, error) from error


def status(root: str, uri: str, timeout_s: float) -> Object:
    """Return size and stamp of one object."""
    try:
        return _object(uri, obstore.head(*_locate(root, timeout_s, uri)))
    except _ERRORS as error:
        raise _bad(error, timeout_s) from error


def modified(root: str, uri: str, timeout_s: float) -> dt.datetime:
    """Return when an object was last written, by the store's clock; S3 tells whole seconds."""
    try:
        found: dt.datetime = obstore.head(*_locate(root, timeout_s, uri))["last_modified"]
    except _ERRORS as error:
        raise _bad(error, timeout_s) from error
    return found


def read(
    root: str, uri: str, span: tuple[int, int] | None, max_bytes: int | None, timeout_s: float
) -> bytes:
    """Return the bytes of an object, or those of a span (offset, size) in it."""
    try:
        store, key = _locate(root, timeout_s, uri)
        if span is not None:
            refuse_large(span[1], max_bytes)
            return bytes(obstore.get_range(store, key, start=span[0], length=span[1]))
        answer = obstore.get(store, key)
        refuse_large(answer.meta["size"], max_bytes)
        return bytes(answer.bytes())
    except _ERRORS as error:
        raise _bad(error, timeout_s) from error


def open_file(root: str, uri: str, timeout_s: float) -> BinaryIO:
    """Open an object for seeking and reading; reads raise OSError or Transient."""
    return io.BufferedReader(_Object(root, uri, timeout_s), _BUFFER)


def write(root: str, data: bytes, timeout_s: float) -> None:
    """Put a whole object."""
    try:
        obstore.put(*_locate(root, timeout_s), data)
    except _ERRORS as error:
        raise _refusal(root, error) from error


def create(root: str, data: bytes, timeout_s: float) -> bool:
    """Put a new object under ``If-None-Match: *``; False where the store says it exists.

    Raises:
        ConfigError: the store refuses the condition, or the write.
    """
    try:
        obstore.put(*_locate(root, timeout_s), data, mode="create")
    except AlreadyExistsError:
        return False
    except _ERRORS as error:
        if isinstance(error, NotSupportedError) or "501" in _answer(error):
            raise ConfigError(f"{redact(root)}: the store refuses conditional writes") from error
        raise _refusal(root, error) from error
    return True


def delete(root: str, timeout_s: float) -> None:
    """Remove an object; a missing one is fine."""
    try:
        obstore.delete(*_locate(root, timeout_s))
    except FileNotFoundError:
        return
    except _ERRORS as error:
        raise _refusal(root, error) from error


class _Object(io.RawIOBase):
    """An object as a file: every read is one range request."""

    def __init__(self, root: str, uri: str, timeout_s: float) -> None:
        self._store, self._key = _locate(root, timeout_s, uri)
        self._name, self._position = f"{root}/{uri}", 0
        with _as_file_errors(self._name):
            self._size = obstore.head(self._store, self._key)["size"]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._position)
        if length <= 0:
            return 0
        with _as_file_errors(self._name):
            data = obstore.get_range(self._store, self._key, start=self._position, length=length)
        buffer[: len(data)] = memoryview(data)
        self._position += len(data)
        return len(data)


def _locate(root: str, timeout_s: float, uri: str | None = None) -> tuple[Any, str]:
    """Return the store of a bucket and the key in it."""
    scheme, _, rest = root.partition("://")
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise ConfigError(f"{redact(root)}: names no bucket; expected {scheme}://bucket/prefix")
    name = "" if uri is None else decode_uri(uri).decode()
    key = "/".join(part for part in (prefix.strip("/"), name) if part)
    settings = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
    return _store(f"{scheme}://{bucket}", timeout_s, settings), key


@lru_cache(maxsize=16)
def _store(bucket: str, timeout_s: float, settings: tuple[tuple[str, str], ...]) -> Any:
    """Connect once per process, bucket and environment.

    ``allow_http`` must be said again: client options of ours hide the variable from obstore.
    """
    allowed = dict(settings).get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes")
    limit = dt.timedelta(seconds=timeout_s)
    return obstore.store.from_url(
        bucket,
        client_options={"timeout": limit, "connect_timeout": limit, "allow_http": allowed},
        retry_config={"max_retries": _RETRIES, "retry_timeout": limit},
    )


def _object(uri: str, meta: Any) -> Object:
    tag = meta["e_tag"] or meta["last_modified"].isoformat()
    return Object(uri, meta["size"], f"etag:{tag}")


def _answer(error: Exception) -> str:
    """Return what the store answered ("503 Service Unavailable"), never an address."""
    found = re.search(r"status code: (\d{3}(?: [A-Z][\w-]*)*)", str(error))
    if found:
        return f"{_ANSWERED} {found[1]}"
    return _SILENT[0] if _is_late(error) else _SILENT[1]


def is_down(message: str) -> bool:
    """Tell whether a message of ``read`` says that the store failed, whatever it was asked for."""
    return message.startswith((*_SILENT, f"{_ANSWERED} 5"))


def _is_forbidden(error: Exception) -> bool:
    """Listings say 401 and 403 in their text only."""
    known = isinstance(error, PermissionDeniedError | UnauthenticatedError)
    return known or bool(re.search(r"status code: 40[13]", str(error)))


def _is_late(error: Exception) -> bool:
    return bool(re.search(r"TimedOut|timed out|kind: Timeout", str(error)))


def _bad(error: Exception, timeout_s: float) -> BadImage:
    if isinstance(error, FileNotFoundError):
        return BadImage(Reason.VANISHED, "the object is gone since it was listed")
    if _is_late(error):
        return BadImage(Reason.TIMED_OUT, f"no answer within {timeout_s:g} s (collect.timeout_s)")
    if isinstance(error, ValueError):
        return BadImage(Reason.UNREADABLE, "the name cannot be a key of an object store")
    return BadImage(Reason.UNREADABLE, _answer(error))


def _refusal(root: str, error: Exception) -> ClipbatchError:
    """Say what a person must change, or that trying again may help."""
    where, text = redact(root), str(error)
    if isinstance(error, InvalidPathError | ValueError):
        key = re.search(r'"(.*)"', text)
        return ConfigError(
            f"{where}: holds a key with an empty, '.' or '..' part ({key[1] if key else '?'}), "
            "which no reader can name; rename it, or list the pictures in a .csv manifest"
        )
    if "169.254.169.254" in text or "metadata.google.internal" in text:  # asks its host machine
        return ConfigError(
            f"{where}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_SKIP_SIGNATURE=true for a public bucket"
        )
    if _is_forbidden(error):
        return Refused(f"{where}: {_answer(error)}; check the credentials and their rights")
    if isinstance(error, FileNotFoundError) or "404 Not Found" in text:
        return ConfigError(f"{where}: no such bucket; check the name and AWS_ENDPOINT_URL")
    if "BareRedirect" in text:
        return ConfigError(f"{where}: it lies in another region; set AWS_REGION to the bucket's")
    if "BadScheme" in text:
        return ConfigError(f"{where}: the endpoint is http://; set AWS_ALLOW_HTTP=true to allow it")
    return Transient(f"{where}: {_answer(error)}; run the same command again")


@contextmanager
def _as_file_errors(name: str) -> Iterator[None]:
    """Turn a store's errors into those of a file, or Transient; never into damaged data."""
    try:
        yield
    except FileNotFoundError:
        raise
    except _ERRORS as error:
        if _is_forbidden(error):
            raise PermissionError(13, _answer(error), name) from error
        raise Transient(f"{redact(name)}: {_answer(error)}; run the same command again") from error
