"""What happens to the other units when some fail."""

import pytest
from ray.exceptions import RayTaskError, WorkerCrashedError

from clipbatch.errors import ContractBroken, UnitFailed
from clipbatch.runtime.failures import MOST, Failures

pytestmark = pytest.mark.quick


def raised(cause):
    return RayTaskError("compute_unit", "Traceback\nlast line", cause)


def test_without_a_failure_nothing_is_raised():
    Failures("angles").check()


def test_one_failure_stops_no_other_and_is_raised_at_the_end():
    failures = Failures("angles")
    failures.add("repeats=0-3", WorkerCrashedError())
    assert not failures.final
    with pytest.raises(UnitFailed, match=r"angles, unit repeats=0-3: .*finished units are kept"):
        failures.check()


def test_a_unit_that_says_itself_why_it_failed_is_quoted():
    failures = Failures("angles")
    failures.add("u", raised(UnitFailed("angles: no room")))
    with pytest.raises(UnitFailed, match=r"^angles: no room$"):
        failures.check()


def test_many_failures_stop_the_rest_and_are_counted():
    failures = Failures("angles")
    for unit in range(MOST):
        assert not failures.final
        failures.add(str(unit), raised(ValueError("x")))
    assert failures.final
    with pytest.raises(UnitFailed, match=f"unit 0: .*{MOST} units failed"):
        failures.check()


def test_a_broken_contract_stops_at_once_and_outranks_the_others():
    failures = Failures("angles")
    failures.add("a", raised(ValueError("x")))
    failures.add("b", raised(ContractBroken("NaN")))
    assert failures.final
    with pytest.raises(ContractBroken, match="NaN"):
        failures.check()
