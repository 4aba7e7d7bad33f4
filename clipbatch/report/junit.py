"""The report for CI systems: ``junit.xml``, one test case per check and per analysis."""

import xml.etree.ElementTree as ET  # written here, never parsed
from collections.abc import Iterable
from itertools import groupby

from clipbatch.report.model import SKIPPED, CheckResult, Report, Status, Verdict
from clipbatch.report.text import number, wants
from clipbatch.text import visible

RUN = "run"  # the suite that holds the run itself


def render(report: Report) -> bytes:
    """Return the file.

    A fail is a failure, an error and a failed analysis are errors, skipped is skipped; a warning
    passes and says so in its system-out. Characters that XML forbids are written as escapes.
    """
    root = ET.Element("testsuites", name="clipbatch audit")
    ordered = sorted(report.checks, key=_suite)
    for name, checks in groupby(ordered, key=_suite):
        _add_suite(root, report, name, [_check(check) for check in checks])
    analyses = [_analysis(report, name) for name in (*report.findings, *report.failed)]
    _add_suite(root, report, RUN, [*analyses, _complete(report)])
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in root)))
    root.set("time", _seconds(report))
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(check: CheckResult) -> str:
    return check.number.partition(".")[0]


def _add_suite(root: ET.Element, report: Report, name: str, cases: Iterable[ET.Element]) -> None:
    suite = ET.SubElement(root, "testsuite", name=visible(name))
    suite.extend(cases)
    suite.set("tests", str(len(suite)))
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(sum(case.find(tag) is not None for case in suite)))
    suite.set("time", _seconds(report) if name == RUN else "0")
    if report.run.started is not None:
        suite.set("timestamp", report.run.started.isoformat(timespec="seconds"))


def _case(suite: str, name: str) -> ET.Element:
    return ET.Element(
        "testcase", classname=f"clipbatch.{visible(suite)}", name=visible(name), time="0"
    )


def _say(case: ET.Element, tag: str, message: str, detail: str = "") -> ET.Element:
    said = ET.SubElement(case, tag, message=visible(message))
    if detail:
        said.text = "\n".join(visible(line) for line in detail.splitlines())
    return case


def _check(check: CheckResult) -> ET.Element:
    case = _case(_suite(check), check.name)
    told = f"{check.number} is {number(check.value)} {check.unit}".rstrip()
    wanted = f"expected {wants(check)}"
    detail = f"{told}; {wanted}\n{check.reason}\nevidence: {check.evidence}"
    if check.status is Status.FAIL:
        _say(case, "failure", f"{told}; {wanted}", detail)
    elif check.status is Status.ERROR:
        _say(case, "error", check.reason, detail)
    elif check.status is Status.SKIPPED:
        _say(case, "skipped", check.reason)
    elif check.status in (Status.WARN, Status.KNOWN):
        said = {Status.WARN: "warning", Status.KNOWN: "known, accepted"}[check.status]
        before = " (as before)" if check.as_before else ""
        ET.SubElement(case, "system-out").text = visible(f"{said}{before}: {told}; {wanted}")
    return case


def _analysis(report: Report, name: str) -> ET.Element:
    case = _case(RUN, f"{name} is answered")
    reason = report.failed.get(name)
    if reason is None:
        return case
    return _say(case, "skipped" if reason.startswith(SKIPPED) else "error", reason)


def _complete(report: Report) -> ET.Element:
    case = _case(RUN, "the run is complete")
    if report.verdict is Verdict.INCOMPLETE:
        _say(case, "error", "work is left: run the same command again to continue")
    return case


def _seconds(report: Report) -> str:
    return f"{report.run.seconds or 0:.3f}"
