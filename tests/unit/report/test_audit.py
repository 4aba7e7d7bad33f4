"""Laws of audit.json: strict JSON, valid under its schema, whatever the run held."""

import json
import unicodedata
from importlib import resources

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipbatch.measure.base import Finding, Number, Table
from clipbatch.report import audit, declared, gate, numbers
from clipbatch.report.model import RunRecord
from tests.unit.report import examples

pytestmark = pytest.mark.quick

SCHEMA = json.loads(
    (resources.files("clipbatch.report") / "audit.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def parsed(report):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(audit.render(report).decode("utf-8"), parse_constant=refuse)


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "report",
    [
        examples.report(),
        examples.report(names=examples.HOSTILE[:14]),
        examples.report(failed={"topics": "skipped: none"}, given={}),
        examples.report(failed={"topics": "failed: memory"}, started=None, finished=None),
        gate.judge(RunRecord("r"), numbers.Facts(), declared.merged_checks({})),
    ],
    ids=["example", "hostile", "skipped", "failed", "empty"],
)
def test_every_report_is_valid(report):
    tree = parsed(report)
    VALIDATOR.validate(tree)
    assert tree["verdict"] == report.verdict
    assert tree["exit_code"] == report.exit_code
    assert [check["status"] for check in tree["checks"]] == [c.status for c in report.checks]
    assert tree["findings"].keys() == report.findings.keys()


def test_numbers_are_found_by_name_with_their_interval():
    ami = parsed(examples.report())["findings"]["clusters"]["numbers"]["ami"]
    assert (ami["value"], ami["low"], ami["high"]) == (0.7132, 0.696, 0.731)
    assert ami["interval"] == "bootstrap 95 %"


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "passed"},
        {"exit_code": 2},
        {"schema": 1},
        {"extra": 1},
        {"checks": [{}]},
        {"findings": {"a": {"headline": "h"}}},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_report_never_says(change):
    assert not VALIDATOR.is_valid(parsed(examples.report()) | change)


ANY_TEXT = st.text(st.characters(), max_size=20)
ANY_NUMBER = st.floats() | st.integers()


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(ANY_TEXT, ANY_NUMBER | ANY_TEXT | st.dictionaries(ANY_TEXT, ANY_NUMBER)),
    ANY_TEXT,
    ANY_NUMBER,
)
def test_whatever_a_run_holds_is_strict_json(counts, text, value):
    finding = Finding(
        text,
        (Number(text, value, text, low=value),),
        tables=(Table(text, {text: np.array([value, 1.0])}),),
        notes=(text,),
    )
    run = RunRecord("r", source=text, config={text: value})
    report = gate.judge(run, numbers.Facts({"a": finding}, counts), declared.merged_checks({}))
    VALIDATOR.validate(parsed(report))


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_text_comes_back_whole_and_no_byte_of_it_moves_a_terminal(text):
    report = examples.report(failed={"topics": f"failed: {text}"})
    data = audit.render(report).decode()
    assert json.loads(data)["failed"]["topics"] == f"failed: {text}"
    assert not [c for c in data if c != "\n" and unicodedata.category(c) in ("Cc", "Zl", "Zp")]
    assert not set(data) & set("\u202e\u2066\u200b")
