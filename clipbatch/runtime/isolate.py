"""Which picture kills its worker? Each is decoded and embedded alone."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from clipbatch import schema
from clipbatch.config import Config
from clipbatch.errors import Incomplete, Reason
from clipbatch.index import ledger, table
from clipbatch.progress import say
from clipbatch.runtime.patience import Patience
from clipbatch.runtime.stream import (
    READ_CPUS,
    Actor,
    WorkersFailed,
    last_line,
    ours,
    workers_failed,
)

STARTS: Final = 5  # how often an encoder may fail to come up before the run gives up


@dataclass(frozen=True)
class Stages:
    """What a picture goes through, as in ``stream``: same functions, same batch shape, same bits.

    Attributes:
        function: block -> decoded block, run as a task.
        settings: keyword arguments of function.
        actor: decoded block -> embedded block.
        patience: ends a wait for a node that does not come.
    """

    function: Callable[..., pa.Table]
    settings: Mapping[str, Any]
    actor: Actor
    patience: Patience


def comes_up(stages: Stages) -> None:
    """Start an encoder and let it go again: where none comes up, no picture is the cause.

    Raises:
        Incomplete: none does.
    """
    _Alone(stages).ready()


def isolate(config: Config, todo: pa.Table, stages: Stages, run_id: str) -> Generator[pa.Table]:
    """Embed pictures one by one; those that kill their worker too often become bad rows.

    How often each was tried is written to the catalog before trying, so that it survives a
    picture that takes the driver with it. When this is done, every picture is settled.

    Args:
        config: its crash_limit is how often a picture may crash.
        todo: rows of content_id, uri, size, offset, variants.
        stages: that every picture goes through.
        run_id: of this run.

    Yields:
        The embedded block of each picture that was survived.
    """
    database = config.index.database
    alone = _Alone(stages)
    limit = config.embed.crash_limit
    suspects = todo
    for tries in range(1, limit + 1):
        uris = suspects.column("uri").to_pylist()
        attempts = {row["uri"]: row["attempts"] for row in ledger.images(database, uris)}
        crashed, survived = set(), set()
        try:
            for i, uri in enumerate(uris):
                attempts[uri] = attempts.get(uri, 0) + 1
                # Of this one alone: a driver that is killed now leaves no innocent one counted.
                _write_attempts(database, {uri: attempts[uri]})
                try:
                    block = alone.embed(suspects.slice(i, 1))
                except Incomplete:  # the node's or the encoder's doing, not the picture's
                    _write_attempts(database, {uri: attempts[uri] - 1})
                    raise
                if block is None:
                    crashed.add(uri)
                else:
                    survived.add(uri)
                    yield block
        finally:
            _write_attempts(database, dict.fromkeys(survived, 0))
        crashes = {uri: max(tries, attempts.get(uri, 0)) for uri in crashed}
        guilty = {uri: count for uri, count in crashes.items() if count >= limit}
        _condemn(database, suspects, guilty, run_id)
        keep = [u in crashed and u not in guilty for u in suspects.column("uri").to_pylist()]
        suspects = suspects.filter(pa.array(keep, pa.bool_()))
        if not suspects.num_rows:
            return


class _Alone:
    """A task and an actor that hold one picture at a time."""

    def __init__(self, stages: Stages) -> None:
        import ray

        self.stages = stages
        self.decode = ray.remote(num_cpus=READ_CPUS, max_retries=0)(stages.function)
        self.encoder: Any = None

    def embed(self, row: pa.Table) -> pa.Table | None:
        """Return the embedded block of one picture, or None where its worker died of it.

        Raises:
            WorkersFailed: the node was lost: not the picture's doing.
            Incomplete: no encoder comes up, or there is no node for one.
        """
        from ray.exceptions import ActorDiedError, OutOfMemoryError, RayError, WorkerCrashedError

        try:
            get = self.stages.patience.get
            try:
                decoded = get(self.decode.remote(row, **self.stages.settings))
            except (WorkerCrashedError, OutOfMemoryError):
                return None
            encoder = self.ready()
            block: pa.Table = get(encoder.__call__.remote(decoded))
        except OutOfMemoryError:  # the next picture needs another encoder
            self.encoder = None
            return None
        except ActorDiedError as error:
            self.encoder = None
            if "node has died" in str(error):
                raise WorkersFailed(f"a node was lost: {last_line(error)}") from error
            return None
        except RayError as error:
            raise ours(error) or workers_failed(error) from error
        return block

    def ready(self) -> Any:
        """Return an encoder that is up, so that a death in starting is no picture's fault."""
        from ray.exceptions import OutOfMemoryError, RayActorError

        for _ in range(STARTS):
            self.encoder = self.encoder or self.stages.actor.start()
            try:
                self.stages.patience.get(self.encoder.__ray_ready__.remote())
            except (RayActorError, OutOfMemoryError) as error:
                self.encoder = None
                failure: Exception = error
            else:
                return self.encoder
        raise ours(failure) or Incomplete(
            f"no encoder comes up, tried {STARTS} times: {last_line(failure)}; see to the encoder "
            "or its node, then run the same command again"
        )


def _write_attempts(database: str, attempts: Mapping[str, int]) -> None:
    if not attempts:
        return
    rows = pa.table([list(attempts), list(attempts.values())], names=["uri", "attempts"])
    ledger.update(database, rows, "true")


def _condemn(database: str, rows: pa.Table, guilty: Mapping[str, int], run_id: str) -> None:
    bad: list[dict[str, Any]] = [
        {
            "content_id": row["content_id"],
            "status": schema.BAD,
            "reason": str(Reason.CRASHED_WORKER),
            "message": "alone, it killed the process that decoded or embedded it "
            f"{guilty[row['uri']]} times",
            "run_id": run_id,
        }
        for row in rows.select(["uri", "content_id"]).to_pylist()
        if row["uri"] in guilty
    ]
    if bad:
        say("embed", f"{len(bad)} pictures killed their worker and are bad rows now")
        refused = pa.Table.from_pylist(bad, schema=schema.CONTENTS_SCHEMA)
        table.merge(database, schema.CONTENTS, refused, update=True)
