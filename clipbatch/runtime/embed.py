"""Catalog to vectors: what is missing, through Ray, merged as it arrives, until none is left."""

import time
from collections.abc import Generator
from contextlib import closing
from typing import Any, Final

import pyarrow as pa

from clipbatch import embed as encoders
from clipbatch import schema
from clipbatch.collect import open_source
from clipbatch.config import Config
from clipbatch.embed.encoder import EncoderSpec
from clipbatch.errors import Incomplete
from clipbatch.index import ledger, stores, table
from clipbatch.index.wanted import SETTLED_WHEN
from clipbatch.progress import Progress, say
from clipbatch.runtime.actor import Embedder, vector_rows
from clipbatch.runtime.collect import failed
from clipbatch.runtime.decode import UNREAD, decode_block
from clipbatch.runtime.isolate import Stages, isolate
from clipbatch.runtime.placement import Placement, place
from clipbatch.runtime.session import Session, nodes
from clipbatch.runtime.spec import spec_of
from clipbatch.runtime.stream import Actor, stream

MERGE_ROWS: Final = 5_000
MERGE_SHARE: Final = 0.02  # of the table: merging then stays a small share of the time
MERGE_BYTES: Final = 512 * 1024 * 1024
MERGE_S: Final = 30.0  # a crash loses at most this much encoding
BLOCK: Final = 32  # pictures a task decodes, at least
ISOLATE: Final = 4 * BLOCK  # so few that each can be tried alone
UNREAD_ROWS: Final = pa.schema(
    [
        schema.CATALOG_SCHEMA.field(name)
        for name in ("uri", "content_id", "status", "reason", "message", "attempts")
    ]
)
UNREAD_WHEN: Final = "target.content_id = source.content_id and target.status in ('pending', 'ok')"


def embed(config: Config, session: Session, run_id: str) -> dict[str, Any]:
    """Embed every wanted (content, variant) that the tables lack.

    Returns:
        Counts: decoded, embedded_rows, and facts for the run row.

    Raises:
        ConfigError: the encoder's weights are not to be had.
        Incomplete: after all passes something is still missing.
    """
    spec = spec_of(config)
    work = _Work(config, session, run_id, spec)
    for _ in range(config.embed.max_passes):
        if not work.one_pass():
            return work.counts()
    if any(True for _ in work.wanted.missing()):
        raise Incomplete(
            f"vectors are missing after {config.embed.max_passes} passes; "
            "run the same command again to go on from here"
        )
    return work.counts()


class _Work:
    """One run's embedding: what is known of the tables, and what was done so far."""

    def __init__(self, config: Config, session: Session, run_id: str, spec: EncoderSpec) -> None:
        self.config, self.session, self.run_id, self.spec = config, session, run_id, spec
        self.source = open_source(config.collect)
        table.open_table(config.index.database, schema.CATALOG)  # or say that collect comes first
        self.stores = stores.find(config, spec) or self._first()
        self.stores.ensure(config, spec)
        self.wanted = self.stores.wanted(config)
        self.decoded = self.rows = 0
        self.seconds = 0.0
        self.progress: Progress | None = None

    def _first(self) -> stores.Stores:
        """Probe the batch shape where the work will be done, and create the tables."""
        self.session.ensure()
        where = place(self.config.embed, nodes())
        batch_size = self.config.embed.batch_size or _probe(self.config, where)
        say("embed", f"{self.spec.slug}: batches of {batch_size}, {where.threads} threads")
        shape = stores.Shape(batch_size, where.threads)
        stores.create(self.config, self.spec, schema.vectors_table(self.spec.slug), shape)
        found = stores.find(self.config, self.spec)
        assert found is not None
        return found

    def counts(self) -> dict[str, Any]:
        """Return what was done, for the run row."""
        return {
            "decoded": self.decoded,
            "embedded_rows": self.rows,
            "embed_seconds": round(self.seconds, 3),
            "variant_tables": {str(v): name for v, name in self.stores.tables.items()},
        }

    def one_pass(self) -> bool:
        """Do what is missing now; tells whether there was anything."""
        any_work = False
        for todo in self.wanted.missing():
            any_work = True
            self.session.ensure()
            self._slice(todo)
        for rows in self.wanted.settled():
            ledger.update(
                self.config.index.database,
                rows,
                SETTLED_WHEN,
                self.config.index.conflict_retries,
            )
        if self.progress is not None:
            self.progress.close()
            self.progress = None
        return any_work

    def _slice(self, todo: pa.Table, *, again: bool = True) -> None:
        """Embed some rows; where workers die, ever fewer at a time, and at last one by one."""
        progress = self.progress = self.progress or Progress("embed", "pictures", 0)
        progress.total = (progress.total or 0) + todo.num_rows
        attempt = _Attempt(self, todo)
        try:
            attempt.run()
        except Incomplete as error:
            left = attempt.left()
            progress.total -= left.num_rows
            say("embed", f"{error}; {left.num_rows} pictures are tried again")
            if again:
                self._slice(left, again=False)
            elif left.num_rows <= ISOLATE:
                self._alone(left)
            else:
                size = max(ISOLATE, left.num_rows // 8)
                for start in range(0, left.num_rows, size):
                    self._slice(left.slice(start, size), again=False)

    def _alone(self, todo: pa.Table) -> None:
        """Embed some rows one by one; what is left after a lost node is for the next pass."""
        assert self.progress is not None
        self.progress.total = (self.progress.total or 0) + todo.num_rows
        try:
            _Attempt(self, todo).alone()
        except Incomplete as error:
            say("embed", f"{error}; the next pass goes on from here")

    def merge(self, name: str, rows: pa.Table, *, update: bool) -> int:
        retries = self.config.index.conflict_retries
        return table.merge(
            self.config.index.database, name, rows, update=update, conflict_retries=retries
        )


class _Attempt:
    """One stream over some rows, merged in the order vectors, contents, catalog."""

    def __init__(self, work: _Work, todo: pa.Table) -> None:
        self.work, self.todo = work, todo
        self.done: set[str] = set()
        self.waiting: list[pa.Table] = []
        self.merged = time.monotonic()
        rows = table.open_table(
            work.config.index.database, work.stores.tables[schema.CLEAN]
        ).count_rows()
        self.merge_rows = work.config.embed.merge_rows or max(MERGE_ROWS, int(rows * MERGE_SHARE))

    def left(self) -> pa.Table:
        """Return the rows that were not merged."""
        keep = [c not in self.done for c in self.todo.column("content_id").to_pylist()]
        return self.todo.filter(pa.array(keep, pa.bool_()))

    def run(self) -> None:
        """Stream the rows through tasks and actors."""
        size = self.work.stores.shape.batch_size
        rows = size * -(-BLOCK // size)
        blocks = [self.todo.slice(i, rows) for i in range(0, self.todo.num_rows, rows)]
        stages = self._stages(len(blocks))
        self._merge(stream(blocks, stages.function, stages.settings, stages.actor))

    def alone(self) -> None:
        """Try the rows one by one; each is embedded or, where it kills its worker, a bad row."""
        work = self.work
        self._merge(isolate(work.config, self.todo, self._stages(1), work.run_id))

    def _stages(self, blocks: int) -> Stages:
        work, config = self.work, self.work.config
        shape = work.stores.shape
        where = place(config.embed, nodes(), shape.threads)
        actor = Actor(
            Embedder,
            {
                "config": config.embed,
                "spec": work.spec,
                "noise": stores.noise_settings(config),
                "batch_size": shape.batch_size,
                "threads": where.threads,
            },
            min(where.count, blocks),
            where.num_cpus,
            where.num_gpus,
        )
        settings = {
            "source": work.source,
            "preprocess": work.spec.preprocess,
            "max_pixels": config.collect.max_pixels,
        }
        return Stages(decode_block, settings, actor)

    def _merge(self, embedded: Generator[pa.Table]) -> None:
        """Merge blocks as they arrive; after a failure, those that came before it as well."""
        started = time.monotonic()
        try:
            # Closed while Ray is there: what is interrupted leaves no thread of Ray Data at work.
            with closing(embedded):
                for block in embedded:
                    self._take(block)
        finally:
            self._flush()
            self.work.seconds += time.monotonic() - started

    def _take(self, block: pa.Table) -> None:
        self.waiting.append(block)
        assert self.work.progress is not None
        self.work.progress.add(block.num_rows)
        held = sum(b.num_rows for b in self.waiting) * len(self.work.stores.tables)
        late = time.monotonic() - self.merged > MERGE_S
        heavy = sum(b.nbytes for b in self.waiting) > MERGE_BYTES
        if held >= self.merge_rows or late or heavy:
            self._flush()

    def _flush(self) -> None:
        if not self.waiting:
            return
        work, spec, dtype = self.work, self.work.spec, self.work.config.embed.dtype
        block = pa.concat_tables(self.waiting)
        self.waiting = []
        vectors = vector_rows(block, spec.dim, dtype, work.run_id)
        for name in sorted(set(work.stores.tables.values())):
            mine = [v for v, t in work.stores.tables.items() if t == name]
            keep = pa.compute.is_in(vectors.column("variant"), pa.array(mine, pa.int32()))
            work.rows += work.merge(name, vectors.filter(keep), update=False)
        unread = pa.compute.equal(block.column("status"), UNREAD)
        self._contents(block.filter(pa.compute.invert(unread)))
        self._unread(block.filter(unread))
        work.decoded += block.num_rows - pa.compute.sum(unread).as_py()
        self.done.update(block.column("content_id").to_pylist())
        self.merged = time.monotonic()

    def _contents(self, block: pa.Table) -> None:
        run = pa.array([self.work.run_id] * block.num_rows, pa.string())
        rows = block.append_column("run_id", run).select(schema.CONTENTS_SCHEMA.names)
        rows = rows.cast(schema.CONTENTS_SCHEMA)
        # Only another driver can have refused it meanwhile, and settled its images by that.
        unrefused = f"target.status != '{schema.BAD}'"
        table.merge(
            self.work.config.index.database,
            schema.CONTENTS,
            rows,
            update=True,
            when=unrefused,
            conflict_retries=self.work.config.index.conflict_retries,
        )

    def _unread(self, block: pa.Table) -> None:
        """A picture that could not be read is a bad row; another image may hold its content."""
        if not block.num_rows:
            return
        columns = ["uri", "content_id", "reason", "message"]  # the content that was tried
        why = {row["uri"]: row for row in block.select(columns).to_pylist()}
        database = self.work.config.index.database
        rows = [
            why[row["uri"]] | failed(row, why[row["uri"]]["reason"])
            for row in ledger.images(database, list(why))
        ]
        retries = self.work.config.index.conflict_retries
        ledger.update(
            database, pa.Table.from_pylist(rows, schema=UNREAD_ROWS), UNREAD_WHEN, retries
        )


def _probe(config: Config, where: Placement) -> int:
    """Choose the batch shape by a short measurement on a worker like those that will embed."""
    import ray

    from clipbatch.embed.batch import probe_batch_size
    from clipbatch.embed.device import device, keep_memory, set_threads

    def measure() -> int:
        keep_memory()
        set_threads(where.threads)
        return probe_batch_size(encoders.load(config.embed, device()))

    task = ray.remote(num_cpus=where.num_cpus, num_gpus=where.num_gpus, max_retries=2)(measure)
    return int(ray.get(task.remote()))
