"""Laws of junit.xml: well-formed, its counts add up, and every status keeps its meaning."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipbatch.config import Check
from clipbatch.measure.base import Finding, Number
from clipbatch.report import gate, junit, numbers
from clipbatch.report.model import RunRecord, Status
from tests.unit.report import examples

pytestmark = pytest.mark.quick

TAGS = {
    "pass": [],
    "warn": ["system-out"],
    "known": ["system-out"],
    "fail": ["failure"],
    "error": ["error"],
    "skipped": ["skipped"],
}
COUNTS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def parsed(report):
    return ET.fromstring(junit.render(report))


def holds(root):
    """The structure that CI systems read, with counts that agree at every level."""
    assert root.tag == "testsuites"
    for suite in root:
        assert suite.tag == "testsuite"
        assert {case.tag for case in suite} == {"testcase"}
        assert int(suite.get("tests")) == len(suite)
        for count, tag in COUNTS.items():
            assert int(suite.get(count)) == len(suite.findall(f"testcase/{tag}"))
        for case in suite:
            assert case.get("name") is not None
            assert case.get("classname").startswith("clipbatch.")
            assert len(case) <= 1
    for count in ("tests", *COUNTS):
        assert int(root.get(count)) == sum(int(suite.get(count)) for suite in root)


def test_every_check_is_a_case_with_its_status():
    report = examples.report()
    root = parsed(report)
    holds(root)
    for check in report.checks:
        suite = check.number.partition(".")[0]
        (case,) = [
            c
            for c in root.findall(f"testsuite[@name='{suite}']/testcase")
            if c.get("name") == check.name
        ]
        assert [child.tag for child in case] == TAGS[check.status]
    assert {c.status for c in report.checks} == set(Status)


def test_the_message_of_a_failure_says_what_was_got_and_wanted():
    failure = parsed(examples.report()).find(".//failure")
    assert failure.get("message") == "clusters.ami is 0.7132; expected >= 0.75"
    assert "evidence: clipbatch show clusters" in failure.text


def test_failed_and_skipped_analyses_and_an_incomplete_run_are_told():
    root = parsed(
        examples.report(failed={"topics": "failed: memory", "captions": "skipped: no captions"})
    )
    holds(root)
    cases = {case.get("name"): case for case in root.findall("testsuite[@name='run']/testcase")}
    assert cases["topics is answered"].find("error").get("message") == "failed: memory"
    assert cases["captions is answered"].find("skipped") is not None
    assert cases["duplicates is answered"].find("*") is None
    assert cases["the run is complete"].find("error") is not None


@settings(max_examples=80, deadline=None)
@given(*[st.text(st.characters(), max_size=30)] * 3)
def test_hostile_text_never_breaks_the_file(name, number, reason):
    checks = {name: Check(number, "<=", 1), "a": Check(f"a.{number}", "<=", 1)}
    finding = Finding("h", (Number(number, None, note=reason), Number("x", 2.0, reason)))
    report = gate.judge(
        RunRecord("r"), numbers.Facts({"a": finding}, failed={name: reason}), checks
    )
    holds(parsed(report))


@pytest.mark.parametrize("text", examples.HOSTILE)
def test_hostile_labels_by_example(text):
    report = examples.report(failed={text: f"failed: {text}"}, given={text: Check(text, "<", 1)})
    holds(parsed(report))
