"""Findings of one run: units as Ray tasks, bounded in flight, keyed, so a crash loses little."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipbatch import embed, schema
from clipbatch.config import Config
from clipbatch.embed.encoder import Encoder
from clipbatch.errors import ClipbatchError, ConfigError, UnitFailed
from clipbatch.index import baseline, evidence, read, table
from clipbatch.index.runs import Run, history
from clipbatch.measure import ANALYSES, fingerprint, store
from clipbatch.measure.base import Analysis, Finding
from clipbatch.measure.serial import run_rounds
from clipbatch.progress import say
from clipbatch.runtime import units
from clipbatch.runtime.session import Session


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
        if found := units.load(database, [key]).get((key, "")):
            measured.findings[analysis.name] = store.finding_from_bytes(found)
            say("measure", f"{analysis.name}: unchanged, reused")
            continue
        found_first = {name: measured.findings[name] for name in analysis.needs}
        before = _before(database, run, analysis.name, params) if analysis.mends else None
        new = contents.new if analysis.reads_new else None
        text = _Text(config) if analysis.reads_text else None
        given = replace(contents, found=found_first, before=before, text=text, new=new)
        asked = units.Asked(run.run_id, given, vectors, params, noise)
        runner = units.Units(config, session, asked)
        started = time.monotonic()
        try:
            finding = run_rounds(analysis, given, params, runner.compute)
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
        units.save(database, [(key, analysis.name, "", data, seconds, run.run_id)])
        computed, reused = measured.units
        measured.units = (computed + runner.computed, reused + runner.reused)
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
            and (found := units.load(database, [key]).get((key, "")))
        ):
            return store.finding_from_bytes(found)
    return None
