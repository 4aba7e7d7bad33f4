"""Laws of the gate: every check comes to a status with a reason, and the verdict follows."""

import json
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipbatch.config import Check
from clipbatch.errors import ConfigError, ExitCode, Reason
from clipbatch.measure.base import Finding, Number
from clipbatch.report import audit, declared, gate, numbers
from clipbatch.report.model import EXIT_CODES, RunRecord, Status, Verdict
from clipbatch.report.versus import Earlier
from tests.unit.report import examples

pytestmark = pytest.mark.quick

OPERATORS = {
    "<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
FINITE = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = FINITE | st.integers(-3, 3)
FACTS = numbers.Facts(
    findings={
        "clusters": Finding(
            "h",
            (
                Number("ami", 0.7, note="shuffled: 0.0"),
                Number("ari", None, note="one class only"),
                Number("k", 14, "clusters"),
            ),
        )
    },
    counts={"images": 200, "bad": 3, "rejects": {"truncated": 3}, "pending": True},
    failed={"angles": "skipped: one class", "homology": "failed: out of memory"},
)


def one(value, op="<=", threshold=1.0, severity="fail", facts=FACTS, baseline=None):
    check = Check(value, op, threshold, severity)
    (result,) = gate.evaluate({"name": check}, facts, Earlier("r", baseline or {}))
    return result


@given(NUMBERS, st.sampled_from(sorted(OPERATORS)), NUMBERS, st.sampled_from(["fail", "warn"]))
def test_a_check_is_its_relation(value, op, threshold, severity):
    facts = numbers.Facts({"a": Finding("h", (Number("n", value),))})
    result = one("a.n", op, float(threshold), severity, facts)
    held = OPERATORS[op](value, threshold)
    assert result.status == ("pass" if held else severity)
    assert result.value == value


@pytest.mark.parametrize(
    ("value", "status", "reason"),
    [
        ("clusters.ami", "pass", "shuffled: 0.0"),
        ("clusters.ari", "skipped", "one class only"),
        ("clusters.am", "error", "did you mean ami"),
        ("angles.floor", "skipped", "one class"),
        ("homology.floor", "error", "out of memory"),
        ("duplicates.near_leaks", "skipped", "not measured in this run"),
        ("cluster.ami", "error", "did you mean clusters"),
        ("collection.bad_share", "pass", ""),
        ("collection.imagse", "error", "did you mean images"),
        ("collection.rejects.truncated", "fail", ""),
        ("collection.rejects.empty", "pass", ""),
        ("collection.pending", "error", "finite number"),
        ("", "error", "no analysis"),
    ],
)
def test_every_check_comes_to_a_status_with_its_reason(value, status, reason):
    result = one(value)
    assert result.status == status
    assert reason in result.reason


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_a_threshold_that_is_not_finite_is_an_error_and_strict_json(threshold):
    result = one("clusters.ami", threshold=threshold)
    assert result.status == "error"
    json.dumps(audit.check_to_json(result), allow_nan=False)


def test_a_share_without_images_is_skipped():
    result = one("collection.bad_share", facts=numbers.Facts(counts={"images": 0, "bad": 0}))
    assert result.status == "skipped"


def test_every_reason_can_be_checked():
    for reason in Reason:
        assert one(f"collection.rejects.{reason}").status != "error"


def test_the_baseline_gives_the_change():
    result = one("clusters.k", baseline={"clusters.k": 11.0})
    assert (result.value, result.baseline, result.delta) == (14, 11, 3)
    assert one("clusters.k").delta is None
    assert one("clusters.ari", baseline={"clusters.ari": 1.0}).delta is None


def test_the_baseline_is_read_from_an_earlier_report():
    earlier = [audit.check_to_json(check) for check in examples.report().checks]
    checks = {"k": Check("clusters.ami", ">=", 0.5), "m": Check("clusters.amii", ">=", 0.5)}
    facts = numbers.Facts(examples.report().findings, {})
    before = gate.earlier("r", checks, facts, results=json.loads(json.dumps(earlier)))
    results = gate.evaluate(checks, facts, before)
    assert [result.delta for result in results] == [0.0, None]
    # What retention took away is read from the checks of that night.
    assert gate.earlier("r", checks, numbers.Facts(), results=earlier).values.keys() == {
        check["number"] for check in earlier if check["value"] is not None
    }


STATUSES = st.lists(st.sampled_from(list(Status)), max_size=6)


def results_of(statuses):
    base = one("clusters.ami")
    return [type(base)(**(vars(base) | {"status": status})) for status in statuses]


@given(STATUSES, st.booleans())
def test_the_verdict_follows_from_the_statuses(statuses, incomplete):
    verdict = gate.verdict(results_of(statuses), incomplete=incomplete)
    if incomplete:
        assert verdict is Verdict.INCOMPLETE
    elif {"fail", "error"} & set(statuses):
        assert verdict is Verdict.FAILED
    else:
        assert verdict is Verdict.PASSED


def test_exit_codes_are_the_designs():
    assert {str(v): int(c) for v, c in EXIT_CODES.items()} == {
        "passed": 0, "failed": 1, "incomplete": 3,
    }  # fmt: skip
    assert examples.report().exit_code is ExitCode.FAILED_AUDIT


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [({}, "passed"), ({"a": "skipped: no labels"}, "passed"), ({"a": "failed: x"}, "incomplete")],
)
def test_a_failed_analysis_leaves_the_run_incomplete(failed, verdict):
    report = gate.judge(RunRecord("r"), numbers.Facts(failed=failed), {})
    assert report.verdict == verdict


def test_the_defaults_hold_over_the_example():
    results = {c.name: c for c in examples.report(given=declared.merged_checks({})).checks}
    assert results.keys() == declared.default_checks().keys()
    assert results["bad_images"].status == "pass"
    assert results["exact_duplicates"].status == "fail"
    assert results["near_leaks"].status == "warn"
    assert not [c for c in results.values() if c.status == "error"]


def test_given_checks_join_override_and_switch_off():
    given = {
        "mine": Check("clusters.ami", ">=", 0.5),
        "bad_images": Check("collection.bad", "<=", 7, "warn"),
    }
    merged = declared.merged_checks(given)
    assert merged["mine"] == given["mine"]
    assert merged["bad_images"].threshold == 7
    assert merged.keys() == declared.default_checks().keys() | {"mine"}
    off = Check("collection.bad", "<=", 7, "off")
    assert "bad_images" not in declared.merged_checks({"bad_images": off})


@pytest.mark.parametrize("value", ["clusters", "clusters.", "clutsers.ami", ""])
def test_a_check_of_nothing_is_refused_before_any_work(value):
    with pytest.raises(ConfigError, match=r"report\.checks\.mine\.value"):
        declared.refuse_unknown({"mine": Check(value, "<=", 1)}, ["clusters"])


def test_known_checks_are_not_refused():
    checks = declared.merged_checks({"mine": Check("clusters.ami", ">=", 0.5)})
    declared.refuse_unknown(checks, ["clusters"])


@pytest.mark.parametrize(
    ("number", "query"),
    [
        ("collection.bad", "clipbatch rejects"),
        ("collection.rejects.truncated", "clipbatch rejects"),
        ("collection.images", '"catalog"'),
        ("duplicates.near_pairs", "pairs__slug"),
        ("duplicates.exact_groups", "clipbatch show duplicates"),
        ("homology.floor", "clipbatch show homology"),
    ],
)
def test_every_number_has_a_query_for_its_evidence(number, query):
    found = declared.evidence(number, "slug")
    assert query in found
    assert "{" not in found


def test_the_queries_run(tmp_path):
    lancedb = pytest.importorskip("lancedb")
    db = lancedb.connect(tmp_path)
    db.create_table("catalog", [{"uri": "a", "status": "ok"}, {"uri": "b", "status": "gone"}])
    assert eval(declared.evidence("collection.gone"), {"db": db})["uri"].to_pylist() == ["b"]
    assert len(eval(declared.evidence("collection.images"), {"db": db})) == 2
