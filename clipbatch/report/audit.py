"""The report for programs: ``audit.json``, strict JSON that ``audit.schema.json`` describes."""

import dataclasses
import datetime as dt
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clipbatch.measure.base import Finding
from clipbatch.report.model import CheckResult, News, Past, Report, RunRecord
from clipbatch.text import UNSAFE

SCHEMA: Final = 2  # raised when a reader of the old file would misread the new


def render(report: Report) -> bytes:
    """Return the file: UTF-8 JSON without NaN, infinity, lone surrogates or hidden characters."""
    text = json.dumps(to_json(report), ensure_ascii=False, allow_nan=False, indent=2)
    text = UNSAFE.sub(_escaped, text.encode("utf-8", "replace").decode())
    return text.encode() + b"\n"


def _escaped(found: re.Match[str]) -> str:
    # Only indentation holds line breaks that are not escaped; all else is inside of strings.
    return found[0] if found[0] == "\n" else json.dumps(found[0])[1:-1]


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as JSON values: verdict, checks, run, findings without their bulk."""
    return {
        "schema": SCHEMA,
        "verdict": str(report.verdict),
        "exit_code": int(report.exit_code),
        "run": _run(report.run),
        "baseline_run": report.baseline_run or None,
        "reference_run": report.reference_run or None,
        "accepted": report.accepted,
        "new": None if report.news is None else {n.name: _new(n) for n in report.news},
        "history": [_past(past) for past in report.history],
        "checks": [check_to_json(check) for check in report.checks],
        "findings": {name: _finding(finding) for name, finding in report.findings.items()},
        "failed": dict(report.failed),
    }


def check_to_json(check: CheckResult) -> dict[str, Any]:
    """Return one check as JSON values."""
    tree: dict[str, Any] = _plain(dataclasses.asdict(check))
    return tree | {"status": str(check.status)}


def _new(news: News) -> dict[str, Any]:
    table = news.table
    return {
        "title": news.title,
        "count": _plain(news.count),
        "unit": news.unit,
        "columns": {} if table is None else _plain(table.columns),
    }


def _past(past: Past) -> dict[str, Any]:
    return {f.name: _plain(getattr(past, f.name)) for f in dataclasses.fields(past)}


def _run(run: RunRecord) -> dict[str, Any]:
    tree = {f.name: _plain(getattr(run, f.name)) for f in dataclasses.fields(run)}
    return tree | {"seconds": run.seconds}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "headline": finding.headline,
        "meaning": finding.meaning,
        "numbers": {
            number.name: {
                k: _plain(v) for k, v in dataclasses.asdict(number).items() if k != "name"
            }
            for number in finding.numbers
        },
        "tables": [
            {"title": table.title, "columns": _plain(table.columns)} for table in finding.tables
        ],
        "notes": list(finding.notes),
    }


def _plain(value: Any) -> Any:
    """Turn times, NumPy values and nested mappings into JSON values; NaN and infinity into null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_plain(inner) for inner in value]
    return str(value)
