"""Parquet files that hold the pictures' bytes in a column, as Hugging Face datasets do."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import pyarrow.parquet as pq

from clipbatch import storage
from clipbatch.collect.base import Entry, Place
from clipbatch.collect.columns import (
    cell_text,
    class_names,
    column,
    image_column,
    labels_of,
    plain,
)
from clipbatch.collect.paths import PathRules
from clipbatch.collect.places import containers, damaged
from clipbatch.collect.rows import DAMAGE, rows_of
from clipbatch.config import CollectConfig
from clipbatch.errors import BadImage, Reason
from clipbatch.storage import Object

_ROWS: Final = 8192  # of light columns, listed at a time
_WINDOW: Final = 256  # pictures that are put into the file's order at a time


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
        self.skipped = 0

    def entries(self) -> Iterator[Entry]:
        """List the rows of every file, in their order."""
        for file in self._containers.files(self._config.timeout_s):
            try:
                yield from self._file_entries(file)
            except DAMAGE:
                yield Entry(file.uri, -1, file.stamp)

    def read(self, places: Sequence[Place]) -> Iterator[bytes | BadImage]:
        """Read pictures; within windows of 256, in the order in which the files hold them."""
        remaining, files = iter(places), dict[str, Object | BadImage]()
        while window := list(islice(remaining, _WINDOW)):
            located = [_locate(place.uri) for place in window]
            answers: dict[int, bytes | BadImage] = {}
            following = 0
            for position in sorted(range(len(window)), key=located.__getitem__):
                uri, row = located[position]
                answers[position] = self._open(self._file(uri, files), row)
                while following in answers:
                    yield answers.pop(following)
                    following += 1

    def _file_entries(self, file: Object) -> Iterator[Entry]:
        split_of_path = self._rules.split(storage.uri_text(file.uri).split("/")[:-1], "")
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
                    split=cell_text(split) or split_of_path,
                    caption=cell_text(caption),
                )

    def _file(self, uri: str, known: dict[str, Object | BadImage]) -> Object | BadImage:
        """Ask for a file's stamp, once in a call of ``read``."""
        if uri not in known:
            try:
                known[uri] = storage.status(self._containers.root, uri, self._config.timeout_s)
            except BadImage as error:
                known[uri] = error.with_traceback(None)
        return known[uri]

    def _open(self, file: Object | BadImage, row: int) -> bytes | BadImage:
        if isinstance(file, BadImage):
            return file
        if row < 0:
            return damaged(
                self._containers.root,
                file.uri,
                self._config,
                "the parquet file is damaged; rows after that are lost",
            )
        try:
            data = rows_of(self._containers.root, file, self._config).get(row)
            if data is None:
                return BadImage(Reason.EMPTY, "the row holds no bytes")
            storage.refuse_large(len(data), self._config.max_bytes)
        except BadImage as error:
            return error.with_traceback(None)
        return data


def _cells(table: pq.ParquetFile, columns: Sequence[str | None]) -> Iterator[tuple[Any, ...]]:
    """Yield each row's cells, None where there is no column, some thousand rows at a time."""
    wanted = list(dict.fromkeys(name for name in columns if name))
    if not wanted:
        yield from ((None,) * len(columns) for _ in range(table.metadata.num_rows))
        return
    for batch in table.iter_batches(_ROWS, columns=wanted, use_threads=False):
        nothing = [None] * batch.num_rows
        yield from zip(
            *(plain(batch.column(name)).to_pylist() if name else nothing for name in columns),
            strict=True,
        )


def _locate(uri: str) -> tuple[str, int]:
    file, _, row = uri.partition("#")
    return file, int(row) if row else -1
