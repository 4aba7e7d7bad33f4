"""A source's entries as a stream of Arrow batches, checked to hold anything at all."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from clipbatch import schema
from clipbatch.collect import nothing_listed
from clipbatch.collect.base import Entry, Source
from clipbatch.config import Config
from clipbatch.errors import ClipbatchError
from clipbatch.progress import Progress

LISTING = pa.schema(
    [
        schema.CATALOG_SCHEMA.field(name).remove_metadata().with_nullable(True)
        for name in ("uri", "size", "stamp", "offset", "label", "labels", "split", "caption")
    ]
)


class Listing:
    """A source's entries as Arrow batches; keeps the error that DuckDB would swallow."""

    def __init__(self, entries: Iterable[Entry], progress: Progress) -> None:
        self.error: Exception | None = None
        self.progress = progress
        self.reader = pa.RecordBatchReader.from_batches(LISTING, self._batches(iter(entries)))

    def _batches(self, entries: Iterator[Entry]) -> Iterator[pa.RecordBatch]:
        try:
            while chunk := list(itertools.islice(entries, 10_000)):
                self.progress.add(len(chunk))
                yield pa.RecordBatch.from_pylist([_row(entry) for entry in chunk], schema=LISTING)
        except (ClipbatchError, OSError) as error:
            self.error = error
            raise


def _row(entry: Entry) -> dict[str, Any]:
    row = {name: getattr(entry, name) for name in LISTING.names}
    return row | {"labels": list(entry.labels) or None}


def first_entries(source: Source, config: Config) -> Iterator[Entry]:
    """List a source, having made sure that it lists something.

    Raises:
        ConfigError: it lists nothing, which would mark every known picture gone.
    """
    entries = source.entries()
    head = list(itertools.islice(entries, 1))
    if not head and not config.collect.allow_empty:
        raise nothing_listed(config.collect, source)
    return itertools.chain(head, entries)
