"""Which vectors does a run want, which are missing, and which pictures are thereby decided?

The vectors table's own key column is the only ledger: no checkpoint, no done-marker beside it.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import duckdb
import pyarrow as pa

from clipbatch import schema
from clipbatch.index import table
from clipbatch.index.ledger import connection, slices

# A row that another driver has marked gone or changed since is not the one that was decided.
SETTLED_WHEN: Final = (
    "target.content_id = source.content_id and (target.status = 'pending' "
    "or (target.status = 'ok' and source.status = 'bad'))"
)


class Wanted:
    """Which (content, variant) pairs a run wants, and from which tables they come.

    Attributes:
        database: folder or prefix.
        tables: variant -> name of the vectors table that holds it; clean is 0.
        noise_all_below: contents up to which every content gets noise.
        noise_per_class: above it, this many contents a class.
        seed: of the collection.
        versions: table name -> version to look at; the latest where it is not named.
    """

    def __init__(
        self,
        database: str,
        tables: dict[int, str],
        noise: tuple[int, int],
        seed: int,
        versions: Mapping[str, int] | None = None,
    ) -> None:
        self.versions = versions or {}
        self.database = database
        self.tables = tables
        self.noise_all_below, self.noise_per_class = noise
        self.seed = seed

    def _wanted(self, db: duckdb.DuckDBPyConnection) -> None:
        catalog = self._batches(
            schema.CATALOG,
            ["uri", "size", "offset", "content_id", "label", "status"],
            "content_id is not null and status in ('pending', 'ok')",
        )
        facts = self._batches(schema.CONTENTS, ["content_id", "status"])
        db.register("catalog", catalog)
        db.register("facts_reader", facts)
        db.execute("create temp table facts as select * from facts_reader")
        db.execute(
            "create temp table content as select content_id, min(uri) as uri, "
            'arg_min(size, uri) as size, arg_min("offset", uri) as "offset", min(label) as label '
            "from catalog anti join (select content_id from facts where status = 'bad') "
            "using (content_id) group by content_id"
        )
        db.execute(
            "create temp table wanted as with counted as (select count(*) as n from content), "
            "ranked as (select content_id, row_number() over (partition by label order by "
            f"md5('{self.seed}:noise:' || content_id), content_id) as place from content) "
            f"select content_id, {schema.CLEAN}::int as variant from content union all "
            "select content_id, unnest($levels::int[]) as variant from ranked, counted "
            f"where n <= {self.noise_all_below} or place <= {self.noise_per_class}",
            {"levels": [v for v in self.tables if v != schema.CLEAN]},
        )

    def _have(self, db: duckdb.DuckDBPyConnection) -> None:
        db.execute("create temp table have (content_id varchar, variant int)")
        for name in sorted(set(self.tables.values())):
            mine = [v for v, t in self.tables.items() if t == name]
            where = f"variant in ({', '.join(map(str, mine))})"
            keys = self._batches(name, ["content_id", "variant"], where)
            db.register("keys", keys)
            db.execute("insert into have select content_id, variant from keys")
            db.unregister("keys")

    def _batches(
        self, name: str, columns: list[str], where: str | None = None
    ) -> pa.RecordBatchReader:
        version = self.versions.get(name)
        return table.batches(self.database, name, columns, where=where, version=version)

    def keys(self) -> pa.Table:
        """Return the wanted keys that exist: content_id, variant."""
        with connection() as db:
            self._wanted(db)
            self._have(db)
            found: pa.Table = db.sql(
                "select content_id, variant from wanted semi join have using (content_id, variant)"
            ).to_arrow_table()
        return found

    def missing(self) -> Iterator[pa.Table]:
        """Yield slices of what is to do, in uri order.

        Columns: content_id, uri, size, offset (of the smallest uri that holds it) and
        ``variants``, those that do not exist; empty where only the facts of the decode are missing.
        """
        with connection() as db:
            self._wanted(db)
            self._have(db)
            yield from slices(
                db,
                "with todo as (select content_id, list_sort(list(variant)) as variants "
                "from wanted anti join have using (content_id, variant) group by content_id) "
                'select content_id, uri, size, "offset", coalesce(variants, []) as variants '
                "from content left join todo using (content_id) left join facts using (content_id) "
                "where variants is not null or status is null order by uri",
            )

    def counts(self) -> dict[str, int]:
        """Count pairs (content, variant): wanted, missing, repeated, unwanted; and contents."""
        with connection() as db:
            self._wanted(db)
            self._have(db)
            one = db.execute(
                "select (select count(*) from wanted), "
                "(select count(*) from wanted anti join have using (content_id, variant)), "
                "(select count(*) from (select 1 from have group by content_id, variant "
                "having count(*) > 1)), "
                "(select count(*) from have anti join wanted using (content_id, variant)), "
                "(select count(*) from content)"
            ).fetchone()
        assert one is not None
        names = ("wanted", "missing", "repeated", "unwanted", "contents")
        return dict(zip(names, one, strict=True))

    def settled(self) -> Iterator[pa.Table]:
        """Yield slices of catalog rows whose content is decided otherwise than they say.

        A content is decided when its contents row exists and, where it is ok, every wanted variant
        does. A content that was ok and is refused now takes its images with it. Columns: uri and
        content_id, and status, reason and message as they shall be; merge under SETTLED_WHEN.
        """
        standing = table.batches(
            self.database,
            schema.CATALOG,
            ["uri", "content_id", "status"],
            where="status in ('pending', 'ok') and content_id is not null",
        )
        decided = table.batches(
            self.database, schema.CONTENTS, ["content_id", "status", "reason", "message"]
        )
        with connection() as db:
            self._wanted(db)
            self._have(db)
            db.register("rows", standing)
            db.register("decided", decided)
            yield from slices(
                db,
                "with open as (select distinct content_id from wanted "
                "anti join have using (content_id, variant)) "
                "select rows.uri, content_id, decided.status, decided.reason, decided.message "
                "from rows join decided using (content_id) "
                "where decided.status = 'bad' or (rows.status = 'pending' "
                "and content_id not in (select content_id from open))",
            )
