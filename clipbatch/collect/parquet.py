"""Parquet files that hold the pictures' bytes in a column, as Hugging Face datasets do."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from clipbatch import storage
from clipbatch.collect.base import Entry, Place
from clipbatch.collect.columns import class_names, column, labels_of, picture_column, text_of
from clipbatch.collect.paths import PathRules
from clipbatch.collect.places import containers
from clipbatch.config import CollectConfig
from clipbatch.errors import BadImage, ConfigError, Reason, Transient
from clipbatch.storage import Object

_ROWS: Final = 8192  # of light columns, listed at a time
_WHOLE: Final = 256 << 20  # a row group of pictures up to this many bytes is held whole
_PART: Final = 32 << 20  # of a larger one, about this many bytes are held
_WINDOW: Final = 256  # pictures that are put into the file's order at a time
_USUAL: Final = (
    *("image", "img", "picture", "photo", "image_data", "image_bytes", "bytes"),
    *("jpg", "jpeg", "png", "webp", "data", "content"),
)
_DAMAGE: Final = (pa.ArrowException, OSError, ValueError)


class Parquet:
    """One parquet file, a folder of them, or a pattern; an image is ``file.parquet#row``.

    Listing reads only the columns of labels, splits and captions. Reading holds one row group,
    or a part of it where it is large.

    Attributes:
        skipped: 0; every row is a picture.

    Raises:
        ConfigError: the source does not exist.
    """

    def __init__(self, config: CollectConfig) -> None:
        self._config = config
        self._containers = containers(config.source, (".parquet", ".pq"), config.timeout_s)
        self._rules = PathRules("none", "auto" if config.split == "auto" else "none")
        self._rows: _Rows | None = None
        self.skipped = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_rows": None}  # an open file does not travel

    def entries(self) -> Iterator[Entry]:
        """List the rows of every file, in their order."""
        for file in self._containers.files(self._config.timeout_s):
            try:
                yield from self._file_entries(file)
            except _DAMAGE:
                yield Entry(file.uri, -1, file.stamp)

    def read(self, places: Sequence[Place]) -> Iterator[bytes | BadImage]:
        """Read pictures; within windows of 256, in the order in which the files hold them."""
        remaining = iter(places)
        while window := list(islice(remaining, _WINDOW)):
            located = [_locate(place.uri) for place in window]
            answers: dict[int, bytes | BadImage] = {}
            following = 0
            for position in sorted(range(len(window)), key=located.__getitem__):
                answers[position] = self._open(*located[position])
                while following in answers:
                    yield answers.pop(following)
                    following += 1

    def _file_entries(self, file: Object) -> Iterator[Entry]:
        split_of_path = self._rules.split(storage.text_of(file.uri).split("/")[:-1], "")
        root, timeout_s = self._containers.root, self._config.timeout_s
        with storage.open_file(root, file.uri, timeout_s) as opened:
            table = pq.ParquetFile(opened)
            schema = table.schema_arrow
            image_column(schema, self._config.image)
            told = [
                column(key, getattr(self._config, key), schema.names, key)
                for key in ("label", "split", "caption")
            ]
            names = class_names(schema, told[0])
            for row, (label, split, caption) in enumerate(_cells(table, told)):
                one, many = labels_of(label, names)
                yield Entry(
                    f"{file.uri}#{row}",
                    -1,
                    file.stamp,
                    label=one,
                    labels=many,
                    split=text_of(split) or split_of_path,
                    caption=text_of(caption),
                )

    def _open(self, uri: str, row: int) -> bytes | BadImage:
        try:
            data = self._rows_of(uri).get(row)
        except FileNotFoundError:
            return BadImage(Reason.VANISHED, "its parquet file is gone since it was listed")
        except Transient as error:
            self._close()
            late = "did not answer" in str(error)
            return BadImage(
                Reason.TIMED_OUT if late else Reason.UNREADABLE,
                "the store failed while its parquet file was read",
            )
        except IndexError:
            return BadImage(Reason.CHANGED, "its parquet file has fewer rows than when listed")
        except (*_DAMAGE, ConfigError) as error:
            self._close()
            return BadImage(
                Reason.DAMAGED_CONTAINER, f"its parquet file cannot be read: {type(error).__name__}"
            )
        if data is None:
            return BadImage(Reason.EMPTY, "the row holds no bytes")
        try:
            storage.refuse_large(len(data), self._config.max_bytes)
        except BadImage as error:
            return error.with_traceback(None)
        return data

    def _rows_of(self, uri: str) -> "_Rows":
        if self._rows is None or self._rows.uri != uri:
            self._close()
            self._rows = _Rows(self._containers.root, uri, self._config)
        return self._rows

    def _close(self) -> None:
        if self._rows is not None:
            self._rows.file.close()
            self._rows = None


class _Rows:
    """The pictures of one file, read forwards; only a step back reads a row group again."""

    def __init__(self, root: str, uri: str, config: CollectConfig) -> None:
        self.uri = uri
        self.file = storage.open_file(root, uri, config.timeout_s)
        self._table = pq.ParquetFile(self.file, buffer_size=1 << 20)
        self._column = image_column(self._table.schema_arrow, config.image)
        meta = self._table.metadata
        sizes = (meta.row_group(i).num_rows for i in range(meta.num_row_groups))
        self._starts = list(accumulate(sizes, initial=0))
        self._group = -1
        self._first = 0  # row of the first picture in _held
        self._held: pa.Array = pa.array([])
        self._following: Iterator[pa.RecordBatch] = iter(())

    def get(self, row: int) -> bytes | None:
        """Return a row's bytes, or None for null.

        Raises:
            IndexError: there is no such row.
        """
        if not 0 <= row < self._starts[-1]:
            raise IndexError(row)
        group = bisect_right(self._starts, row) - 1
        if group != self._group or row < self._first:
            self._rewind(group)
        while row >= self._first + len(self._held):
            self._first += len(self._held)
            self._held = next(self._following).column(0)
        cell = self._held[row - self._first].as_py()
        data: bytes | None = cell["bytes"] if isinstance(cell, dict) else cell
        return data

    def _rewind(self, group: int) -> None:
        rows = self._starts[group + 1] - self._starts[group]
        chunks = self._table.metadata.row_group(group)
        columns = (chunks.column(i) for i in range(chunks.num_columns))
        size = sum(
            c.total_uncompressed_size
            for c in columns
            if c.path_in_schema.split(".")[0] == self._column
        )
        part = rows if size <= _WHOLE else max(1, rows * _PART // size)
        self._group, self._first, self._held = group, self._starts[group], pa.array([])
        self._following = self._table.iter_batches(
            part, row_groups=[group], columns=[self._column], use_threads=False
        )


def image_column(schema: pa.Schema, wanted: str) -> str:
    """Return the column of pictures: binary, or a struct with a binary field ``bytes``.

    Raises:
        ConfigError: there is none, it holds no bytes, or the choice is not clear.
    """
    candidates = [field.name for field in schema if _holds_bytes(field.type)]
    return picture_column(wanted, _USUAL, candidates, schema.names)


def holds_pictures(schema: pa.Schema, wanted: str) -> bool:
    """Say whether a file holds the pictures themselves, rather than their names."""
    names = schema.names if wanted not in schema.names else [wanted]
    return any(_holds_bytes(schema.field(name).type) for name in names)


def _holds_bytes(kind: pa.DataType) -> bool:
    """Say whether cells of a type can be pictures."""
    if pa.types.is_struct(kind):
        position = kind.get_field_index("bytes")
        return position >= 0 and _holds_bytes(kind.field(position).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _cells(table: pq.ParquetFile, columns: Sequence[str | None]) -> Iterator[tuple[Any, ...]]:
    """Yield each row's cells, None where there is no column, some thousand rows at a time."""
    wanted = list(dict.fromkeys(name for name in columns if name))
    if not wanted:
        yield from ((None,) * len(columns) for _ in range(table.metadata.num_rows))
        return
    for batch in table.iter_batches(_ROWS, columns=wanted, use_threads=False):
        nothing = [None] * batch.num_rows
        yield from zip(
            *(batch.column(name).to_pylist() if name else nothing for name in columns), strict=True
        )


def _locate(uri: str) -> tuple[str, int]:
    file, _, row = uri.partition("#")
    return file, int(row) if row else -1
