"""The pictures in a parquet file: opened once per process, read forwards, a bounded part held."""

import threading
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from clipbatch import storage
from clipbatch.collect.columns import image_column, plain
from clipbatch.config import CollectConfig
from clipbatch.errors import BadImage, ConfigError, Reason, Transient
from clipbatch.storage import Object

WHOLE_BYTES: Final = 128 << 20  # a row group of pictures up to this size is held whole
PART_BYTES: Final = 32 << 20  # of a larger one, about this much is held
DAMAGE: Final = (pa.ArrowException, OSError, UnicodeDecodeError)

# Small tasks follow one another in one worker and read the same row group: without this they
# would each unpack it again. One file per thread, and only while its stamp stays the same.
_KEPT = threading.local()


def rows_of(root: str, file: Object, config: CollectConfig) -> "Rows":
    """Open a parquet file, or take it as this thread left it.

    Raises:
        BadImage: it cannot be opened; every picture in it shares the reason.
    """
    key = (root, file, config.image)
    kept: Rows | None = getattr(_KEPT, "rows", None)
    if kept is not None and kept.key == key:
        return kept
    if kept is not None:
        _KEPT.rows = None
        kept.file.close()
    try:
        opened = storage.open_file(root, file.uri, config.timeout_s)
        _KEPT.rows = rows = Rows(key, opened, config.image)
    except FileNotFoundError as error:
        raise BadImage(Reason.VANISHED, "its parquet file is gone since it was listed") from error
    except Transient as error:
        raise _failed(error) from error
    except (*DAMAGE, ConfigError) as error:
        raise _damaged(error) from error
    return rows


class Rows:
    """The pictures of one file; only a step back unpacks a row group again."""

    def __init__(self, key: tuple[str, Object, str], file: BinaryIO, image: str) -> None:
        self.key, self.file = key, file
        self._table = pq.ParquetFile(file, buffer_size=1 << 20)
        self._column = image_column(self._table.schema_arrow, image)
        meta = self._table.metadata
        sizes = (meta.row_group(i).num_rows for i in range(meta.num_row_groups))
        self._starts = list(accumulate(sizes, initial=0))
        self._broken: dict[int, str] = {}  # row group -> what it raised
        self._group = -1
        self._first = 0  # row of the first picture held
        self.held: pa.Array = pa.array([])
        self._following: Iterator[pa.RecordBatch] = iter(())

    def get(self, row: int) -> bytes | None:
        """Return a row's bytes, or None for null.

        Raises:
            BadImage: there is no such row, its row group is damaged, or the store failed.
        """
        if not 0 <= row < self._starts[-1]:
            raise BadImage(Reason.CHANGED, "its parquet file has fewer rows than when listed")
        group = bisect_right(self._starts, row) - 1
        if group in self._broken:
            raise BadImage(Reason.DAMAGED_CONTAINER, self._broken[group])
        try:
            return self._get(group, row)
        except Transient as error:
            self._group = -1
            raise _failed(error) from error
        except (*DAMAGE, StopIteration) as error:
            self._group, damaged = -1, _damaged(error)
            self._broken[group] = damaged.message
            raise damaged from error

    def _get(self, group: int, row: int) -> bytes | None:
        if group != self._group or row < self._first:
            self._rewind(group)
        while row >= self._first + len(self.held):
            self._first += len(self.held)
            self.held = plain(next(self._following).column(0))
        cell = self.held[row - self._first].as_py()
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
        part = rows if size <= WHOLE_BYTES else max(1, rows * PART_BYTES // size)
        self._group, self._first, self.held = group, self._starts[group], pa.array([])
        self._following = self._table.iter_batches(
            part, row_groups=[group], columns=[self._column], use_threads=False
        )


def _damaged(error: Exception) -> BadImage:
    return BadImage(
        Reason.DAMAGED_CONTAINER, f"its parquet file cannot be read ({type(error).__name__})"
    )


def _failed(error: Transient) -> BadImage:
    reason = Reason.TIMED_OUT if "did not answer" in str(error) else Reason.UNREADABLE
    return BadImage(reason, "the store failed while its parquet file was read")
