"""Catalog to vectors: what is missing, through Ray, merged as it arrives, until none is left."""

import gc
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
from clipbatch.runtime.attempt import BLOCK, Attempt
from clipbatch.runtime.isolate import comes_up
from clipbatch.runtime.patience import Need, live
from clipbatch.runtime.placement import Placement, place
from clipbatch.runtime.session import Session, nodes
from clipbatch.runtime.spec import spec_of
from clipbatch.runtime.stream import WorkersFailed

ISOLATE: Final = 4 * BLOCK  # so few that each can be tried alone
IDLE: Final = 5  # nodes lost in a row, without a picture embedded, that end a run


def embed(config: Config, session: Session, run_id: str) -> dict[str, Any]:
    """Embed every wanted (content, variant) that the tables lack.

    Returns:
        Counts: decoded, embedded_rows, and facts for the run row.

    Raises:
        ConfigError: the encoder's weights are not to be had.
        Incomplete: after all passes something is still missing.
    """
    spec = spec_of(config)
    work = Work(config, session, run_id, spec)
    for _ in range(config.embed.max_passes):
        if not work.one_pass():
            return work.counts()
    if any(True for _ in work.wanted.missing()):
        raise Incomplete(
            f"vectors are missing after {config.embed.max_passes} passes; "
            "run the same command again to go on from here"
        )
    return work.counts()


class Work:
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
            attempt = Attempt(self, todo)
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

    def _attempt(self, attempt: Attempt) -> WorkersFailed | None:
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
            Attempt(self, todo).alone()
        except WorkersFailed as error:
            if error.raised:
                raise
            say("embed", f"{error}; the next pass goes on from here")

    def merge(self, name: str, rows: pa.Table, *, update: bool) -> int:
        """Merge rows into a table; returns how many were new or changed."""
        retries = self.config.index.conflict_retries
        return table.merge(
            self.config.index.database, name, rows, update=update, conflict_retries=retries
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
