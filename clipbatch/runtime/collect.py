"""Source to catalog: list, compare, open what is new or changed, and name its content."""

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa

from clipbatch import schema, storage
from clipbatch.collect import open_source
from clipbatch.collect.base import Place, Source
from clipbatch.collect.listing import Listing, first_entries
from clipbatch.config import Config
from clipbatch.errors import BadImage, Incomplete, Reason
from clipbatch.index import changes, failures, ledger, table
from clipbatch.index.lease import Lease
from clipbatch.progress import Progress, say
from clipbatch.runtime import metrics
from clipbatch.runtime.patience import Need
from clipbatch.runtime.session import Session
from clipbatch.runtime.silence import Silence
from clipbatch.runtime.stream import READ_CPUS, WorkersFailed, stream

BLOCK = 256  # pictures a task opens
FEW = 4096  # pictures that are opened here sooner than workers would start
READS = 3  # how often a read may fail before its picture is a bad row
FAILURE = ("reason", "message")
FLUSH_S = 20.0  # a crash loses at most this much opening


def collect(
    config: Config, session: Session, run_id: str, lease: Lease | None = None
) -> dict[str, int]:
    """Bring the catalog up to date with the source.

    Args:
        config: of the run.
        session: starts Ray if many pictures are to be opened.
        run_id: of the run.
        lease: taken once the source and the store are known to be fit.

    Returns:
        Counts: listed, retried, opened. What changed is told by ``index.since``.
    """
    database = config.index.database
    source = open_source(config.collect)
    first_entries(source, config)  # a source that cannot be listed is refused before any write
    storage.probe(database)
    if lease is not None:
        lease.take()
    before = table.latest(database, schema.CATALOG)
    entries = first_entries(source, config)
    table.create(database, schema.CATALOG, schema.CATALOG_SCHEMA)
    table.create(database, schema.CONTENTS, schema.CONTENTS_SCHEMA)
    counts = dict.fromkeys(("new", "changed", "retried", "relabelled", "back", "gone"), 0)
    progress = Progress("collect", "listed")
    listing = Listing(entries, progress)
    try:
        for changed in changes.changes(
            database,
            listing.reader,
            run_id,
            retry_bad=config.collect.retry_bad,
            version=before or table.FIRST,
        ):
            for kind in changed.column("change").to_pylist():
                counts[kind] += 1
            changes.merge(database, changed, config.index.conflict_retries)
    except duckdb.Error as error:  # a source's own error, wrapped
        raise listing.error or error from None
    if config.collect.retry_bad:
        # After the catalog: a run that is killed in between asks the same pictures again.
        failures.retry(
            lambda: table.open_table(database, schema.CONTENTS).delete(f"status = '{schema.BAD}'"),
            "deleting the contents that were bad",
        )
    metrics.count("clipbatch_pictures_listed", progress.done)
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    listed = f"{progress.done} listed {progress.rate:.1f}/s"
    say("collect", f"{listed}: {told or 'nothing changed'}")
    return {
        "listed": progress.done,
        "retried": counts["retried"],
        "opened": _open_all(config, session, source),
    }


def _open_all(config: Config, session: Session, source: Source) -> int:
    """Open every picture without a content_id; passes repeat until none is left."""
    progress = Progress("collect", "opened")
    opened = 0
    failure = "the store did not answer"
    for attempt in range(config.embed.max_passes):
        left = False
        for rows in ledger.unopened(config.index.database):
            left = True
            time.sleep(min(attempt, 5))  # what failed a moment ago may need one
            try:
                opened += _open(config, session, source, rows, progress)
            except WorkersFailed as error:
                failure = str(error)
        if not left:
            break
    if any(True for _ in ledger.unopened(config.index.database)):
        raise Incomplete(f"pictures are left unopened: {failure}; run the same command again")
    if opened:
        progress.close()
    return opened


def _here(blocks: list[pa.Table], settings: dict[str, Any]) -> Iterator[pa.Table]:
    return (name_contents(block, **settings) for block in blocks)


def _on_ray(
    session: Session, blocks: list[pa.Table], settings: dict[str, Any]
) -> Iterator[pa.Table]:
    session.ensure()
    return stream(blocks, name_contents, settings, session.patience(Need("read", READ_CPUS)))


def _open(
    config: Config, session: Session, source: Source, rows: pa.Table, progress: Progress
) -> int:
    """Open one slice of the catalog and merge what was found, as it arrives."""
    by_uri = {row["uri"]: row for row in rows.to_pylist()}
    places = rows.select(["uri", "size", "offset"])
    blocks = [places.slice(start, BLOCK) for start in range(0, places.num_rows, BLOCK)]
    few = places.num_rows <= FEW
    settings = {"source": source}
    known: list[dict[str, Any]] = []
    opened = 0

    def flush() -> None:
        nonlocal opened
        rows = pa.Table.from_pylist(known, schema=ANSWERED)
        ledger.update(config.index.database, rows, STILL, config.index.conflict_retries)
        opened += len(known)
        known.clear()

    flushed, silence = time.monotonic(), Silence()
    try:
        for found in _here(blocks, settings) if few else _on_ray(session, blocks, settings):
            silence.hear(zip(*(found.column(n).to_pylist() for n in FAILURE), strict=True))
            known.extend(_answered(by_uri[answer["uri"]], answer) for answer in found.to_pylist())
            progress.add(found.num_rows)
            metrics.count("clipbatch_pictures_hashed", found.num_rows)
            if time.monotonic() - flushed > FLUSH_S:
                flush()
                flushed = time.monotonic()
    finally:
        flush()
    return opened


def _answered(row: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    opened = {"size": row["size"], "stamp": row["stamp"], "status": schema.PENDING, "attempts": 0}
    return opened | answer | (failed(row, answer["reason"]) if answer["reason"] else {})


def failed(row: dict[str, Any], reason: str) -> dict[str, Any]:
    """Return what becomes of a catalog row whose bytes were not to be had.

    A store that is late or out of order is asked again by the next pass; any other failure, or too
    many of these, makes a bad row.
    """
    attempts = row["attempts"] + 1
    passing = reason in (Reason.TIMED_OUT, Reason.UNREADABLE) and attempts < READS
    return {"status": schema.PENDING if passing else schema.BAD, "attempts": attempts}


# Size and stamp are those that the row was opened under; the rest is what was found.
ANSWERED = pa.schema(
    [
        schema.CATALOG_SCHEMA.field(name)
        for name in (
            "uri", "size", "stamp", "content_id", "status", "reason", "message", "attempts"
        )
    ]
)  # fmt: skip
STILL = (
    "target.status = 'pending' and target.content_id is null "
    "and target.size = source.size and target.stamp = source.stamp"
)

OPENED = pa.schema(
    [
        ("uri", pa.string()),
        ("content_id", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
    ]
)


def name_contents(block: pa.Table, source: Source) -> pa.Table:
    """Open a block of pictures and hash their bytes; a failure is a reason, never an exception."""
    places = [Place(**row) for row in block.to_pylist()]
    answers: list[tuple[str | None, ...]] = []
    for place, data in zip(places, source.read(places), strict=True):
        if isinstance(data, BadImage):
            answers.append((place.uri, None, str(data.reason), data.message))
        else:
            answers.append((place.uri, hashlib.sha256(data).hexdigest(), None, None))
    columns = [list(column) for column in zip(*answers, strict=True)]
    return pa.table(columns, schema=OPENED)
