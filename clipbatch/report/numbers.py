"""What is a check's number tonight? Looked up in the findings, the counts, and what is new."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clipbatch.errors import Reason
from clipbatch.measure.base import Finding
from clipbatch.report.declared import COLLECTION, NEW, default_checks, nearest
from clipbatch.report.model import SKIPPED, News, Status
from clipbatch.report.news import NAMES


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


def look_up(
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


def flat(counts: Mapping[str, Any]) -> dict[str, Any]:
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
