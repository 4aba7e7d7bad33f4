"""Catalog to vectors: what is missing, through Ray, merged as it arrives, until none is left."""

import gc
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
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
from clipbatch.runtime import metrics
from clipbatch.runtime.actor import Embedder, vector_rows
from clipbatch.runtime.collect import FAILURE, failed
from clipbatch.runtime.decode import UNREAD, decode_block
from clipbatch.runtime.isolate import Stages, comes_up, isolate
from clipbatch.runtime.patience import Need, live
from clipbatch.runtime.placement import Placement, place
from clipbatch.runtime.session import Session, nodes
from clipbatch.runtime.silence import Silence
from clipbatch.runtime.spec import spec_of
from clipbatch.runtime.stream import READ_CPUS, Actor, WorkersFailed, stream

MERGE_ROWS: Final = 5_000
MERGE_SHARE: Final = 0.02  # of the table: merging then stays a small share of the time
MERGE_BYTES: Final = 512 * 1024 * 1024
MERGE_S: Final = 30.0  # a crash loses at most this much encoding
BLOCK: Final = 32  # pictures a task decodes, at least
ISOLATE: Final = 4 * BLOCK  # so few that each can be tried alone
IDLE: Final = 5  # nodes lost in a row, without a picture embedded, that end a run
RECOUNT_S: Final = 60.0  # how often the cluster's room is compared with what is used
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
        self.gpus: float | None = None  # of one encoder, once they are placed
        self.source = open_source(config.collect)
        table.open_table(config.index.database, schema.CATALOG)  # or say that collect comes first
        self.stores = stores.find(config, spec) or self._first()
        self.stores.ensure(config, spec)
        self.wanted = self.stores.wanted(config)
        self.decoded = self.rows = self.vectors = 0
        self.seconds = self.merging = 0.0
        self.progress: Progress | None = None

    def _first(self) -> stores.Stores:
        """Probe the batch shape where the work will be done, and create the tables."""
        self.session.ensure()
        where = self.place()
        batch_size = self.config.embed.batch_size or _probe(self.config, self.session, where)
        say("embed", f"{self.spec.slug}: batches of {batch_size}, {where.threads} threads")
        shape = stores.Shape(batch_size, where.threads)
        stores.create(self.config, self.spec, schema.vectors_table(self.spec.slug), shape)
        found = stores.find(self.config, self.spec)
        assert found is not None
        return found

    def place(self, threads: int = 0) -> Placement:
        """Return the encoders for the nodes that are there, once there is one that takes work.

        A run that began on GPUs waits for another where the last is lost, and one that began on
        CPUs stays there: their bits differ.
        """
        self.session.patience(Need("embed", 1)).hold()
        asked = self.config.embed
        if self.gpus is not None:
            asked = replace(asked, num_gpus=self.gpus)
        where = place(asked, nodes(), threads)
        self.gpus = where.num_gpus
        return where

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
            say("embed", self._rates())
        return any_work

    def _rates(self) -> str:
        """Write how fast each stage went so far, merging by its own clock."""
        seconds, merging = max(self.seconds, 1e-9), max(self.merging, 1e-9)
        return (
            f"{self.decoded} decoded {self.decoded / seconds:.1f}/s, "
            f"{self.vectors} vectors {self.vectors / seconds:.1f}/s, "
            f"{self.rows} rows merged {self.rows / merging:.1f}/s"
        )

    def _slice(self, todo: pa.Table, *, again: bool = True) -> None:
        """Embed some rows; where pictures kill workers, ever fewer at a time, at last one by one.

        Raises:
            Incomplete: no picture is the cause, and trying again did not help.
        """
        idle = 0  # nodes lost in a row without a picture embedded
        while todo.num_rows:
            there = {node.key for node in live()}
            attempt = _Attempt(self, todo)
            failure = self._attempt(attempt)
            left = attempt.left()
            if failure is None:
                todo = left if attempt.outgrown else left.slice(0, 0)
                continue
            assert self.progress is not None
            assert self.progress.total is not None
            self.progress.total -= left.num_rows
            say("embed", f"{failure}; {left.num_rows} pictures are tried again")
            idle = idle + 1 if left.num_rows == todo.num_rows else 0
            todo = left
            if there - {node.key for node in live()}:
                if idle >= IDLE:
                    raise Incomplete(
                        f"{idle} nodes were lost in a row and nothing was embedded between; see to "
                        "the cluster, then run the same command again"
                    )
            elif again:
                again = False
                comes_up(attempt.stages(1))
            elif failure.raised:
                raise failure
            else:
                self._fewer(todo)
                return

    def _attempt(self, attempt: "_Attempt") -> WorkersFailed | None:
        """Run one stream; returns why it failed.

        Whoever tries again must have left the ``except`` block: an exception holds the frames of
        the dead stream, they hold its actors, and Ray would restart those on the only GPU.
        """
        progress = self.progress = self.progress or Progress("embed", "pictures", 0)
        progress.total = (progress.total or 0) + attempt.todo.num_rows
        failure = None
        try:
            attempt.run()
        except WorkersFailed as error:
            failure = WorkersFailed(str(error), raised=error.raised)
        gc.collect()
        return failure

    def _fewer(self, todo: pa.Table) -> None:
        """Embed rows among which one kills its worker."""
        if todo.num_rows <= ISOLATE:
            self._alone(todo)
            return
        size = max(ISOLATE, todo.num_rows // 8)
        for start in range(0, todo.num_rows, size):
            self._slice(todo.slice(start, size), again=False)

    def _alone(self, todo: pa.Table) -> None:
        """Embed some rows one by one; what is left after a lost node is for the next pass."""
        assert self.progress is not None
        self.progress.total = (self.progress.total or 0) + todo.num_rows
        try:
            _Attempt(self, todo).alone()
        except WorkersFailed as error:
            if error.raised:
                raise
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


def _probe(config: Config, session: Session, where: Placement) -> int:
    """Choose the batch shape by a short measurement on a worker like those that will embed."""
    import ray

    from clipbatch.embed.batch import probe_batch_size
    from clipbatch.embed.device import device, keep_memory, set_threads

    def measure() -> int:
        keep_memory()
        set_threads(where.threads)
        return probe_batch_size(encoders.load(config.embed, device()))

    task = ray.remote(num_cpus=where.num_cpus, num_gpus=where.num_gpus, max_retries=2)(measure)
    patience = session.patience(Need("encode", where.num_cpus, where.num_gpus))
    return int(patience.get(task.remote()))
