"""The units of one analysis as Ray tasks: those that are stored already are not computed again."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from clipbatch import schema, seeds
from clipbatch.config import Config
from clipbatch.errors import UnitFailed
from clipbatch.index import read, table
from clipbatch.measure import ANALYSES, fingerprint, store
from clipbatch.measure.base import Analysis, Contents, Inputs, Result, Unit
from clipbatch.measure.serial import labels_for
from clipbatch.progress import Progress
from clipbatch.runtime import metrics
from clipbatch.runtime.patience import LOOK_S, Need
from clipbatch.runtime.session import Session, memory

SAVE_S: Final = 5.0  # a crash loses at most this much measuring
TASK_RETRIES: Final = 2


@dataclass(frozen=True)
class Asked:
    """One analysis of one run: what its units are cut from and depend on."""

    run_id: str
    contents: Contents
    vectors: read.VectorReader
    params: Any
    noise: str


class Units:
    """Computes units on Ray, except those whose fingerprint is in the findings table."""

    def __init__(self, config: Config, session: Session, asked: Asked) -> None:
        self.config, self.session, self.asked = config, session, asked
        self.computed = self.reused = 0

    def compute(self, analysis: Analysis[Any], units: Sequence[Unit]) -> Mapping[str, Result]:
        """Return unit key -> result, of stored and new units."""
        database = self.config.index.database
        asked = self.asked
        keys = {
            u.key: fingerprint.of_unit(analysis, u, asked.contents, asked.params, asked.noise)
            for u in units
        }
        stored = load(database, list(keys.values()))
        results: dict[str, Result] = {
            u.key: store.result_from_bytes(stored[keys[u.key], u.key])
            for u in units
            if (keys[u.key], u.key) in stored
        }
        self.reused += len(results)
        todo = [unit for unit in units if unit.key not in results]
        self.computed += len(todo)
        if not todo:
            return results
        progress = Progress("measure", f"units of {analysis.name}", len(todo))
        waiting: list[tuple[str, str, str, bytes, float, str]] = []
        saved = time.monotonic()
        try:
            for unit, data, seconds in self._run(analysis, todo):
                results[unit.key] = store.result_from_bytes(data)
                waiting.append(
                    (keys[unit.key], analysis.name, unit.key, data, seconds, asked.run_id)
                )
                progress.add(1)
                metrics.count("clipbatch_units_measured", 1)
                if time.monotonic() - saved > SAVE_S:
                    save(database, waiting)
                    waiting, saved = [], time.monotonic()
        finally:
            save(database, waiting)
        progress.close()
        return results

    def _run(
        self, analysis: Analysis[Any], units: Sequence[Unit]
    ) -> Iterator[tuple[Unit, bytes, float]]:
        """Yield (unit, result, seconds) in any order; at most two units a CPU are in flight.

        A unit that fails stops no other; the error is raised when all that can be done is done.
        """
        self.session.ensure()
        import ray
        from ray.exceptions import RayError

        from clipbatch.runtime.failures import Failures

        task = ray.remote(num_cpus=1, max_retries=TASK_RETRIES)(compute_unit)
        self.session.patience(Need("measure", 1)).hold()
        self._refuse_large(analysis, units)
        largest = max(unit.memory for unit in units)
        patience = self.session.patience(Need(f"measure {analysis.name}", 1, memory=largest))
        pending: dict[Any, Unit] = {}
        queue, failures = iter(units), Failures(analysis.name)
        while True:
            patience.look()
            bound = max(2, 2 * int(sum(node.cpus for node in patience.nodes)))
            while len(pending) < bound and not failures.final:
                if (unit := next(queue, None)) is None:
                    break
                memory = {"memory": unit.memory} if unit.memory else {}
                pending[task.options(**memory).remote(*self._arguments(analysis, unit))] = unit
            if not pending:
                return failures.check()
            ready, _ = ray.wait(list(pending), num_returns=1, timeout=LOOK_S)
            if not ready:
                continue
            unit = pending.pop(ready[0])
            try:
                data, seconds = ray.get(ready[0])
            except RayError as error:
                failures.add(unit.key, error)
                continue
            yield unit, data, seconds

    def _refuse_large(self, analysis: Analysis[Any], units: Sequence[Unit]) -> None:
        """Refuse what no node could ever hold: Ray would wait for such a node for ever."""
        asked = self.config.measure.memory_gb * 1e9
        limit = min(memory(), asked) if asked else memory() / 2
        largest = max(units, key=lambda unit: unit.memory)
        if largest.memory > limit:
            raise UnitFailed(
                f"{analysis.name}, unit {largest.key}: it needs about "
                f"{largest.memory / 1e9:.1f} GB, and {limit / 1e9:.1f} GB are allowed; "
                "make its samples or blocks smaller, raise measure.memory_gb, or use larger nodes"
            )

    def _arguments(self, analysis: Analysis[Any], unit: Unit) -> tuple[Any, ...]:
        rows, contents = unit.rows, self.asked.contents
        seed = seeds.derive(contents.seed, analysis.name, unit.key)
        return (
            analysis.name,
            unit,
            self.asked.vectors.only(rows, unit.variants),
            (contents.content_id[rows], labels_for(analysis, unit, contents)),
            seed,
            self.asked.params,
        )


def compute_unit(
    name: str,
    unit: Unit,
    vectors: read.VectorReader,
    rows: tuple[Any, Any],
    seed: int,
    params: Any,
) -> tuple[bytes, float]:
    """Compute one unit in this process; returns its stored form and its seconds."""
    analysis = next(a for a in ANALYSES if a.name == name)
    started = time.monotonic()
    found = {variant: vectors.read(variant) for variant in unit.variants}
    inputs = Inputs(content_id=rows[0], label=rows[1], vectors=found, seed=seed)
    result = analysis.compute(inputs, unit, params)
    return store.result_to_bytes(result), time.monotonic() - started


def load(database: str, keys: list[str]) -> dict[tuple[str, str], bytes]:
    """Return (fingerprint, unit) -> what is stored under these fingerprints."""
    found = {}
    for start in range(0, len(keys), 500):
        names = ", ".join(f"'{key}'" for key in keys[start : start + 500])
        columns = ["fingerprint", "unit", "result"]
        where = f"fingerprint in ({names})"
        for batch in table.batches(database, schema.FINDINGS, columns, where=where):
            for row in batch.to_pylist():
                found[row["fingerprint"], row["unit"]] = row["result"]
    return found


def save(database: str, rows: list[tuple[str, str, str, bytes, float, str]]) -> None:
    """Store rows of the findings table; one that is there stays."""
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        data = pa.table(columns, schema=schema.FINDINGS_SCHEMA)
        table.merge(database, schema.FINDINGS, data, update=False)
