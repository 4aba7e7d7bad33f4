"""Findings of a run to report.html, audit.json and junit.xml, and the verdict as an exit code."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

import pyarrow as pa

from clipbatch import schema, storage
from clipbatch.collect import open_source
from clipbatch.collect.decode import decode
from clipbatch.config import Check, Config
from clipbatch.errors import BadImage, ClipbatchError, ConfigError, ExitCode
from clipbatch.index import baseline, ledger, runs, table
from clipbatch.index.runs import Run
from clipbatch.measure.base import Finding
from clipbatch.progress import say
from clipbatch.report import audit, compare, declared, gate, junit, notify, numbers, page, versus
from clipbatch.report.model import SKIPPED, Report, RunRecord
from clipbatch.report.thumbnails import thumbnail

FAILED: Final = "failed:"


def build(config: Config, run: Run) -> ExitCode:
    """Judge a measured run and write its report.

    Raises:
        ConfigError: the run was not measured yet.
    """
    database = config.index.database
    findings, failed = _answers(database, run)
    baseline.refuse_other(config, run)
    before, pinned = baseline.chosen(database, run)
    asked = declared.merged_checks(config.report.checks)
    news = compare.news(config, run, findings, before) if before else None
    earlier = _earlier(database, before, asked)
    reference = earlier if pinned == before else _earlier(database, pinned, asked)
    report = gate.judge(
        _record(config, run),
        numbers.Facts(findings=findings, counts=run.counts, failed=failed, news=news),
        asked,
        earlier,
        reference,
        incomplete=bool(run.counts.get("pending")),
    )
    pictures, opened = _thumbnails(config, report)
    counts = {**run.counts, "shown": run.counts.get("shown", 0) + opened}
    record = replace(report.run, counts=counts)
    report = replace(report, run=record, history=compare.history(database, run))
    _write(config, report, pictures)
    checks = [audit.check_to_json(check) for check in report.checks]
    runs.save(
        database,
        runs.finish(
            run, state="reported", counts=counts, checks=checks, verdict=str(report.verdict)
        ),
    )
    _say(config, report)
    notify.notify(notify.verdict(report, storage.join(config.report.folder, "report.html")))
    return report.exit_code


def _earlier(database: str, run: Run | None, checks: Mapping[str, Check]) -> versus.Earlier:
    if run is None:
        return versus.NOBODY
    accepted = run.run_id in baseline.acceptances(database)
    # What it was asked itself stands in its checks; findings are read for what is asked since.
    told = {check["number"] for check in run.checks if check.get("value") is not None}
    since = {c.value.partition(".")[0] for c in checks.values() if c.value not in told}
    wanted = {name: key for name, key in run.fingerprints.items() if name in since}
    facts = numbers.Facts(findings=compare.findings(database, wanted), counts=run.counts)
    return gate.earlier(run.run_id, checks, facts, accepted=accepted, results=run.checks)


def _answers(database: str, run: Run) -> tuple[dict[str, Finding], dict[str, str]]:
    """Return analysis -> finding, and analysis -> why there is none."""
    if run.state not in ("measured", "reported"):
        raise ConfigError(
            f"run {run.run_id}: got no findings, expected some; run `clipbatch measure` first"
        )
    failed = {
        name: text for name, text in run.fingerprints.items() if text.startswith((SKIPPED, FAILED))
    }
    return compare.findings(database, run.fingerprints), failed


def _record(config: Config, run: Run) -> RunRecord:
    shared = {f.name for f in fields(RunRecord)} & {f.name for f in fields(Run)}
    facts: dict[str, Any] = {name: getattr(run, name) for name in shared}
    return RunRecord(**facts, database=storage.redact(config.index.database))


def _write(config: Config, report: Report, pictures: Mapping[str, bytes]) -> None:
    folder = config.report.folder
    files = {
        "report.html": page.render(report, pictures, config.report.evidence),
        "audit.json": audit.render(report),
        "junit.xml": junit.render(report),
    }
    for name, data in files.items():
        storage.write_atomic(storage.join(folder, name), data)


def _say(config: Config, report: Report) -> None:
    for check in report.checks:
        if check.status not in ("pass", "skipped"):
            told = " as before" if check.as_before else ""
            value = check.reason if check.value is None else f"{check.value:.6g}"
            say("report", f"{check.status}{told}: {check.number} = {value} ({check.name})")
    if skipped := sum(check.status == "skipped" for check in report.checks):
        say("report", f"{skipped} of {len(report.checks)} checks have no answer here; it says why")
    if report.news is not None:
        told = ", ".join(f"{n.count:g} {n.name}" for n in report.news if n.count and n.unit)
        say("report", f"new since run {report.baseline_run}: {told or 'nothing'}")
    for name, reason in report.failed.items():
        say("report", f"{name}: {reason}")
    say("report", f"{str(report.verdict).upper()}, exit code {int(report.exit_code)}")
    say("report", storage.join(config.report.folder, "report.html"))


def _thumbnails(config: Config, report: Report) -> tuple[dict[str, bytes], int]:
    """Return JPEGs of the evidence, and how many pictures were opened: each once, then kept."""
    database = config.index.database
    shown = {
        content
        for finding in report.findings.values()
        for group in finding.evidence[: config.report.evidence]
        for content in group.content_ids
    }
    shown |= {c for told in report.news or () for group in told.evidence for c in group.content_ids}
    table.create(database, schema.THUMBNAILS, schema.THUMBNAILS_SCHEMA)
    kept = {
        row["content_id"]: row["jpeg"]
        for batch in table.batches(database, schema.THUMBNAILS, ["content_id", "jpeg"])
        for row in batch.to_pylist()
        if row["content_id"] in shown
    }
    made = _open(config, sorted(shown - kept.keys()))
    rows = pa.table([list(made), list(made.values())], schema=schema.THUMBNAILS_SCHEMA)
    table.merge(database, schema.THUMBNAILS, rows, update=True)
    return kept | made, len(made)


def _open(config: Config, content_ids: list[str]) -> dict[str, bytes]:
    if not content_ids:
        return {}
    places = ledger.places(config.index.database, content_ids)
    try:
        source = open_source(config.collect)
    except ClipbatchError as error:
        say("report", f"no thumbnails: {error}")
        return {}
    made = {}
    for content, data in zip(places, source.read(list(places.values())), strict=True):
        if isinstance(data, BadImage) or hashlib.sha256(data).hexdigest() != content:
            continue
        try:
            made[content] = thumbnail(decode(data, max_pixels=config.collect.max_pixels).pixels)
        except BadImage:
            continue
    say("report", f"{len(made)} pictures opened for thumbnails")
    return made
