"""Questions to the catalog, answered in bounded memory.

DuckDB does the joins: it streams the Lance tables, keeps to a memory limit and spills to a
temporary folder, so the driver's memory does not grow with the collection.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import duckdb
import pyarrow as pa

from clipbatch import schema
from clipbatch.collect.base import Place
from clipbatch.index import table

MEMORY: Final = "1GB"
SLICE: Final = 20_000  # rows that the driver holds at a time


@contextmanager
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB that lives in memory up to a limit and in a temporary folder beyond it."""
    with tempfile.TemporaryDirectory(prefix="clipbatch-") as folder:
        connection = duckdb.connect(
            config={"memory_limit": MEMORY, "temp_directory": folder, "threads": 2}
        )
        try:
            yield connection
        finally:
            connection.close()


def slices(
    db: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any] | None = None
) -> Iterator[pa.Table]:
    """Yield a query's answer in tables of about SLICE rows."""
    reader = db.sql(query, params=values or None).to_arrow_reader(SLICE)
    waiting: list[pa.RecordBatch] = []
    for batch in reader:
        waiting.append(batch)
        if sum(b.num_rows for b in waiting) >= SLICE:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def unopened(database: str) -> Iterator[pa.Table]:
    """Yield slices of the catalog rows whose bytes have no content_id yet, in uri order."""
    rows = table.batches(
        database,
        schema.CATALOG,
        schema.CATALOG_SCHEMA.names,
        where=f"status = '{schema.PENDING}' and content_id is null",
    )
    with connection() as db:
        db.register("rows", rows)
        yield from slices(db, "select * from rows order by uri")


def gone(database: str, last: str) -> Iterator[list[str]]:
    """Yield slices of the contents whose every image was gone when a run ended, in order.

    Args:
        database: folder or prefix.
        last: run_id.
    """
    columns = ["content_id", "status", "gone_run"]
    rows = table.batches(database, schema.CATALOG, columns, where="content_id is not null")
    with connection() as db:
        db.register("rows", rows)
        query = (
            f"select content_id from rows group by content_id having bool_and(status = "
            f"'{schema.GONE}' and gone_run is not null and gone_run <= $last) order by content_id"
        )
        for part in slices(db, query, {"last": last}):
            yield part.column("content_id").to_pylist()


def update(database: str, rows: pa.Table, when: str, conflict_retries: int = 30) -> None:
    """Change some columns of catalog rows, those that still are as ``when`` says.

    Another driver may have marked a row changed or gone since it was read. So a write touches the
    columns that it is about and no others, and leaves a row alone that is not the one it means.

    Args:
        database: folder or prefix.
        rows: uri, and columns of the catalog.
        when: SQL over ``target`` (the row as it is at the commit) and ``source``.
        conflict_retries: how often Lance retries against other writers.
    """
    columns = [schema.CATALOG_SCHEMA.field(name) for name in rows.column_names]
    table.merge(
        database,
        schema.CATALOG,
        rows.cast(pa.schema(columns)),
        update=True,
        insert=False,
        when=when,
        conflict_retries=conflict_retries,
    )


def images(database: str, uris: list[str]) -> list[dict[str, Any]]:
    """Return the catalog rows of some uris."""
    rows = table.batches(database, schema.CATALOG, schema.CATALOG_SCHEMA.names)
    with connection() as db:
        db.register("rows", rows)
        db.register("asked", pa.table({"uri": pa.array(uris, pa.string())}))
        found: list[dict[str, Any]] = (
            db.sql("select rows.* from rows semi join asked using (uri)")
            .to_arrow_table()
            .to_pylist()
        )
    return found


def places(database: str, content_ids: list[str]) -> dict[str, Place]:
    """Return where each content can be opened: the smallest uri that holds it, in uri order."""
    rows = table.batches(
        database,
        schema.CATALOG,
        ["uri", "size", "offset", "content_id"],
        where=f"status = '{schema.OK}'",
    )
    with connection() as db:
        db.register("rows", rows)
        db.register("asked", pa.table({"content_id": pa.array(content_ids, pa.string())}))
        found = db.sql(
            'select content_id, min(uri), arg_min(size, uri), arg_min("offset", uri) '
            "from rows semi join asked using (content_id) group by content_id order by 2"
        ).fetchall()
    return {content: Place(uri, size, offset) for content, uri, size, offset in found}


def statuses(database: str, version: int | None = None) -> dict[str, int]:
    """Count the catalog's rows by status, and bad ones by "bad:<reason>"."""
    rows = table.batches(database, schema.CATALOG, ["status", "reason"], version=version)
    with connection() as db:
        db.register("rows", rows)
        counted = db.execute(
            "select status, case when status = 'bad' then reason end, count(*) "
            "from rows group by all"
        ).fetchall()
    totals: dict[str, int] = {}
    for status, reason, count in counted:
        totals[status] = totals.get(status, 0) + count
        if status == schema.BAD:
            totals[f"bad:{reason}"] = count
    return totals
