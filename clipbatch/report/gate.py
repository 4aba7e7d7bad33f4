"""Did the collection pass? Every check is held against the findings' numbers and the counts."""

import difflib
import math
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any, Final

from clipbatch.build import build
from clipbatch.config import Check
from clipbatch.errors import ConfigError, Reason
from clipbatch.measure.base import Finding
from clipbatch.report import versus
from clipbatch.report.model import (
    SKIPPED,
    CheckResult,
    News,
    Report,
    RunRecord,
    Status,
    Verdict,
)
from clipbatch.report.news import NAMES
from clipbatch.report.versus import RELATIONS, Earlier

COLLECTION: Final = "collection"  # what the counts of a run are called in a check
NEW: Final = "new"  # what is called so in a check was not there at the baseline
OFF: Final = "off"  # the severity that takes a default check away


@dataclass(frozen=True)
class Facts:
    """What a check may look at.

    Attributes:
        findings: analysis -> its answer.
        counts: of the run; see ``RunRecord.counts``.
        failed: analysis -> why it has no answer; see ``Report.failed``.
        encoder: slug, for the queries that list evidence.
        news: what is new since the baseline; None without one.
    """

    findings: Mapping[str, Finding] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    encoder: str = ""
    news: tuple[News, ...] | None = None


def default_checks() -> dict[str, Check]:
    """Return the checks of checks.toml, by name."""
    return {
        name: build(Check, table, f"checks.{name}.") for name, table in _toml()["checks"].items()
    }


def merged_checks(given: Mapping[str, Check]) -> dict[str, Check]:
    """Return the defaults with the given checks over them; severity "off" removes one."""
    checks = default_checks() | dict(given)
    return {name: check for name, check in checks.items() if check.severity != OFF}


def refuse_unknown(checks: Mapping[str, Check], analyses: Collection[str]) -> None:
    """Refuse, before any work, checks that name no analysis.

    Raises:
        ConfigError: a check's value is not "<analysis>.<number>" or "collection.<count>".
    """
    known = [
        COLLECTION,
        NEW,
        *analyses,
        *(c.value.partition(".")[0] for c in default_checks().values()),
    ]
    for name, check in checks.items():
        analysis, _, number = check.value.partition(".")
        if analysis not in known or not number:
            raise ConfigError(
                f"report.checks.{name}.value: got {check.value!r}, expected "
                f'"<analysis>.<number>"; {nearest(analysis, known)}'
            )


def evaluate(
    checks: Mapping[str, Check],
    facts: Facts,
    baseline: Earlier = versus.NOBODY,
    reference: Earlier = versus.NOBODY,
) -> tuple[CheckResult, ...]:
    """Evaluate every check, in order; never raises for what a check says.

    Args:
        checks: name -> check.
        facts: what they may look at.
        baseline: the last run that passed; see ``earlier``.
        reference: the run that stays until a person accepts another.
    """
    counts = _flat(facts.counts)
    return tuple(
        versus.weigh(_evaluate(name, check, facts, counts), baseline, reference)
        for name, check in checks.items()
    )


def earlier(
    run_id: str,
    checks: Mapping[str, Check],
    facts: Facts,
    *,
    accepted: bool = False,
    results: Iterable[Mapping[str, Any]] = (),
) -> Earlier:
    """Return an earlier run as tonight's checks see it, also those that it did not have yet.

    Args:
        run_id: of the run.
        checks: tonight's.
        facts: what that run found.
        accepted: by a person.
        results: its own checks, as ``check_to_json`` wrote them.
    """
    counts = _flat(facts.counts)
    found = {check.value: _look_up(check.value, facts, counts)[1] for check in checks.values()}
    # What retention took away is still in the checks of its night.
    values = {c["number"]: c["value"] for c in results if c.get("value") is not None}
    values |= {number: value for number, value in found.items() if value is not None}
    missed = {
        c["name"]: c["number"] for c in results if c.get("status") in ("warn", "fail", "known")
    }
    return Earlier(run_id, values, accepted=accepted, missed=missed)


def verdict(results: Iterable[CheckResult], *, incomplete: bool = False) -> Verdict:
    """Join the checks: incomplete overrides, then any fail or error fails; warnings pass."""
    if incomplete:
        return Verdict.INCOMPLETE
    if any(result.status in (Status.FAIL, Status.ERROR) for result in results):
        return Verdict.FAILED
    return Verdict.PASSED


def judge(
    run: RunRecord,
    facts: Facts,
    checks: Mapping[str, Check],
    baseline: Earlier = versus.NOBODY,
    reference: Earlier = versus.NOBODY,
    *,
    incomplete: bool = False,
) -> Report:
    """Evaluate the checks and join them with the run and its findings into a report.

    Args:
        run: the execution; its counts are taken from ``facts``.
        facts: findings, counts and failed analyses.
        checks: merged with the defaults already.
        baseline: the last run that passed.
        reference: the run that stays until a person accepts another.
        incomplete: work is left; an analysis that failed says so by itself.
    """
    results = evaluate(checks, replace(facts, encoder=run.encoder), baseline, reference)
    failed = any(not reason.startswith(SKIPPED) for reason in facts.failed.values())
    return Report(
        run=replace(run, counts=facts.counts),
        findings=facts.findings,
        failed=facts.failed,
        checks=results,
        verdict=verdict(results, incomplete=incomplete or failed),
        baseline_run=baseline.run_id,
        reference_run=reference.run_id,
        accepted=reference.accepted,
        news=facts.news,
    )


def evidence(number: str, encoder: str = "") -> str:
    """Return the query or command that lists what stands behind a number."""
    queries: dict[str, str] = _toml()["evidence"]
    parts = number.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    query = next((queries[name] for name in names if name in queries), queries[""])
    return query.replace("{encoder}", encoder).replace("{analysis}", parts[0])


def _evaluate(name: str, check: Check, facts: Facts, counts: Mapping[str, Any]) -> CheckResult:
    status, value, unit, reason = _look_up(check.value, facts, counts)
    if status is Status.PASS and not math.isfinite(check.threshold):
        status, reason = Status.ERROR, "the threshold must be a finite number"
    if status is Status.PASS and value is not None and not check.against:
        held = RELATIONS[check.op](value, check.threshold)
        missed = Status.WARN if check.severity == "warn" else Status.FAIL
        status = Status.PASS if held else missed
    return CheckResult(
        name=name,
        number=check.value,
        status=status,
        value=value,
        unit=unit,
        op=check.op,
        threshold=check.threshold if math.isfinite(check.threshold) else None,
        severity=check.severity,
        reason=reason,
        evidence=evidence(check.value, facts.encoder),
        against=check.against,
        change=check.change,
        compared=None if check.against else value,
    )


def _look_up(
    wanted: str, facts: Facts, counts: Mapping[str, Any]
) -> tuple[Status, float | None, str, str]:
    """Return (pass where there is a value, value, unit, reason)."""
    analysis, _, number = wanted.partition(".")
    if analysis == COLLECTION:
        return _count(number, counts)
    if analysis == NEW:
        return _newly(number, facts.news)
    if analysis in facts.failed:
        reason = facts.failed[analysis]
        skipped = reason.startswith(SKIPPED)
        return (Status.SKIPPED if skipped else Status.ERROR), None, "", reason
    if analysis not in facts.findings:
        return _unmeasured(analysis, facts)
    numbers = {found.name: found for found in facts.findings[analysis].numbers}
    if number not in numbers:
        return Status.ERROR, None, "", f"no number {wanted!r}; {nearest(number, numbers)}"
    found = numbers[number]
    if found.value is None:
        return Status.SKIPPED, None, found.unit, found.note or "it cannot be answered here"
    if not math.isfinite(found.value):
        return Status.ERROR, None, found.unit, f"got {found.value}, expected a finite number"
    return Status.PASS, float(found.value), found.unit, found.note


def _count(name: str, counts: Mapping[str, Any]) -> tuple[Status, float | None, str, str]:
    if name not in counts:
        return Status.ERROR, None, "", f"no count {name!r}; {nearest(name, counts)}"
    value = counts[name]
    if value is None:
        return Status.SKIPPED, None, "", "there are no images"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return Status.ERROR, None, "", f"got {value!r}, expected a finite number"
    return Status.PASS, float(value), "", ""


def _newly(name: str, news: tuple[News, ...] | None) -> tuple[Status, float | None, str, str]:
    if news is None:
        return Status.SKIPPED, None, "", f"{SKIPPED} there is no baseline to compare with"
    for told in news:
        if told.name == name:
            return Status.PASS, float(told.count), told.unit, ""
    if name in NAMES:
        reason = f"{SKIPPED} it was not measured, or too little is new to tell"
        return Status.SKIPPED, None, "", reason
    return Status.ERROR, None, "", f"no count {name!r}; {nearest(name, NAMES)}"


def _unmeasured(analysis: str, facts: Facts) -> tuple[Status, float | None, str, str]:
    from clipbatch.measure import ANALYSES

    defaults = {check.value.partition(".")[0] for check in default_checks().values()}
    known = {a.name for a in ANALYSES} | defaults
    if analysis in known:
        return Status.SKIPPED, None, "", f"{SKIPPED} {analysis} was not measured in this run"
    told = nearest(analysis, {COLLECTION, *known, *facts.findings, *facts.failed})
    return Status.ERROR, None, "", f"no analysis {analysis!r}; {told}"


def _flat(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Name nested counts by dots, give every reason a count, and add ``bad_share``."""
    flat: dict[str, Any] = {f"rejects.{reason}": 0 for reason in Reason}
    for name, value in counts.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    if {"bad", "images"} <= counts.keys():
        flat["bad_share"] = counts["bad"] / counts["images"] if counts["images"] else None
    return flat


def nearest(got: str, known: Iterable[str]) -> str:
    """Return a hint: the names most like the one that was got, or all of them."""
    names = sorted(set(known))
    near = difflib.get_close_matches(got, names, n=3, cutoff=0.4)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"


@cache
def _toml() -> dict[str, Any]:
    file = resources.files("clipbatch.report") / "checks.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))
