"""One stream of pictures through the workers, and what came back merged, whatever ended it."""

import time
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from clipbatch import schema
from clipbatch.index import ledger, stores, table
from clipbatch.progress import say
from clipbatch.runtime import metrics
from clipbatch.runtime.actor import Embedder, vector_rows
from clipbatch.runtime.collect import FAILURE, failed
from clipbatch.runtime.decode import UNREAD, decode_block
from clipbatch.runtime.isolate import Stages, isolate
from clipbatch.runtime.patience import Need
from clipbatch.runtime.silence import Silence
from clipbatch.runtime.stream import READ_CPUS, Actor, stream

if TYPE_CHECKING:
    from clipbatch.runtime.embed import Work

MERGE_ROWS: Final = 5_000
MERGE_SHARE: Final = 0.02  # of the table: merging then stays a small share of the time
MERGE_BYTES: Final = 512 * 1024 * 1024
MERGE_S: Final = 30.0  # a crash loses at most this much encoding
BLOCK: Final = 32  # pictures a task decodes, at least
RECOUNT_S: Final = 60.0  # how often the cluster's room is compared with what is used
UNREAD_ROWS: Final = pa.schema(
    [
        schema.CATALOG_SCHEMA.field(name)
        for name in ("uri", "content_id", "status", "reason", "message", "attempts")
    ]
)
UNREAD_WHEN: Final = "target.content_id = source.content_id and target.status in ('pending', 'ok')"


class Attempt:
    """One stream over some rows, merged in the order vectors, contents, catalog."""

    def __init__(self, work: "Work", todo: pa.Table) -> None:
        self.work, self.todo = work, todo
        self.done: set[str] = set()
        self.outgrown = False  # it ended early: the cluster has room for more encoders
        self.counted = time.monotonic()
        self.silence = Silence()
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
        stages = self.stages(len(blocks))
        found = stream(blocks, stages.function, stages.settings, stages.patience, stages.actor)
        self._merge(found, stages.actor.count)

    def alone(self) -> None:
        """Try the rows one by one; each is embedded or, where it kills its worker, a bad row."""
        work = self.work
        self._merge(isolate(work.config, self.todo, self.stages(1), work.run_id))

    def stages(self, blocks: int) -> Stages:
        """Return what the rows go through, for the nodes that are there now."""
        work, config = self.work, self.work.config
        shape = work.stores.shape
        where = work.place(shape.threads)
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
        patience = work.session.patience(Need("decode", READ_CPUS), actor.need())
        return Stages(decode_block, settings, actor, patience)

    def _merge(self, embedded: Generator[pa.Table], actors: int = 0) -> None:
        """Merge blocks as they arrive; after a failure, those that came before it as well.

        Args:
            embedded: blocks; closed at the end.
            actors: that embed them; where more would fit now, it ends early.
        """
        started = time.monotonic()
        try:
            # Closed while Ray is there: what is interrupted leaves no thread of Ray Data at work.
            with closing(embedded):
                for block in embedded:
                    self._take(block)
                    if actors and self._outgrown(actors):
                        self.outgrown = True
                        break
        finally:
            self._flush()
            self.work.seconds += time.monotonic() - started

    def _outgrown(self, actors: int) -> bool:
        """Tell, now and then, whether an autoscaler or a person has made room for more encoders.

        A new stream costs some seconds of work under way; it must be long enough to earn them.
        """
        progress = self.work.progress
        if time.monotonic() - self.counted < RECOUNT_S or progress is None:
            return False
        self.counted = time.monotonic()
        where = self.work.place(self.work.stores.shape.threads)
        left = (progress.total or 0) - progress.done
        blocks = left // max(BLOCK, self.work.stores.shape.batch_size)
        if where.count <= actors or blocks <= actors or left < RECOUNT_S * progress.rate:
            return False
        say("embed", f"room for {where.count} encoders instead of {actors}: more are started")
        progress.total = progress.done
        return True

    def _take(self, block: pa.Table) -> None:
        self.silence.hear(zip(*(block.column(name).to_pylist() for name in FAILURE), strict=True))
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
        started, before = time.monotonic(), (work.rows, work.decoded)
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
        work.vectors += vectors.num_rows
        work.merging += self.merged - started
        metrics.count("clipbatch_vectors_embedded", vectors.num_rows)
        metrics.count("clipbatch_rows_merged", work.rows - before[0])
        metrics.count("clipbatch_pictures_decoded", work.decoded - before[1])

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
