"""What is new, changed, relabelled, back or gone since the catalog was last brought up to date?"""

from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from clipbatch import schema
from clipbatch.index import ledger, table
from clipbatch.index.ledger import connection, slices

_KINDS: Final = """
create temp view changed as
with listing as (select distinct on (uri) * from listed),
joined as (
  select listing.*, old.uri as old_uri, old.size as old_size, old.stamp as old_stamp,
    old."offset" as old_offset, old.label as old_label, old.labels as old_labels,
    old.split as old_split, old.caption as old_caption, old.content_id, old.status, old.reason,
    old.message, old.attempts, old.first_run, old.changed_run as was, old.gone_run
  from listing full join old on listing.uri = old.uri
)
select *, case
    when uri is null then case when status = 'gone' then 'same' else 'gone' end
    when old_uri is null then 'new'
    when size != old_size or stamp != old_stamp then 'changed'
    when status = 'gone' then 'back'
    when status = 'bad' and ({retry_bad} or reason in ('vanished', 'changed', 'unreadable',
      'timed_out', 'damaged_container')) then 'retried'
    when label is distinct from old_label or labels is distinct from old_labels
      or split is distinct from old_split or caption is distinct from old_caption
      or "offset" is distinct from old_offset then 'relabelled'
    else 'same' end as change
from joined
"""

# The catalog row as it shall be. A gone picture keeps what was known of it.
_ROWS: Final = """
select coalesce(uri, old_uri) as uri,
  case when change = 'gone' then old_size else size end as size,
  case when change = 'gone' then old_stamp else stamp end as stamp,
  case when change = 'gone' then old_offset else "offset" end as "offset",
  case when change in ('new', 'changed', 'retried') then null else content_id end as content_id,
  case when change = 'gone' then old_label else label end as label,
  case when change = 'gone' then old_labels else labels end as labels,
  case when change = 'gone' then old_split else split end as split,
  case when change = 'gone' then old_caption else caption end as caption,
  case change when 'gone' then 'gone' when 'relabelled' then status else 'pending' end as status,
  case when change in ('gone', 'relabelled') then reason end as reason,
  case when change in ('gone', 'relabelled') then message end as message,
  case when change in ('new', 'changed') then 0 else attempts end::int as attempts,
  coalesce(first_run, $run) as first_run,
  $run as changed_run,
  case change when 'gone' then $run end as gone_run,
  change,
  was
from changed where change != 'same'
"""

# What each kind of change is about: another driver's word on the other columns stands. A new row
# is inserted whole.
_LISTED: Final = ("offset", "label", "labels", "split", "caption")
_OPENED: Final = ("content_id", "status", "reason", "message", "attempts")
_WRITES: Final = {
    "changed": ("size", "stamp", *_LISTED, *_OPENED, "gone_run"),
    "retried": (*_LISTED, *_OPENED, "gone_run"),
    "relabelled": _LISTED,
    "back": (*_LISTED, "status", "reason", "message", "gone_run"),
    "gone": ("status", "gone_run"),
}


def changes(
    database: str,
    listed: pa.RecordBatchReader,
    run_id: str,
    *,
    retry_bad: bool = False,
    version: int | None = None,
) -> Iterator[pa.Table]:
    """Compare a listing with the catalog; yields slices of the catalog rows that differ.

    Args:
        database: folder or prefix.
        listed: entries of the source.
        run_id: of this run.
        retry_bad: open bad pictures again.
        version: of the catalog before the listing began, so that a picture which another driver
            added meanwhile is not taken for gone; None for the latest.

    Yields:
        The catalog's columns, as they shall be; ``change``: new, changed (other bytes), retried
        (a failure that may have passed), relabelled, back (was gone, same stamp) or gone; and
        ``was``, the run that changed the row last.
    """
    columns = schema.CATALOG_SCHEMA.names
    catalog = table.batches(database, schema.CATALOG, columns, version=version)
    with connection() as db:
        db.register("listed", listed)
        db.register("catalog", catalog)
        db.execute("create temp table old as select * from catalog")
        db.execute(_KINDS.format(retry_bad=str(retry_bad).lower()))
        yield from slices(db, _ROWS, {"run": run_id})


def merge(database: str, rows: pa.Table, conflict_retries: int = 30) -> None:
    """Bring the catalog up to date with a slice of ``changes``.

    A row that another driver has changed since it was compared is left as that driver has it; the
    next night compares again. Merging a slice twice does what merging it once does.
    """
    kinds = rows.column("change").to_pylist()
    new = rows.filter(pa.array([kind == "new" for kind in kinds], pa.bool_()))
    table.merge(
        database,
        schema.CATALOG,
        new.select(schema.CATALOG_SCHEMA.names).cast(schema.CATALOG_SCHEMA),
        update=False,
        conflict_retries=conflict_retries,
    )
    for kind, columns in _WRITES.items():
        mine = rows.filter(pa.array([k == kind for k in kinds], pa.bool_()))
        if mine.num_rows:
            when = _unchanged(mine.select(["uri", "was"]).to_pylist())
            written = mine.select(["uri", *columns, "changed_run"])
            ledger.update(database, written, when, conflict_retries)


def _unchanged(rows: list[dict[str, str | None]]) -> str:
    """A row is as it was compared if the run that changed it last then did so to this day.

    Each row with its own run: one of the others may be at work still, and have changed it since.
    """
    uris: dict[str | None, list[str]] = {}
    for row in rows:
        uris.setdefault(row["was"], []).append(_quoted(row["uri"]))
    changed_by = {
        run: f"target.changed_run = {_quoted(run)}" if run else "target.changed_run is null"
        for run in uris
    }
    if len(uris) == 1:  # as on most nights after the first
        return next(iter(changed_by.values()))
    return " or ".join(
        f"({changed_by[run]} and source.uri in ({', '.join(names)}))" for run, names in uris.items()
    )


def _quoted(text: str | None) -> str:
    return "'" + (text or "").replace("'", "''") + "'"
