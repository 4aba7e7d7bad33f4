"""One small layer over local files and object stores: list, read, write, and probe for safety.

Roots and addresses are plain (``/data/pictures``, ``s3://bucket/pictures``); what lies below a
root is named by a relative, percent-encoded uri.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Final, Literal, TypeVar

from clipbatch.errors import Reason
from clipbatch.storage import local, remote
from clipbatch.storage.conditions import clock, create, delete, modified, probe, refuse_unwritable
from clipbatch.storage.names import (
    Object,
    decode_uri,
    encode_uri,
    is_remote,
    join,
    refuse_large,
    split,
    uri_text,
)
from clipbatch.text import redact

__all__ = [
    "Object",
    "ahead",
    "at_once_for",
    "clock",
    "create",
    "decode_uri",
    "delete",
    "encode_uri",
    "is_down",
    "is_remote",
    "join",
    "kind",
    "modified",
    "names",
    "open_file",
    "probe",
    "read",
    "redact",
    "refuse_large",
    "refuse_unwritable",
    "split",
    "status",
    "uri_text",
    "walk",
    "write_atomic",
]

S = TypeVar("S")
T = TypeVar("T")

_TIMEOUT_S: Final = 30.0
_AT_ONCE: Final = 16  # requests to a store; its answers take tens of milliseconds each


def is_down(reason: str | None, message: str | None) -> bool:
    """Tell whether a failed ``read`` was the store's or the disk's doing, and not the file's.

    Args:
        reason: of its BadImage, which travels between processes as two texts.
        message: of the same.
    """
    if reason != Reason.UNREADABLE:
        return reason == Reason.TIMED_OUT
    return remote.is_down(message or "") or local.is_down(message or "")


def kind(root: str, timeout_s: float = _TIMEOUT_S) -> Literal["file", "folder", "missing"]:
    """Say what an address names. A prefix that holds nothing is missing.

    Raises:
        ConfigError: the store or a folder refuses to say.
    """
    return remote.kind(root, timeout_s) if is_remote(root) else local.kind(root)


def walk(root: str, timeout_s: float = _TIMEOUT_S, *, depth: int | None = None) -> Iterator[Object]:
    """List every file below a root, lazily, in byte order of the names.

    Hidden names (a part begins with a dot) are left out. Links to folders are followed, but not
    in circles; a link that leads nowhere is listed with size -1, and so is a folder below the root
    that may not be listed, its name ending in a slash. Of a local tree, the names of
    one folder and of those above it are held at a time. Stamps are ``mtime_ns:<int>``, or
    ``etag:<text>`` (the time of the last change, where a store has no etag).

    Args:
        root: folder or prefix.
        timeout_s: for one request to a store.
        depth: the most parts that a name may have; None for any.

    Raises:
        ConfigError: the root does not exist, or may not be read.
        Transient: the store or the file system failed.
    """
    if is_remote(root):
        return remote.walk(root, timeout_s, depth)
    return local.walk(root, depth)


def names(root: str, timeout_s: float = _TIMEOUT_S) -> list[str]:
    """Return the names of what lies in a folder or right below a prefix, without a look at each.

    A small folder is listed at one moment, which ``walk`` does not promise: it leaves out what is
    removed before it has looked at it. Hidden names are left out; none where there is no folder.

    Raises:
        ConfigError: it may not be read.
        Transient: the store or the file system failed.
    """
    if is_remote(root):
        return [found.uri for found in remote.walk(root, timeout_s, 1)]
    return local.names(root)


def status(root: str, uri: str, timeout_s: float = _TIMEOUT_S) -> Object:
    """Ask for size and stamp of one file.

    Raises:
        BadImage: VANISHED, UNREADABLE or TIMED_OUT.
    """
    return remote.status(root, uri, timeout_s) if is_remote(root) else local.status(root, uri)


def read(
    root: str,
    uri: str,
    *,
    span: tuple[int, int] | None = None,
    max_bytes: int | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> bytes:
    """Return the bytes of a file, or those of a span in it.

    Args:
        root: folder or prefix.
        uri: relative to it, percent-encoded.
        span: (offset, size); fewer bytes come back where the file ends before.
        max_bytes: more than these are refused before they are read.
        timeout_s: for one request to a store; it is tried again for at most as long.

    Raises:
        BadImage: VANISHED, UNREADABLE, TIMED_OUT or TOO_MANY_BYTES.
    """
    if span is not None and span[1] == 0:
        return b""
    if is_remote(root):
        return remote.read(root, uri, span, max_bytes, timeout_s)
    return local.read(root, uri, span, max_bytes)


def open_file(root: str, uri: str, timeout_s: float = _TIMEOUT_S) -> BinaryIO:
    """Open a file for seeking and reading, as tarfile and pyarrow want it.

    Raises:
        OSError: it cannot be opened or read.
        Transient: the store failed, here or in a later read.
    """
    return remote.open_file(root, uri, timeout_s) if is_remote(root) else local.open_file(root, uri)


def write_atomic(address: str, data: bytes, timeout_s: float = _TIMEOUT_S) -> None:
    """Write a whole file; readers see the old one or the new one, never a part.

    Raises:
        ConfigError: it may not be written.
        Transient: the store or the file system failed.
    """
    if is_remote(address):
        remote.write(address, data, timeout_s)
    else:
        local.write(address, data)


def ahead(function: Callable[[S], T], items: Iterable[S], *, at_once: int = 1) -> Iterator[T]:
    """Apply a function that reads to items; answers come in order, ``at_once`` are under way.

    At most twice as many answers are held. ``at_once_for`` says how many suit a root.
    """
    if at_once == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) == 2 * at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def at_once_for(root: str) -> int:
    """Say how many reads below a root should be under way: one locally, several from a store."""
    return _AT_ONCE if is_remote(root) else 1
