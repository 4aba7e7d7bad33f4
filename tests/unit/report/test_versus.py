"""Laws of comparing: what was accepted does not alarm, what is new does, and nothing hides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipbatch.config import Check
from clipbatch.report import gate, numbers, versus
from clipbatch.report.model import News, Verdict
from clipbatch.report.versus import Earlier

pytestmark = pytest.mark.quick

NUMBER = "collection.bad"
NUMBERS = st.integers(-50, 50)


def one(value, check, baseline=versus.NOBODY, reference=versus.NOBODY):
    facts = numbers.Facts(counts={"bad": value, "images": 100})
    (result,) = gate.evaluate({"bad": check}, facts, baseline, reference)
    return result


def missed(value, **more):
    return Earlier("r1", {NUMBER: value}, missed={"bad": NUMBER}, **more)


def test_what_was_accepted_is_known_until_it_gets_worse():
    check = Check(NUMBER, "<=", 3)
    assert one(5, check, missed(5), missed(5, accepted=True)).status == "known"
    assert one(4, check, missed(5), missed(5, accepted=True)).status == "known"
    assert one(6, check, missed(5), missed(5, accepted=True)).status == "fail"
    assert one(5, check, missed(5), missed(5)).status == "fail"
    assert one(3, check, missed(5), missed(5, accepted=True)).status == "pass"


@given(NUMBERS, NUMBERS, NUMBERS, st.sampled_from(["<=", "<", ">=", ">", "==", "!="]))
def test_nothing_worse_than_what_was_accepted_is_known(value, then, threshold, op):
    check = Check(NUMBER, op, threshold)
    result = one(value, check, reference=missed(then, accepted=True))
    if result.status == "known":
        # Had the accepted night asked for just this much, it would have missed as well.
        assert one(then, check).status == "fail"
        assert versus.RELATIONS[op](value, threshold) is False
    if value == then:
        assert result.status in ("pass", "known")


def test_a_miss_says_whether_it_was_there_before():
    check = Check(NUMBER, "<=", 3, "warn")
    assert one(5, check, missed(5)).as_before
    assert not one(6, check, missed(5)).as_before
    assert not one(5, check, Earlier("r1", {NUMBER: 5})).as_before  # it asked otherwise then
    assert not one(5, check).as_before
    assert one(5, check, missed(5)).status == "warn"


@pytest.mark.parametrize("against", ["baseline", "reference"])
def test_a_check_may_be_about_the_change_alone(against):
    then = {against: Earlier("r1", {NUMBER: 10})}
    delta = Check(NUMBER, "<=", 2, against=against)
    assert one(12, delta, **then).status == "pass"
    assert (one(13, delta, **then).status, one(13, delta, **then).compared) == ("fail", 3)
    ratio = Check(NUMBER, "<=", 1.5, "warn", against=against, change="ratio")
    assert one(15, ratio, **then).status == "pass"
    assert (one(16, ratio, **then).status, one(16, ratio, **then).compared) == ("warn", 1.6)
    assert one(16, ratio, **{against: Earlier("r1", {NUMBER: 0})}).status == "skipped"
    assert one(16, ratio).status == "skipped"


def test_a_slow_drift_hides_from_yesterday_and_not_from_the_reference():
    def night(value, before):
        check = {"since": Check(NUMBER, "<=", 3, against="baseline")}
        check |= {"pinned": Check(NUMBER, "<=", 3, against="reference")}
        facts = numbers.Facts(counts={"bad": value, "images": 100})
        found = gate.evaluate(
            check, facts, Earlier("r", {NUMBER: before}), Earlier("r0", {NUMBER: 0})
        )
        return [str(result.status) for result in found]

    assert [night(value, value - 1) for value in (1, 2, 3, 4)] == [
        *3 * [["pass", "pass"]],
        ["pass", "fail"],
    ]


def test_what_is_new_is_never_known_nor_as_before():
    """Another leak than the accepted one, and as many of them."""
    checks = {"leaks": Check("new.exact_leaks", "==", 0)}
    facts = numbers.Facts(news=(News("exact_leaks", "Leaks", 1, "contents"),))
    then = Earlier("r", {"new.exact_leaks": 1}, accepted=True, missed={"leaks": "new.exact_leaks"})
    (result,) = gate.evaluate(checks, facts, then, then)
    assert (result.status, result.as_before) == ("fail", False)


def test_without_a_baseline_nothing_is_new_and_a_wrong_name_is_an_error():
    checks = {"a": Check("new.exact_leaks", "==", 0), "b": Check("new.exact_leeks", "==", 0)}
    assert [r.status for r in gate.evaluate(checks, numbers.Facts())] == ["skipped", "skipped"]
    right, wrong = gate.evaluate(checks, numbers.Facts(news=()))
    assert (right.status, wrong.status) == ("skipped", "error")
    assert "exact_leaks" in wrong.reason


def test_a_known_miss_passes():
    result = one(5, Check(NUMBER, "<=", 3), missed(5), missed(5, accepted=True))
    assert gate.verdict([result]) is Verdict.PASSED
