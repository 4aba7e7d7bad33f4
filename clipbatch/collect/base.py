"""What every source promises: entries without opening them, and bytes when asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from clipbatch.errors import BadImage


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a source, as its listing shows it.

    Attributes:
        uri: its name, relative to the source root, percent-encoded bytes
            (``path``, ``tar#member`` or ``parquet#row``).
        size: bytes, or -1 where only opening it would tell.
        stamp: ``mtime_ns:<int>`` or ``etag:<text>``; another stamp means: open it again.
        offset: where its bytes start inside a tar; None elsewhere.
        label: its class, or None.
        labels: all its classes where it has several, else empty.
        split: train, test, ..., or None.
        caption: a sentence about it, or None.
    """

    uri: str
    size: int
    stamp: str
    offset: int | None = None
    label: str | None = None
    labels: tuple[str, ...] = ()
    split: str | None = None
    caption: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """What is needed to open one image again: a part of its catalog row."""

    uri: str
    size: int
    offset: int | None = None


class Source(Protocol):
    """Where pictures come from. Cheap to build, picklable, holds no open handle when built."""

    def entries(self) -> Iterator[Entry]:
        """List the images lazily, without opening one.

        A container that is damaged part-way ends its own listing with an entry whose uri is the
        container's and whose opening raises BadImage(DAMAGED_CONTAINER).

        Raises:
            ConfigError: the source does not exist or lacks what the configuration names.
        """
        ...

    def read(self, places: Sequence[Place]) -> Iterator[bytes | BadImage]:
        """Open images, in the order given; one answer each, never an exception for one image.

        A source may group its reads (a parquet row group, one tar) but answers in order.
        """
        ...
