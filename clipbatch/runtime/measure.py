"""Findings of one run: units as Ray tasks, bounded in flight, keyed, so a crash loses little."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clipbatch import embed, schema, seeds
from clipbatch.config import Config
from clipbatch.embed.encoder import Encoder
from clipbatch.errors import ClipbatchError, ConfigError, UnitFailed
from clipbatch.index import baseline, evidence, read, table
from clipbatch.index.runs import Run, history
from clipbatch.measure import ANALYSES, fingerprint, store
from clipbatch.measure.base import Analysis, Contents, Finding, Inputs, Result, Unit
from clipbatch.measure.serial import labels_for, run_rounds
from clipbatch.progress import Progress, say
from clipbatch.runtime import metrics
from clipbatch.runtime.patience import LOOK_S, Need
from clipbatch.runtime.session import Session, memory

SAVE_S: Final = 5.0  # a crash loses at most this much measuring
TASK_RETRIES: Final = 2


@dataclass
class Measured:
    """What measuring gave.

    Attributes:
        findings: analysis -> its answer.
        failed: analysis -> why there is none.
        fingerprints: analysis -> of its finding.
        units: (computed now, reused from earlier).
    """

    findings: dict[str, Finding] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    units: tuple[int, int] = (0, 0)


def chosen(config: Config) -> list[Analysis[Any]]:
    """Return the analyses that the configuration asks for, each after those that it needs."""
    known = {analysis.name: analysis for analysis in ANALYSES}
    ordered: dict[str, Analysis[Any]] = {}

    def take(name: str) -> None:
        for needed in known[name].needs:
            take(needed)
        ordered.setdefault(name, known[name])

    for name in config.measure.analyses or known:
        take(name)
    return list(ordered.values())


def measure(config: Config, session: Session, run: Run) -> Measured:
    """Answer every chosen analysis for one run; what was answered before is reused."""
    database = config.index.database
    compared, _ = baseline.chosen(database, run)
    contents, vectors = read.load(database, run, config.collect.seed, compared)
    table.create(database, schema.FINDINGS, schema.FINDINGS_SCHEMA)
    noise = table.pinned(database, run.vectors_tables()[schema.CLEAN])["noise"]
    if others := sorted(set(run.vectors_tables().values())):
        noise = others[-1].rpartition("__noise_")[2] if "__noise_" in others[-1] else noise
    facts = fingerprint.of_facts(contents)
    measured = Measured()
    for analysis in chosen(config):
        params = config.measure.parameters[analysis.name]
        needed = {name: measured.fingerprints[name] for name in analysis.needs}
        key = fingerprint.of_finding(analysis, contents, params, noise, needed, facts)
        measured.fingerprints[analysis.name] = key
        if lacking := [name for name in analysis.needs if name not in measured.findings]:
            measured.failed[analysis.name] = f"skipped: it needs {', '.join(lacking)}"
            continue
        if analysis.needs_labels and len(np.unique(contents.label[contents.label >= 0])) < 2:
            measured.failed[analysis.name] = "skipped: it needs pictures of at least two classes"
            continue
        if found := _load(database, [key]).get((key, "")):
            measured.findings[analysis.name] = store.finding_from_bytes(found)
            say("measure", f"{analysis.name}: unchanged, reused")
            continue
        found_first = {name: measured.findings[name] for name in analysis.needs}
        before = _before(database, run, analysis.name, params) if analysis.mends else None
        new = contents.new if analysis.reads_new else None
        text = _Text(config) if analysis.reads_text else None
        given = replace(contents, found=found_first, before=before, text=text, new=new)
        asked = _Asked(run.run_id, given, vectors, params, noise)
        units = _Units(config, session, asked)
        started = time.monotonic()
        try:
            finding = run_rounds(analysis, given, params, units.compute)
        except ClipbatchError as error:
            if not isinstance(error, UnitFailed):
                raise
            measured.failed[analysis.name] = f"failed: {error}"
            say("measure", f"{analysis.name}: {error}")
            continue
        if text is not None and text.refused:
            key = measured.fingerprints[analysis.name] = fingerprint.for_now(key)
        measured.findings[analysis.name] = finding
        seconds = time.monotonic() - started
        data = store.finding_to_bytes(finding)
        # The evidence first: a finding that is there is never asked for again.
        evidence.save(database, contents, finding, run.run_id)
        _save(database, [(key, analysis.name, "", data, seconds, run.run_id)])
        computed, reused = measured.units
        measured.units = (computed + units.computed, reused + units.reused)
    return measured


class _Text:
    """Prompts to vectors by the run's encoder, whose weights are loaded at the first call.

    ``refused`` says that they could not be, which a person may have mended by tomorrow.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.refused = False

    @cached_property
    def _encoder(self) -> Encoder:
        from clipbatch.embed.device import device

        return embed.load(self.config.embed, device())

    def __call__(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        try:
            return self._encoder.encode_text(prompts)
        except ConfigError:
            self.refused = True
            raise


@dataclass(frozen=True)
class _Asked:
    """One analysis of one run: what its units are cut from and depend on."""

    run_id: str
    contents: Contents
    vectors: read.VectorReader
    params: Any
    noise: str


class _Units:
    """Computes units on Ray, except those whose fingerprint is in the findings table."""

    def __init__(self, config: Config, session: Session, asked: _Asked) -> None:
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
        stored = _load(database, list(keys.values()))
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
                    _save(database, waiting)
                    waiting, saved = [], time.monotonic()
        finally:
            _save(database, waiting)
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


def _load(database: str, keys: list[str]) -> dict[tuple[str, str], bytes]:
    found = {}
    for start in range(0, len(keys), 500):
        names = ", ".join(f"'{key}'" for key in keys[start : start + 500])
        columns = ["fingerprint", "unit", "result"]
        where = f"fingerprint in ({names})"
        for batch in table.batches(database, schema.FINDINGS, columns, where=where):
            for row in batch.to_pylist():
                found[row["fingerprint"], row["unit"]] = row["result"]
    return found


def _save(database: str, rows: list[tuple[str, str, str, bytes, float, str]]) -> None:
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        data = pa.table(columns, schema=schema.FINDINGS_SCHEMA)
        table.merge(database, schema.FINDINGS, data, update=False)


def _before(database: str, run: Run, name: str, params: Any) -> Finding | None:
    """Return the latest earlier finding of an analysis that nothing but pictures tell from now's.

    That is one of the same encoder, seed, parameters and version of clipbatch.
    """
    wanted = (json.loads(json.dumps(asdict(params))), run.config["collect"]["seed"])
    for other in reversed(history(database)):
        config = other.config
        if (
            other.run_id < run.run_id
            and other.encoder == run.encoder
            and other.versions.get("clipbatch") == run.versions.get("clipbatch")
            and (config["measure"]["parameters"].get(name), config["collect"]["seed"]) == wanted
            and (key := other.fingerprints.get(name))
            and (found := _load(database, [key]).get((key, "")))
        ):
            return store.finding_from_bytes(found)
    return None
