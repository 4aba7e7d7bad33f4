"""A table that names the pictures: CSV or parquet with a column of URIs."""

import csv
import io
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from clipbatch import storage
from clipbatch.collect.base import Entry, Place
from clipbatch.collect.columns import (
    cell_text,
    class_names,
    column,
    labels_of,
    picture_column,
    plain,
)
from clipbatch.collect.paths import is_picture
from clipbatch.collect.places import containers, open_place, read_ahead
from clipbatch.config import CollectConfig
from clipbatch.errors import BadImage, ConfigError

_CHUNK: Final = 1024  # rows whose files are asked for size and stamp together
_USUAL: Final = (
    *("uri", "url", "path", "file", "filename", "file_name", "filepath", "file_path"),
    *("image", "image_uri", "image_path", "image_file", "img", "s3_uri", "location"),
)


class _Row(NamedTuple):
    """One row of a manifest; labels are a JSON list."""

    uri: str
    labels: str
    split: str | None
    caption: str | None
    size: int | None
    stamp: str | None


class _Table(NamedTuple):
    """A manifest's columns, those that may hold names, and its cells (for the columns asked)."""

    columns: list[str]
    texts: list[str]
    classes: Callable[[str | None], list[str]]
    cells: Callable[[list[str]], Iterator[dict[str, Any]]]


class Manifest:
    """Rows that name pictures: absolute paths, s3:// addresses, or paths beside the manifest.

    Names are taken as they stand: nothing is percent-decoded. Rows that repeat a name are one
    image; their labels are gathered, and the first row's split, caption, size and stamp count. A
    row without ``size`` and ``stamp`` (or ``etag``) has its file asked for them, many at once
    where it lies in a store. Rows are sorted on disk, so that memory stays bounded.

    Attributes:
        skipped: 0; every row is a picture.

    Raises:
        ConfigError: the manifest does not exist.
    """

    def __init__(self, config: CollectConfig) -> None:
        self._config = config
        self._containers = containers(config.source, (".csv", ".parquet", ".pq"), config.timeout_s)
        self.skipped = 0

    def entries(self) -> Iterator[Entry]:
        """List the pictures that the manifest names, in the order of their names.

        Raises:
            ConfigError: a column is missing, a row names nothing, or a name is an http address.
        """
        with tempfile.TemporaryDirectory(prefix="clipbatch-") as folder:
            rows = _sorted(self._rows(), Path(folder) / "rows")
            folded = (_fold(list(same)) for _, same in groupby(rows, key=itemgetter(0)))
            while chunk := list(islice(folded, _CHUNK)):
                at_once = self._at_once([row.uri for row in chunk])
                yield from storage.ahead(self._entry, chunk, at_once=at_once)

    def read(self, places: Sequence[Place]) -> Iterator[bytes | BadImage]:
        """Open the named files, several at once where one lies in a store."""
        at_once = self._at_once([place.uri for place in places])
        return read_ahead(self._open, places, at_once, self._config.max_bytes)

    def _rows(self) -> Iterator[_Row]:
        root, timeout_s = self._containers.root, self._config.timeout_s
        for file in self._containers.files(timeout_s):
            name = storage.uri_text(file.uri)
            try:
                with storage.open_file(root, file.uri, timeout_s) as opened:
                    table = _csv(opened) if name.lower().endswith(".csv") else _parquet(opened)
                    yield from _told(table, self._config, name)
            except (csv.Error, pa.ArrowException, UnicodeError, OSError) as error:
                raise ConfigError(
                    f"collect.source: {name} cannot be read as a table of pictures: {error}"
                ) from error

    def _entry(self, row: _Row) -> Entry:
        label, labels = labels_of(json.loads(row.labels))
        size, stamp = row.size, row.stamp
        if size is None or stamp is None:
            root, uri = self._locate(row.uri)
            try:
                _, size, stamp = storage.status(root, uri, self._config.timeout_s)
            except BadImage as error:  # listed all the same: opening it makes the bad row
                size, stamp = -1, f"etag:{error.reason}"
        return Entry(row.uri, size, stamp, None, label, labels, row.split, row.caption)

    def _open(self, place: Place) -> bytes | BadImage:
        root, uri = self._locate(place.uri)
        return open_place(root, uri, place, self._config)

    def _locate(self, uri: str) -> tuple[str, str]:
        return locate(self._containers.root, uri)

    def _at_once(self, uris: Sequence[str]) -> int:
        return max((storage.at_once_for(self._locate(uri)[0]) for uri in uris), default=1)


def locate(folder: str, uri: str) -> tuple[str, str]:
    """Return the root and the relative uri that a manifest's name stands for.

    Args:
        folder: of the manifest; plain names are relative to it.
        uri: percent-encoded, as in the catalog.

    Raises:
        ConfigError: the name is an http address, or of another kind that cannot be read.
    """
    name = os.fsdecode(storage.decode_uri(uri))
    scheme, found, rest = name.partition("://")
    if found and scheme in ("http", "https"):
        raise ConfigError(
            f"collect.source: the manifest names {storage.redact(name)}; http(s) addresses are not "
            "supported; download the pictures, or copy them into a bucket"
        )
    if storage.is_remote(name):
        bucket, _, key = rest.partition("/")
        return f"{scheme}://{bucket}", storage.encode_uri(os.fsencode(key))
    if found or name.startswith("/"):  # file:///x or /x
        return "/", storage.encode_uri(os.fsencode((rest if found else name).lstrip("/")))
    return folder, uri


def _told(table: _Table, config: CollectConfig, name: str) -> Iterator[_Row]:
    """Yield what each row of one manifest says."""
    uri = picture_column(config.image, _USUAL, table.texts, table.columns)
    label, split, caption = (
        column(key, getattr(config, key), table.columns, key)
        for key in ("label", "split", "caption")
    )
    kept = ("size", "stamp", "etag")
    wanted = {uri, label, split, caption, *(c for c in kept if c in table.columns)} - {None}
    classes = table.classes(label)
    for number, row in enumerate(table.cells([c for c in table.columns if c in wanted]), start=1):
        cell = row[uri]
        if not cell:
            raise ConfigError(
                f"collect.source: row {number} of {name} names nothing in column {uri!r}; "
                "expected a path or an s3:// address; fill it in or take the row out"
            )
        one, many = labels_of(row[label] if label else None, classes)
        size, stamp, etag = (cell_text(row.get(key)) for key in kept)
        yield _Row(
            storage.encode_uri(os.fsencode(cell)),
            json.dumps(many or [one]),
            cell_text(row[split]) if split else None,
            cell_text(row[caption]) if caption else None,
            int(size) if size and size.isdecimal() else None,
            stamp or (f"etag:{etag}" if etag else None),
        )


def _sorted(rows: Iterator[_Row], scratch: Path) -> Iterator[_Row]:
    """Yield rows by name, and in their first order where it repeats; SQLite sorts on disk."""
    database = sqlite3.connect(scratch, check_same_thread=False)  # a listing may change threads
    try:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("CREATE TABLE rows (uri, labels, split, caption, size, stamp)")
        database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", rows)
        yield from map(_Row._make, database.execute("SELECT * FROM rows ORDER BY uri, rowid"))
    finally:
        database.close()


def _fold(rows: Sequence[_Row]) -> _Row:
    labels = [label for row in rows for label in json.loads(row.labels)]
    return rows[0]._replace(labels=json.dumps(labels))


def _csv(file: BinaryIO) -> _Table:
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.DictReader(text)
    columns = list(reader.fieldnames or ())
    if any(map(is_picture, columns)):
        raise ConfigError(
            f"collect.source: the first line of a .csv got {', '.join(columns)!r}, expected the "
            "names of columns; put a line such as uri,label above it"
        )
    return _Table(columns, columns, lambda _: [], lambda _: reader)


def _parquet(file: BinaryIO) -> _Table:
    table = pq.ParquetFile(file)
    schema = table.schema_arrow

    def cells(columns: list[str]) -> Iterator[dict[str, Any]]:
        for batch in table.iter_batches(_CHUNK, columns=columns, use_threads=False):
            cells = [plain(batch.column(name)).to_pylist() for name in columns]
            yield from (dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True))

    texts = [
        f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)
    ]
    return _Table(schema.names, texts, lambda name: class_names(schema, name), cells)
