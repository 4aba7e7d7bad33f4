"""Files of this machine. Names are bytes: a file system promises no more."""

# ruff: noqa: PTH100, PTH103, PTH105, PTH108, PTH111, PTH112, PTH116, PTH118, PTH120, PTH123
# pathlib cannot hold bytes.

import datetime as dt
import errno
import os
import stat
import uuid
from collections.abc import Iterator
from typing import BinaryIO, Literal
from urllib.parse import unquote

from clipbatch.errors import BadImage, ConfigError, Reason, Refused, Transient
from clipbatch.storage.names import Object, decode_uri, encode_uri, refuse_large, uri_text

# What a disk or a network drive that is out of order answers, whatever it is asked for.
_DOWN = (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN)
_CANNOT = "the file cannot be read: "
_FOR_A_PERSON = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP)

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


def path_of(root: str, uri: str | None = None) -> bytes:
    """Return the path of a plain root, or of what a relative uri names below it."""
    plain = unquote(root.removeprefix("file://")) if root.startswith("file://") else root
    path = os.fsencode(os.path.expanduser(plain))
    return path if uri is None else os.path.join(path, decode_uri(uri))


def kind(root: str) -> Literal["file", "folder", "missing"]:
    """Say what a path names."""
    try:
        mode = os.stat(path_of(root)).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return "missing"
    except OSError as error:
        raise _refusal(root, error) from error
    return "folder" if stat.S_ISDIR(mode) else "file"


def walk(root: str, depth: int | None) -> Iterator[Object]:
    """List every file under a folder in byte order of the names, one folder's names at a time.

    A folder below the top that may not be listed is one entry, whose name ends in a slash.
    """
    top = path_of(root)
    try:
        pending = [(b"", iter(_names(top)), frozenset({_identity(top)}))]
    except OSError as error:
        raise _refusal(root, error) from error
    while pending:
        folder, names, above = pending[-1]
        name = next(names, None)
        if name is None:
            pending.pop()
        elif not name.endswith(b"/"):
            found = _status(top, folder + name)
            if found is not None:
                yield found
        elif depth is None or len(pending) < depth:
            path = os.path.join(top, folder + name)
            where = f"{root}/{uri_text(encode_uri(folder + name))}"
            try:
                identity = _identity(path)
                below = () if identity in above else _names(path)  # a link back up
            except (FileNotFoundError, NotADirectoryError):
                continue  # removed since its parent was listed
            except PermissionError:
                yield Object(encode_uri(folder + name), -1, "mtime_ns:0")
                continue
            except OSError as error:
                raise _refusal(where, error) from error
            pending.append((folder + name, iter(below), above | {identity}))


def names(root: str) -> list[str]:
    """Return the names in a folder, percent-encoded and sorted; hidden ones are left out."""
    try:
        found = os.listdir(path_of(root))  # noqa: PTH208 - pathlib cannot hold bytes
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _refusal(root, error) from error
    return sorted(encode_uri(name) for name in found if not name.startswith(b"."))


def status(root: str, uri: str) -> Object:
    """Return size and stamp of one file."""
    try:
        found = os.stat(path_of(root, uri))
    except (OSError, ValueError) as error:
        raise _bad(error) from error
    return Object(uri, found.st_size, f"mtime_ns:{found.st_mtime_ns}")


def refuse_unwritable(root: str) -> None:
    """Raise ConfigError unless a folder, or the nearest one above it, may be written."""
    path = os.path.abspath(path_of(root))
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    if not os.path.isdir(path):
        raise ConfigError(f"{root}: there is a file where a folder is needed")
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{root}: it may not be written; mend its permissions or mount, or name another"
        )


def modified(root: str, uri: str) -> dt.datetime:
    """Return when a file was last written; on a network's disk the clock is the server's."""
    try:
        seconds = os.stat(path_of(root, uri)).st_mtime
    except (OSError, ValueError) as error:
        raise _bad(error) from error
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def read(root: str, uri: str, span: tuple[int, int] | None, max_bytes: int | None) -> bytes:
    """Return the bytes of a regular file, or those of a span (offset, size) in it."""
    try:
        descriptor = _open(path_of(root, uri))
        with open(descriptor, "rb", buffering=0) as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise BadImage(Reason.UNREADABLE, "not a regular file")
            offset, size = span or (0, found.st_size)
            refuse_large(size, max_bytes)
            file.seek(offset)
            return _read_fully(file, min(size, max(0, found.st_size - offset)))
    except (OSError, ValueError) as error:
        raise _bad(error) from error


def open_file(root: str, uri: str) -> BinaryIO:
    """Open a file for seeking and reading; the caller closes it."""
    descriptor = _open(path_of(root, uri))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return open(descriptor, "rb")


def _open(path: bytes) -> int:
    """Open without waiting: a pipe with a picture's name must not hold up the night."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def write(root: str, data: bytes) -> None:
    """Write a whole file; readers see the old one or the new one, also after a power cut."""
    path = path_of(root)
    folder = os.path.dirname(path) or b"."
    scratch = os.path.join(folder, b".clipbatch-" + uuid.uuid4().hex.encode())
    _make_folder(root, folder)
    try:
        try:
            _write_synced(scratch, data)
            os.replace(scratch, path)
        except OSError:
            delete(os.fsdecode(scratch))
            raise
        _sync_folder(folder)
    except OSError as error:
        raise _refusal(root, error) from error


def create(root: str, data: bytes) -> bool:
    """Write a new file, whole at once; False where it exists already."""
    path = path_of(root)
    folder = os.path.dirname(path) or b"."
    scratch = os.path.join(folder, b".clipbatch-" + uuid.uuid4().hex.encode())
    _make_folder(root, folder)
    try:
        try:
            _write_synced(scratch, data)
            _link(scratch, path, data)
        finally:
            delete(os.fsdecode(scratch))
        _sync_folder(folder)
    except FileExistsError:
        return False
    except OSError as error:
        raise _refusal(root, error) from error
    return True


def _link(scratch: bytes, path: bytes, data: bytes) -> None:
    """Give a file its name unless that is taken; some file systems have no second names."""
    try:
        os.link(scratch, path)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _write_synced(path, data)


def delete(root: str) -> None:
    """Remove a file; a missing one is fine."""
    try:
        os.unlink(path_of(root))
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refusal(root, error) from error


def _names(folder: bytes) -> list[bytes]:
    """Return the sorted names in a folder, those of folders with a slash; hidden ones left out."""
    with os.scandir(folder) as entries:
        return sorted(e.name + b"/" * _is(e, "is_dir") for e in entries if _is_listed(e))


def _is_listed(entry: "os.DirEntry[bytes]") -> bool:
    if entry.name.startswith(b"."):
        return False
    return entry.is_symlink() or _is(entry, "is_dir") or _is(entry, "is_file")


def _is(entry: "os.DirEntry[bytes]", question: Literal["is_dir", "is_file"]) -> bool:
    try:
        return bool(getattr(entry, question)())
    except OSError:  # a link to itself
        return False


def _identity(folder: bytes) -> tuple[int, int]:
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def _status(top: bytes, name: bytes) -> Object | None:
    """Return size and stamp of a listed file, or None where it was removed since."""
    path, uri = os.path.join(top, name), encode_uri(name)
    for look in (os.stat, os.lstat):
        try:
            found = look(path)
        except PermissionError:  # its folder may be listed and not entered
            return Object(uri, -1, "mtime_ns:0")
        except OSError:
            continue
        if look is os.stat and not stat.S_ISREG(found.st_mode):
            return None  # a link to a pipe or a device
        size = found.st_size if look is os.stat else -1
        return Object(uri, size, f"mtime_ns:{found.st_mtime_ns}")
    return None


def _read_fully(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _make_folder(root: str, folder: bytes) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except FileExistsError as error:
        raise ConfigError(f"{root}: there is a file where a folder is needed") from error
    except OSError as error:
        raise _refusal(root, error) from error


def _write_synced(path: bytes, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: bytes) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bad(error: OSError | ValueError) -> BadImage:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return BadImage(Reason.VANISHED, "the file is gone since it was listed")
    detail = error.strerror if isinstance(error, OSError) else "the name holds a null byte"
    return BadImage(Reason.UNREADABLE, f"{_CANNOT}{detail}")


def is_down(message: str) -> bool:
    """Tell whether a message of ``read`` says that the disk failed, whatever it was asked for."""
    return message in {f"{_CANNOT}{os.strerror(number)}" for number in _DOWN}


def _refusal(root: str, error: OSError) -> ConfigError | Transient:
    """Say what a person must change, or that trying again may help."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ConfigError(f"{root}: no such folder; name one that exists")
    if error.errno in _FOR_A_PERSON:
        return Refused(f"{root}: {error.strerror}; mend its permissions or name another")
    return Transient(f"{root}: {error.strerror}; run the same command again")
