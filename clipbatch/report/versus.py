"""Is it worse than it was? A check beside the same number of the baseline and of the reference.

Three things follow from it. A check may be about the change alone. A miss that a person has
accepted, and that is no worse now, is *known*: shown, and no alarm. And a miss tells whether it
was there at the baseline, so that a new one stands out and an old one does not hide.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from clipbatch.report.model import CheckResult, Status

RELATIONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
}
_NAMES: Final = {"baseline": "the baseline", "reference": "the reference"}


@dataclass(frozen=True)
class Earlier:
    """An earlier run, as the checks see it.

    Attributes:
        run_id: its name; empty where there is none.
        values: number -> its value then.
        accepted: whether a person accepted that run.
        missed: the checks that it missed -> their number.
    """

    run_id: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    accepted: bool = False
    missed: Mapping[str, str] = field(default_factory=dict)


NOBODY: Final = Earlier()


def weigh(result: CheckResult, baseline: Earlier, reference: Earlier) -> CheckResult:
    """Return a check with what the two earlier runs say about it."""
    before, pinned = (run.values.get(result.number) for run in (baseline, reference))
    known = replace(
        result,
        baseline=before,
        delta=None if result.value is None or before is None else result.value - before,
        reference=pinned,
    )
    if result.against:
        known = _change(known, baseline if result.against == "baseline" else reference)
    # What came since the baseline is no old trouble, and nobody has accepted it.
    fresh = result.against == "baseline" or result.number.startswith("new.")
    if known.status not in (Status.WARN, Status.FAIL) or fresh:
        return known
    as_before = baseline.missed.get(result.name) == result.number and _no_worse(known, before)
    if reference.accepted and not result.against and _no_worse(known, pinned):
        reason = f"known: accepted with run {reference.run_id}, and no worse now"
        return replace(known, status=Status.KNOWN, reason=reason, as_before=as_before)
    return replace(known, as_before=as_before)


def _change(result: CheckResult, run: Earlier) -> CheckResult:
    if result.status is not Status.PASS or result.value is None or result.threshold is None:
        return result
    then = run.values.get(result.number)
    if then is None:
        what = "did not have this number" if run.run_id else "is not there yet"
        reason = f"skipped: {_NAMES[result.against]} {what}"
        return replace(result, status=Status.SKIPPED, reason=reason)
    if result.change == "ratio" and then == 0:
        reason = f"skipped: it was 0 at {_NAMES[result.against]}, which has no ratio"
        return replace(result, status=Status.SKIPPED, reason=reason)
    compared = result.value / then if result.change == "ratio" else result.value - then
    held = RELATIONS[result.op](compared, result.threshold)
    missed = Status.WARN if result.severity == "warn" else Status.FAIL
    return replace(result, compared=compared, status=Status.PASS if held else missed)


def _no_worse(result: CheckResult, then: float | None) -> bool:
    """Tell whether a missed value lies no further on the wrong side than it did then."""
    if then is None or result.value is None or result.threshold is None:
        return False
    if result.op in ("<=", "<"):
        return result.value <= then
    if result.op in (">=", ">"):
        return result.value >= then
    if result.op == "==":
        return abs(result.value - result.threshold) <= abs(then - result.threshold)
    return result.value == then
