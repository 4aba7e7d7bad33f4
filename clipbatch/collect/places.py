"""Opening one place, and finding the containers of a source."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePosixPath

from clipbatch import storage
from clipbatch.collect.base import Place
from clipbatch.config import CollectConfig
from clipbatch.errors import BadImage, ConfigError, Reason
from clipbatch.storage import Object


def open_place(root: str, uri: str, place: Place, config: CollectConfig) -> bytes | BadImage:
    """Read the bytes of one image: the whole file ``uri``, or the span of it that the place names.

    A whole file must have the size that its listing saw; a span must lie inside its container.
    """
    span = None if place.offset is None else (place.offset, place.size)
    try:
        data = storage.read(
            root, uri, span=span, max_bytes=config.max_bytes, timeout_s=config.timeout_s
        )
    except BadImage as error:
        return error.with_traceback(None)
    if span is not None and len(data) < place.size:
        return BadImage(
            Reason.DAMAGED_CONTAINER,
            f"its container ends after {len(data)} of its {place.size} bytes",
        )
    if span is None and place.size >= 0 and len(data) != place.size:
        return BadImage(
            Reason.CHANGED,
            f"{len(data)} bytes when opened, {place.size} when listed; run again to take it",
        )
    return data


def read_ahead(
    opened: Callable[[Place], bytes | BadImage],
    places: Sequence[Place],
    at_once: int,
    max_bytes: int,
) -> Iterator[bytes | BadImage]:
    """Open places in order, several at once, and never hold more than ``max_bytes`` of them.

    Args:
        opened: place -> its bytes.
        places: in the order of the answers.
        at_once: how many are under way.
        max_bytes: of all pictures held, as of one.
    """
    parts = _parts(places, max_bytes) if at_once > 1 else [places]
    return chain.from_iterable(storage.ahead(opened, part, at_once=at_once) for part in parts)


def _parts(places: Iterable[Place], most: int) -> Iterator[list[Place]]:
    """Cut places into runs whose sizes add up to ``most`` bytes at most."""
    part: list[Place] = []
    held = 0
    for place in places:
        size = max(0, place.size)
        if part and held + size > most:
            yield part
            part, held = [], 0
        part.append(place)
        held += size
    if part:
        yield part


def damaged(root: str, uri: str, config: CollectConfig, otherwise: str) -> BadImage:
    """Say why a container cannot be read through: it may not be opened, or ``otherwise``."""
    try:
        storage.read(root, uri, span=(0, 1), timeout_s=config.timeout_s)
    except BadImage as error:
        return BadImage(Reason.DAMAGED_CONTAINER, f"{error.message}; what it holds is not counted")
    return BadImage(Reason.DAMAGED_CONTAINER, otherwise)


@dataclass(frozen=True)
class Containers:
    """The tar or parquet files of a source: one, those of a folder, or those of a pattern.

    Attributes:
        root: what their uris are relative to.
        suffixes: lower-case endings that count.
        name: the relative uri of the one file, or "".
        pattern: a glob whose parts each match one part of the path, or "".
    """

    root: str
    suffixes: tuple[str, ...]
    name: str = ""
    pattern: str = ""

    def files(self, timeout_s: float) -> Iterator[Object]:
        """List the containers lazily.

        Raises:
            ConfigError: there is none.
        """
        if self.name:
            try:
                yield storage.status(self.root, self.name, timeout_s)
            except BadImage as error:
                raise ConfigError(
                    f"collect.source: {storage.redact(self.root)}/{self.name}: {error.message}"
                ) from error
            return
        seen = matched = 0
        depth = len(PurePosixPath(self.pattern).parts) if self.pattern else None
        for found in storage.walk(self.root, timeout_s, depth=depth):
            seen += 1
            if found.uri.endswith("/"):
                raise ConfigError(
                    f"collect.source: {storage.redact(self.root)}: the folder "
                    f"{storage.uri_text(found.uri)} may not be listed; mend its permissions"
                )
            if self._is_wanted(storage.uri_text(found.uri)):
                matched += 1
                yield found
        if not matched:
            where = storage.join(storage.redact(self.root), self.pattern or "*")
            raise ConfigError(
                f"collect.source: {where}: got {seen} other files, expected at least one that "
                f"ends in {' or '.join(self.suffixes)}"
            )

    def _is_wanted(self, name: str) -> bool:
        if not self.pattern:
            return name.lower().endswith(self.suffixes)
        parts = len(PurePosixPath(name).parts) == len(PurePosixPath(self.pattern).parts)
        return parts and PurePosixPath(name).match(self.pattern)


def containers(source: str, suffixes: tuple[str, ...], timeout_s: float) -> Containers:
    """Read a source as one container, a folder of them, or a pattern.

    Raises:
        ConfigError: it does not exist.
    """
    match storage.kind(source, timeout_s):
        case "file":
            root, name = storage.split(source)
            return Containers(root, suffixes, name=name)
        case "folder":
            return Containers(source, suffixes)
    root, pattern = split_pattern(source)
    if not pattern or storage.kind(root, timeout_s) != "folder":
        raise missing(source)
    return Containers(root, suffixes, pattern=pattern)


def split_pattern(source: str) -> tuple[str, str]:
    """Split ``shards/*.tar`` into the plain folder and the pattern; no pattern gives ""."""
    parts = source.split("/")
    first = next((i for i, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    return "/".join(parts[:first]) or ("/" if source.startswith("/") else "."), "/".join(
        parts[first:]
    )


def missing(source: str) -> ConfigError:
    """Return the error for a source that does not exist."""
    return ConfigError(
        f"collect.source: {storage.redact(source)} does not exist; expected a folder, .tar, "
        ".parquet or .csv, local or s3://; check the spelling"
    )
