"""What is different from the last committed run? The tables tell, whatever crashed between."""

from typing import Final

from clipbatch import schema
from clipbatch.index import table
from clipbatch.index.ledger import connection

_COLUMNS: Final = ["uri", "content_id", "label", "labels", "split", "caption", "status"]

_COUNTS: Final = """
with rows_of_two as (
  select now.uri as uri, old.uri as before, now.content_id as content_id,
    old.content_id as old_content_id, now.status as status,
    coalesce(old.status, 'gone') as old_status,
    now.label is distinct from old.label or now.labels is distinct from old.labels
      or now.split is distinct from old.split or now.caption is distinct from old.caption as other
  from now left join old using (uri)
),
gone as (select * from rows_of_two where status = 'gone' and old_status != 'gone')
select
  count(*) filter (status != 'gone' and before is null),
  count(*) filter (status != 'gone' and before is not null and old_status = 'gone'),
  count(*) filter (status != 'gone' and old_status != 'gone'
    and content_id is distinct from old_content_id),
  count(*) filter (status != 'gone' and old_status != 'gone' and other
    and content_id is not distinct from old_content_id),
  (select count(*) from gone),
  count(*) filter (status != 'gone' and before is null
    and content_id in (select old_content_id from gone))
from rows_of_two
"""


def since(database: str, version: int, before: int | None) -> dict[str, int]:
    """Count images by what happened to them between two versions of the catalog.

    Args:
        database: folder or prefix.
        version: of the catalog now.
        before: of the catalog of the last committed run; None where there is none.

    Returns:
        new, back, changed (other bytes), relabelled (label, split or caption), gone, and renamed
        (new with the content of a gone one; counted among both).
    """
    with connection() as db:
        for name, which in (("now", version), ("old", before)):
            where = "false" if which is None else None
            rows = table.batches(
                database, schema.CATALOG, _COLUMNS, where=where, version=which or version
            )
            db.register("rows", rows)
            db.execute(f"create temp table {name} as select * from rows")
            db.unregister("rows")
        (found,) = db.sql(_COUNTS).fetchall()
    names = ("new", "back", "changed", "relabelled", "gone", "renamed")
    return dict(zip(names, map(int, found), strict=True))
