"""The report for people: one HTML file that opens from disk, without a network or a script."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from clipbatch.errors import ContractBroken
from clipbatch.measure.base import Evidence, Finding, Table
from clipbatch.report import declared, facts, history
from clipbatch.report.model import SKIPPED, CheckResult, News, Report, Status, Verdict
from clipbatch.report.text import FULL, number, shorten, signed, wants
from clipbatch.text import visible

ROWS: Final = 200  # of one table; the rest is counted
OPEN_ROWS: Final = 8  # a longer table is folded
NUMBERS: Final = 16  # of one finding; further ones are folded
CELL: Final = 48  # characters
PROSE: Final = 900
PICTURES: Final = 1_400_000  # bytes of thumbnails in one page; the rest is counted

DRIFT: Final = ("arrivals", "drift")  # analyses whose answer belongs on the first page

_WORST: Final = (
    Status.FAIL,
    Status.ERROR,
    Status.WARN,
    Status.KNOWN,
    Status.SKIPPED,
    Status.PASS,
)


@dataclass
class _Pictures:
    """Hands out thumbnails as ``data:`` URIs until the page is full."""

    jpegs: Mapping[str, bytes]
    left: int = PICTURES
    refused: int = 0

    def uri(self, content_id: str) -> str:
        from clipbatch.report.thumbnails import data_uri

        jpeg = self.jpegs.get(content_id, b"")
        if not jpeg.startswith(b"\xff\xd8"):
            return ""
        if len(jpeg) > self.left:
            self.refused += 1
            return ""
        self.left -= len(jpeg)
        return data_uri(jpeg)


def render(
    report: Report, thumbnails: Mapping[str, bytes] | None = None, evidence: int = 12
) -> bytes:
    """Return the file.

    Args:
        report: what to show.
        thumbnails: content_id -> JPEG; a content without one is shown by its name.
        evidence: groups of thumbnails shown per finding.
    """
    pictures = _Pictures(thumbnails or {})
    new = [_new(told, pictures) for told in report.news or () if told.count and told.unit]
    sections = [
        _section(report, name, pictures, evidence) for name in (*report.findings, *report.failed)
    ]
    page: str = (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            title=f"Audit {report.verdict}",
            summary=_summary(report),
            checks=[_check(check) for check in sorted(report.checks, key=_rank)],
            sections=sections,
            new=new,
            moved=[(n, report.findings[n]) for n in DRIFT if n in report.findings],
            history=history.rows(report),
            left_out=pictures.refused,
            facts=facts,
        )
    )
    return page.encode("utf-8", errors="replace")


def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("clipbatch.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "cell": lambda value: _titled(value, CELL),
        "prose": lambda value: _titled(value, PROSE),
        "line": shorten,
        "number": number,
        "signed": signed,
    }
    environment.filters |= filters
    return environment


def _titled(value: Any, limit: int) -> Any:
    """Show a value in few characters, isolated from the text around it; all of it as a tooltip."""
    from markupsafe import Markup

    if value is None or isinstance(value, bool | int | float):
        return number(value)
    shown, full = shorten(value, limit), visible(value)
    parts = re.split(r"(?<=[/_])(?=\w)", shown) if limit == CELL else [shown]
    broken = Markup("<wbr>").join(parts)  # names break where a person would break them
    if shown == full:
        return Markup("<bdi>{}</bdi>").format(broken)
    return Markup('<bdi title="{}">{}</bdi>').format(full[:FULL], broken)


def _summary(report: Report) -> str:
    """One sentence under the verdict."""
    words = {
        Status.FAIL: "failed",
        Status.ERROR: "could not be evaluated",
        Status.WARN: "warned",
        Status.KNOWN: "missed as accepted",
        Status.SKIPPED: "skipped",
    }
    told = [
        f"{report.count(status)} {word}" for status, word in words.items() if report.count(status)
    ]
    missed = (Status.FAIL, Status.ERROR, Status.WARN)
    old = sum(check.as_before for check in report.checks if check.status in missed)
    total = len(report.checks)
    checks = f"Of {total} check{'s' * (total != 1)}, {', '.join(told) or 'all passed'}."
    if old:
        checks += f" {old} of these {'is' if old == 1 else 'are'} as before."
    if not total:
        checks = "No checks were asked for."
    if report.verdict is Verdict.INCOMPLETE:
        return f"Work is left: run the same command again to continue. {checks}"
    return checks


def _rank(check: CheckResult) -> int:
    return _WORST.index(check.status)


def _check(check: CheckResult) -> dict[str, Any]:
    return {
        "check": check,
        "title": check.name.replace("_", " "),
        "wanted": wants(check).replace(check.op, _SIGNS[check.op]),
    }


_SIGNS: Final = {"<=": "≤", ">=": "≥", "==": "=", "!=": "≠", "<": "<", ">": ">"}


def _new(told: News, pictures: _Pictures) -> dict[str, Any]:
    return {
        "title": told.title,
        "count": told.count,
        "unit": told.unit,
        "name": told.name,
        "table": None if told.table is None else _table(told.table),
        "groups": [_group(group, pictures) for group in told.evidence],
    }


def _section(report: Report, name: str, pictures: _Pictures, evidence: int) -> dict[str, Any]:
    """Everything the template shows of one analysis."""
    checks = [c for c in report.checks if c.number.partition(".")[0] == name]
    # A skipped check says nothing about an analysis that gave an answer.
    statuses = {check.status for check in checks} - {Status.SKIPPED}
    reason = report.failed.get(name, "")
    section: dict[str, Any] = {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "status": next((status for status in _WORST if status in statuses), None),
        "checks": checks,
        "reason": reason,
        "finding": report.findings.get(name),
        "skipped": reason.startswith(SKIPPED),
        "query": declared.evidence(name, report.run.encoder),
    }
    if name in report.failed:
        section["finding"] = None
        section["status"] = Status.SKIPPED if section["skipped"] else Status.ERROR
        return section
    finding = report.findings[name]
    return section | {
        "figures": _figures(name, finding),
        "interval": _shared_interval(finding),
        "first": finding.numbers[:NUMBERS],
        "further": finding.numbers[NUMBERS:],
        "tables": [_table(table) for table in finding.tables],
        "groups": [_group(group, pictures) for group in finding.evidence[:evidence]],
        "more_groups": max(0, len(finding.evidence) - evidence),
    }


def _shared_interval(finding: Finding) -> str:
    """Return what the intervals are, where they are all of one kind: then it is said once."""
    kinds = {found.interval for found in finding.numbers if found.low is not None}
    return kinds.pop() if len(kinds) == 1 else ""


def _figures(name: str, finding: Finding) -> list[dict[str, Any]]:
    from markupsafe import Markup

    from clipbatch.report.figures import draw

    drawn = []
    for n, figure in enumerate(finding.figures):
        try:
            # Safe: every text inside was escaped when the SVG was written.
            picture, problem = Markup(draw(figure, f"{facts.anchor(name)}-{n}-")), ""  # noqa: S704
        except ContractBroken as error:
            picture, problem = Markup(), str(error)
        wide = figure.kind == "heatmap"
        drawn.append({"title": figure.title, "svg": picture, "problem": problem, "wide": wide})
    return drawn


def _table(table: Table) -> dict[str, Any]:
    columns = [list(cells) for cells in table.columns.values()]
    numeric = [
        all(cell is None or isinstance(cell, int | float) for cell in cells) for cells in columns
    ]
    count = max(map(len, columns), default=0)
    return {
        "title": table.title,
        "names": list(zip(table.columns, numeric, strict=True)),
        "rows": [list(zip(row, numeric, strict=True)) for row in zip(*columns, strict=False)][
            :ROWS
        ],
        "count": count,
        "open": count <= OPEN_ROWS,
        "more": max(0, count - ROWS),
    }


def _group(group: Evidence, pictures: _Pictures) -> dict[str, Any]:
    captions: Sequence[str] = (*group.captions, *[""] * len(group.content_ids))
    return {
        "title": group.title,
        "pictures": [
            {"id": content_id, "uri": pictures.uri(content_id), "caption": caption}
            for content_id, caption in zip(group.content_ids, captions, strict=False)
        ],
    }
