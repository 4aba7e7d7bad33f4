"""Create, open, merge and tag one Lance table, in the ways that were seen to lose nothing.

Every write is a merge on the declared primary key: repeated after any error, an unknown commit
result included, it neither loses nor repeats a row. Appends and indexes on keys are never used.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import lance
import pyarrow as pa
import pyarrow.compute as pc

from clipbatch import schema, storage
from clipbatch.errors import ClipbatchError, ConfigError, ContractBroken, Transient
from clipbatch.index import founding
from clipbatch.index.failures import is_absent, retry, short, told

FIRST: Final = 1  # the version that creates a table; it is empty
_VERSION_KEY: Final = "clipbatch.schema"
_PINNED_KEY: Final = "clipbatch."


def path(database: str, name: str) -> str:
    """Return where LanceDB keeps a table."""
    return f"{database.rstrip('/')}/{name}.lance"


def exists(database: str, name: str) -> bool:
    """Tell whether a table is there."""
    try:
        lance.dataset(path(database, name))
    except (ValueError, OSError) as error:
        if is_absent(error):
            return False
        raise _unreachable(database, name, error) from error
    return True


def latest(database: str, name: str) -> int | None:
    """Return the version of a table now; None where there is no table."""
    return int(open_table(database, name).version) if exists(database, name) else None


def _unreachable(database: str, name: str, error: Exception) -> ClipbatchError:
    where = storage.redact(path(database, name))
    return told(f"{where}: reading it", error) or Transient(
        f"{where}: cannot be read ({short(error)}); see to the store, then run the same command "
        "again"
    )


def create(
    database: str, name: str, table_schema: pa.Schema, pinned: Mapping[str, str] | None = None
) -> None:
    """Create an empty table unless it is there; then it must be the same kind of table.

    Args:
        database: folder or prefix.
        name: of the table.
        table_schema: its columns.
        pinned: facts that belong to the table for good (seed, batch shape, noise). Only the first
            creator's count: read them back with ``pinned``.

    Raises:
        ConfigError: the table there has another schema or schema version.
    """
    facts = {_VERSION_KEY: schema.VERSION} | {
        _PINNED_KEY + key: value for key, value in (pinned or {}).items()
    }
    wanted = table_schema.with_metadata(facts)
    where = path(database, name)

    def attempt() -> None:
        if exists(database, name):  # another driver was quicker, or the answer was lost
            return
        if not founding.has_data(where):
            founding.found(where, wanted)
        # A manifest is there before data is: another driver's table shows at a second look.
        elif not exists(database, name):
            raise founding.remains(where)

    retry(attempt, f"{storage.redact(where)}: creating the table")
    check(database, name, wanted)


def check(database: str, name: str, wanted: pa.Schema) -> None:
    """Make sure that a table has the columns that are expected.

    Raises:
        ConfigError: it has others.
    """
    there = open_table(database, name).schema
    if not there.equals(wanted, check_metadata=False):
        raise ConfigError(
            f"{storage.redact(path(database, name))}: got columns {_columns(there)}, expected "
            f"{_columns(wanted)}; name another index.database, or set embed.dtype as the table "
            "has it"
        )


def _columns(columns: pa.Schema) -> str:
    return ", ".join(f"{f.name} {f.type}" for f in columns)


def open_table(database: str, name: str, version: int | None = None) -> Any:
    """Open a table afresh: a stale handle merges against a stale version.

    Raises:
        ConfigError: there is no such table, or another clipbatch wrote it.
        Transient: the store failed.
    """
    try:
        found = lance.dataset(path(database, name), version=version)
    except (ValueError, OSError) as error:
        if not is_absent(error):
            raise _unreachable(database, name, error) from error
        raise ConfigError(
            f"{storage.redact(path(database, name))}: no such table (version "
            f"{version or 'latest'}); run `clipbatch audit` first, or check index.database"
        ) from error
    _check_version(database, name, found.schema.metadata or {})
    if "extension<" in str(found.schema):  # where ray.data is imported, some are unpickled on sight
        raise ConfigError(
            f"{storage.redact(path(database, name))}: got columns {_columns(found.schema)}, "
            "expected plain types; clipbatch did not write this table: name another index.database"
        )
    return found


def _check_version(database: str, name: str, metadata: Mapping[bytes, bytes]) -> None:
    got = metadata.get(_VERSION_KEY.encode(), b"none").decode()
    if got != schema.VERSION:
        raise ConfigError(
            f"{storage.redact(path(database, name))}: got schema version {got}, expected "
            f"{schema.VERSION}; open it with the clipbatch that wrote it, or name another "
            "index.database"
        )


def pinned(database: str, name: str) -> dict[str, str]:
    """Return the facts that the table was created with."""
    metadata = open_table(database, name).schema.metadata or {}
    texts = {key.decode(): value.decode() for key, value in metadata.items()}
    return {
        key.removeprefix(_PINNED_KEY): value
        for key, value in texts.items()
        if key.startswith(_PINNED_KEY)
    }


def keys(table_schema: pa.Schema) -> list[str]:
    """Return the primary key's columns, in order."""
    position = b"lance-schema:unenforced-primary-key:position"
    marked = [f for f in table_schema if position in (f.metadata or {})]
    return [f.name for f in sorted(marked, key=lambda f: int(f.metadata[position]))]


def merge(
    database: str,
    name: str,
    rows: pa.Table,
    *,
    update: bool,
    insert: bool = True,
    when: str | None = None,
    conflict_retries: int = 30,
) -> int:
    """Put rows into a table, each key once; returns how many rows are new.

    Args:
        database: folder or prefix.
        name: of the table.
        rows: with the table's columns; a key may not repeat. Where nothing is inserted, the key
            and some of the columns do: the others stay as they are.
        update: whether rows whose key is there are replaced; else they stay as they are.
        insert: whether rows whose key is not there are added.
        when: SQL over ``target`` and ``source`` that a row must meet to be replaced. It is asked
            of the row as it is at the commit, whoever else writes: a compare-and-swap a row.
        conflict_retries: how often Lance retries against other writers.

    Raises:
        ContractBroken: a key repeats within ``rows`` (Lance would insert both).
        Transient: the merge failed several times, or the disk is full.
    """
    if rows.num_rows == 0:
        return 0
    key = keys(open_table(database, name).schema)
    distinct = rows.select(key).group_by(key).aggregate([]).num_rows
    if distinct != rows.num_rows:
        raise ContractBroken(
            f"{name}: got {rows.num_rows} rows with {distinct} distinct keys to merge, "
            "expected each key once; please report this"
        )

    def attempt() -> int:
        builder = open_table(database, name).merge_insert(key)
        if update:
            builder = builder.when_matched_update_all(when)
        if insert:
            builder = builder.when_not_matched_insert_all()
        result = builder.use_index(False).conflict_retries(conflict_retries).execute(rows)
        return int(result["num_inserted_rows"])

    return retry(attempt, f"{storage.redact(database)}: merging {rows.num_rows} rows into {name}")


def tag(database: str, name: str, label: str, version: int) -> int:
    """Name one version of a table, unless the name is taken; returns the version it names."""

    def attempt() -> int:
        dataset = open_table(database, name)
        if label not in dataset.tags.list():
            dataset.tags.create(label, version)
        return int(dataset.tags.list()[label]["version"])

    return retry(attempt, f"{storage.redact(database)}: tagging {name}")


def batches(
    database: str,
    name: str,
    columns: Sequence[str],
    *,
    where: str | None = None,
    version: int | None = None,
) -> pa.RecordBatchReader:
    """Stream some columns of a table."""
    dataset = open_table(database, name, version)
    reader: pa.RecordBatchReader = dataset.scanner(columns=list(columns), filter=where).to_reader()
    return reader


def sort(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Order rows by some columns, ascending."""
    return rows.take(pc.sort_indices(rows, sort_keys=[(c, "ascending") for c in columns]))
