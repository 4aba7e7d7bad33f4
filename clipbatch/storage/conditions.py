"""Does a store keep its word: is a condition on a write honoured, and what does its clock say?"""

import datetime as dt
import uuid
from contextlib import suppress
from typing import Final

from clipbatch.errors import BadImage, ClipbatchError, ConfigError
from clipbatch.storage import local, remote
from clipbatch.storage.names import is_remote, join
from clipbatch.text import redact

_TIMEOUT_S: Final = 30.0


def create(address: str, data: bytes, timeout_s: float = _TIMEOUT_S) -> bool:
    """Write a new file under the condition that there is none; False where there is one.

    False may also mean that this write landed, its answer was lost, and it was sent again.

    Raises:
        ConfigError: it may not be written, or the store refuses the condition.
        Transient: the store or the file system failed.
    """
    if is_remote(address):
        return remote.create(address, data, timeout_s)
    return local.create(address, data)


def delete(address: str, timeout_s: float = _TIMEOUT_S) -> None:
    """Remove a file; a missing one is fine."""
    if is_remote(address):
        remote.delete(address, timeout_s)
    else:
        local.delete(address)


def modified(root: str, uri: str, timeout_s: float = _TIMEOUT_S) -> dt.datetime:
    """Return when a file was last written, by the clock of its store, UTC.

    Raises:
        BadImage: VANISHED, UNREADABLE or TIMED_OUT.
    """
    return remote.modified(root, uri, timeout_s) if is_remote(root) else local.modified(root, uri)


def clock(root: str, timeout_s: float = _TIMEOUT_S) -> dt.datetime:
    """Return the time of a store by its own clock, UTC: that of a scratch file written now.

    Raises:
        ConfigError: the root cannot be written.
        Transient: the store failed.
    """
    name = f".clipbatch-clock-{uuid.uuid4().hex}"
    create(join(root, name), b"", timeout_s)
    try:
        return modified(root, name, timeout_s)
    except BadImage as error:
        raise ConfigError(
            f"{redact(root)}: got nothing under a key that was written just now ({error.message}), "
            "expected what was written; use a store that shows a write at once"
        ) from error
    finally:
        with suppress(ClipbatchError):
            delete(join(root, name), timeout_s)


def refuse_unwritable(root: str, timeout_s: float = _TIMEOUT_S) -> None:
    """Make sure that a folder may be written, before hours of work end at it; makes nothing.

    Raises:
        ConfigError: it may not.
        Transient: the store failed.
    """
    if not is_remote(root):
        local.refuse_unwritable(root)
        return
    scratch = join(root, f".clipbatch-probe-{uuid.uuid4().hex}")
    create(scratch, b"", timeout_s)
    with suppress(ClipbatchError):
        delete(scratch, timeout_s)


def probe(root: str, timeout_s: float = _TIMEOUT_S) -> None:
    """Refuse a store that would lose rows: of two conditional writes of one key, one must fail.

    Lance commits by such writes. A store that ignores ``If-None-Match: *`` lets two writers
    overwrite each other's commit, and rows vanish without an error. The scratch key is removed.

    Raises:
        ConfigError: the condition is ignored, or the root cannot be written.
        Transient: the store failed.
    """
    name = f".clipbatch-probe-{uuid.uuid4().hex}"
    scratch, mine = join(root, name), name.encode()
    if not create(scratch, mine, timeout_s) and not _holds(root, name, mine, timeout_s):
        raise ConfigError(
            f"{redact(root)}: the store says that a new key exists already; conditional writes "
            "do not work there; use another store"
        )
    try:
        again = create(scratch, mine, timeout_s)
    except ClipbatchError:
        with suppress(ClipbatchError):  # the first error says more
            delete(scratch, timeout_s)
        raise
    try:
        delete(scratch, timeout_s)
    except ClipbatchError:
        if not again:
            raise
    if again:
        raise ConfigError(
            f"{redact(root)}: the store ignores conditional writes (two PUTs with "
            "If-None-Match: * both succeeded), so that two writers would lose rows without an "
            "error; use a store that honours them (AWS S3, MinIO, SeaweedFS, a local disk)"
        )


def _holds(root: str, name: str, data: bytes, timeout_s: float) -> bool:
    """Tell whether a refused write is there all the same: its first answer was lost."""
    try:
        if is_remote(root):
            return remote.read(root, name, None, None, timeout_s) == data
        return local.read(root, name, None, None) == data
    except BadImage:
        return False
