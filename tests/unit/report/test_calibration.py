"""Thresholds keep what was seen, alarm about as rarely as asked, and say how sure that is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipbatch.report.calibration import LEAST, any_alarm, calibrate, spans, wilson

pytestmark = pytest.mark.quick

nights = st.lists(st.floats(-1e6, 1e6), min_size=LEAST, max_size=30)


@given(nights, st.sampled_from(["<=", "<"]), st.floats(0.001, 0.4))
@settings(max_examples=60, deadline=None)
def test_nothing_that_was_seen_is_an_alarm(values, op, rate):
    assert calibrate(values, op, rate).threshold >= max(values)


@given(nights)
@settings(max_examples=40, deadline=None)
def test_a_lower_limit_is_the_mirror_of_an_upper_one(values):
    upper, lower = calibrate(values, "<="), calibrate([-v for v in values], ">=")
    assert lower.threshold == -upper.threshold
    assert lower.alarms == upper.alarms


def test_a_rarer_alarm_needs_a_wider_threshold():
    values = np.random.default_rng(0).normal(size=20).tolist()
    limits = [calibrate(values, "<=", rate).threshold for rate in (0.2, 0.05, 0.01, 0.001)]
    assert limits == sorted(limits)
    assert limits[0] < limits[-1]


def test_the_next_night_alarms_as_rarely_as_was_asked():
    rng = np.random.default_rng(1)
    worlds = rng.normal(3, 2, size=(2000, 13))
    alarms = [row[-1] > calibrate(row[:-1].tolist(), "<=", 0.05).threshold for row in worlds]
    # The limit is never within what was seen, so 0.05 is not exceeded, and nearly reached.
    assert 0.02 < np.mean(alarms) < 0.06


def test_nights_that_never_differ_allow_no_other_value():
    found = calibrate([2.0] * 9, "<=")
    assert (found.threshold, found.alarms, found.rate) == (2.0, 0, 0.0)
    assert 0 < found.high < 0.5  # nine nights are few


def test_a_night_unlike_the_others_is_counted_as_a_false_alarm():
    found = calibrate([1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 9.0], "<=")
    assert found.alarms == 1
    assert found.low < 1 / 7 < found.high


@pytest.mark.parametrize("values", [[], [1.0] * (LEAST - 1), [None, float("nan"), 1.0, 2.0]])
def test_few_nights_give_no_threshold(values):
    found = calibrate(values, "<=")
    assert found.threshold is None
    assert found.rate is None


@pytest.mark.parametrize(("op", "rate"), [("==", 0.01), ("<=", 0.0), ("<=", 0.7)])
def test_what_has_no_side_or_no_sense_is_refused(op, rate):
    with pytest.raises(ValueError, match="got"):
        calibrate([1.0] * 9, op, rate)


def test_several_checks_alarm_together_at_most_as_often_as_their_sum():
    rng = np.random.default_rng(2)
    values = {name: rng.normal(size=40).tolist() for name in "abc"}
    ops = dict.fromkeys("abc", "<=")
    alone = [calibrate(values[name], "<=", 0.1).alarms for name in "abc"]
    together = any_alarm(values, ops, 0.1)
    assert max(alone) <= together.alarms <= sum(alone)
    assert together.alarms > 0


def test_spans_add_up_what_nights_in_a_row_brought():
    assert spans([None, 1, 2, None, 4], 2) == [None, 1, 3, 2, 4]
    assert spans([None, None, 3], 2) == [None, None, 3]
    assert spans([1, 2, 3], 1) == [1, 2, 3]
    assert spans([], 2) == []


def test_a_longer_span_gives_no_tighter_threshold():
    brought = np.random.default_rng(3).poisson(2, size=30).tolist()
    limits = [calibrate(spans(brought, count), "<=").threshold for count in (1, 2, 3)]
    assert limits == sorted(limits)


def test_sums_that_share_a_night_do_not_judge_each_other():
    one_flood = spans([1.0] * 10 + [50.0] + [1.0] * 10, 2)  # it stands in two sums
    assert calibrate(one_flood, "<=", span=1).alarms == 0
    assert calibrate(one_flood, "<=", span=2).alarms == 2
    together = any_alarm({"new": one_flood}, {"new": "<="}, span={"new": 2})
    assert together.alarms == 2


def test_wilson_is_the_published_interval():
    low, high = wilson(15, 50)
    assert (round(low, 3), round(high, 3)) == (0.191, 0.438)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 30)[0] == 0.0
