"""Which picture kills its worker? Each is decoded alone, in a process of its own."""

from typing import Any

import pyarrow as pa

from clipbatch import schema
from clipbatch.collect.base import Source
from clipbatch.config import Config
from clipbatch.embed.encoder import Preprocess
from clipbatch.errors import Incomplete, Reason
from clipbatch.index import ledger, table
from clipbatch.progress import say
from clipbatch.runtime.decode import decode_block
from clipbatch.runtime.stream import last_line, ours


def isolate(config: Config, source: Source, todo: pa.Table, run_id: str) -> None:
    """Try pictures one by one; those that kill their worker too often become bad rows.

    How often each was tried is written to the catalog before trying, so that it survives a
    picture that takes the driver with it.

    Args:
        config: its crash_limit is how often a picture may crash.
        source: that opens them.
        todo: rows of content_id, uri, size, offset.
        run_id: of this run.
    """
    database = config.index.database
    suspects = todo
    for _ in range(config.embed.crash_limit):
        attempts = _count_attempts(database, suspects)
        crashed = _crashed(config, source, suspects)
        survived = [uri for uri in attempts if uri not in crashed]
        _write_attempts(database, dict.fromkeys(survived, 0))
        guilty = [u for u in crashed if attempts[u] >= config.embed.crash_limit]
        _condemn(database, suspects, guilty, attempts, run_id)
        keep = [u in crashed and u not in guilty for u in suspects.column("uri").to_pylist()]
        suspects = suspects.filter(pa.array(keep, pa.bool_()))
        if not suspects.num_rows:
            return


def _count_attempts(database: str, rows: pa.Table) -> dict[str, int]:
    uris = rows.column("uri").to_pylist()
    attempts = {row["uri"]: row["attempts"] + 1 for row in ledger.images(database, uris)}
    _write_attempts(database, attempts)
    return attempts


def _write_attempts(database: str, attempts: dict[str, int]) -> None:
    if not attempts:
        return
    rows = ledger.images(database, list(attempts))
    changed = [row | {"attempts": attempts[row["uri"]]} for row in rows]
    _merge(database, schema.CATALOG, changed, schema.CATALOG_SCHEMA)


def _crashed(config: Config, source: Source, rows: pa.Table) -> set[str]:
    """Decode every row in a task of its own; return the uris whose worker died."""
    import ray
    from ray.exceptions import OutOfMemoryError, RayError, WorkerCrashedError

    max_pixels = config.collect.max_pixels
    alone = ray.remote(num_cpus=1, max_retries=0)(decode_block)
    small = Preprocess(32, 32)
    crashed = set()
    for i, uri in enumerate(rows.column("uri").to_pylist()):
        try:  # one at a time: what takes all memory must not take its neighbour with it
            ray.get(alone.remote(rows.slice(i, 1), source, small, max_pixels))
        except (WorkerCrashedError, OutOfMemoryError):
            crashed.add(uri)
        except RayError as error:
            raise ours(error) or Incomplete(f"workers failed: {last_line(error)}") from error
    return crashed


def _condemn(
    database: str, rows: pa.Table, guilty: list[str], attempts: dict[str, int], run_id: str
) -> None:
    content_of = dict(
        zip(rows.column("uri").to_pylist(), rows.column("content_id").to_pylist(), strict=True)
    )
    bad: list[dict[str, Any]] = [
        {
            "content_id": content_of[uri],
            "status": schema.BAD,
            "reason": str(Reason.CRASHED_WORKER),
            "message": f"alone, it killed the process that decoded it {attempts[uri]} times",
            "run_id": run_id,
        }
        for uri in guilty
    ]
    if bad:
        say("embed", f"{len(bad)} pictures killed their worker and are bad rows now")
        _merge(database, schema.CONTENTS, bad, schema.CONTENTS_SCHEMA)


def _merge(database: str, name: str, rows: list[dict[str, Any]], columns: pa.Schema) -> None:
    table.merge(database, name, pa.Table.from_pylist(rows, schema=columns), update=True)
