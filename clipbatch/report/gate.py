"""Did the collection pass? Every check is held against the findings' numbers and the counts."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from clipbatch.config import Check
from clipbatch.report import versus
from clipbatch.report.declared import evidence
from clipbatch.report.model import SKIPPED, CheckResult, Report, RunRecord, Status, Verdict
from clipbatch.report.numbers import Facts, flat, look_up
from clipbatch.report.versus import RELATIONS, Earlier


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
    counts = flat(facts.counts)
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
    counts = flat(facts.counts)
    found = {check.value: look_up(check.value, facts, counts)[1] for check in checks.values()}
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


def _evaluate(name: str, check: Check, facts: Facts, counts: Mapping[str, Any]) -> CheckResult:
    status, value, unit, reason = look_up(check.value, facts, counts)
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
