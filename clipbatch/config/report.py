"""[report]: where the report goes and what fails the audit."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clipbatch.build import refuse


@dataclass(frozen=True)
class Check:
    """One line of the gate.

    Attributes:
        value: "<analysis>.<number>", "collection.<count>", or "new.<count>" of what was not there
            at the baseline.
        op: the relation that passes: "<=", "<", ">=", ">", "==" or "!=".
        threshold: the other side of it.
        severity: what a miss is: "fail" or "warn"; "off" takes the check away.
        against: "" holds the value itself against the threshold; "baseline" and "reference" hold
            its change since that run.
        change: "delta" (tonight less then) or "ratio" (tonight by then).
    """

    value: str
    op: str
    threshold: float
    severity: str = "fail"
    against: str = ""
    change: str = "delta"

    def __post_init__(self) -> None:
        operators = ("<=", "<", ">=", ">", "==", "!=")
        if self.op not in operators:
            raise refuse("report.checks.*.op", self.op, f"one of {' '.join(operators)}")
        if self.severity not in ("fail", "warn", "off"):
            raise refuse("report.checks.*.severity", self.severity, '"fail", "warn" or "off"')
        if self.against not in ("", "baseline", "reference"):
            expected = '"", "baseline" or "reference"'
            raise refuse("report.checks.*.against", self.against, expected)
        if self.change not in ("delta", "ratio"):
            raise refuse("report.checks.*.change", self.change, '"delta" or "ratio"')


@dataclass(frozen=True)
class ReportConfig:
    """Where the report goes and what fails the audit.

    Attributes:
        folder: for report.html, audit.json and junit.xml.
        checks: name -> check; given ones join and override the defaults.
        baseline: the run that tonight is compared with, or its tag; "" takes the last one of the
            same encoder that passed or was accepted, "none" compares with nothing.
        evidence: groups of thumbnails shown per finding.
    """

    folder: str = "clipbatch-report"
    checks: Mapping[str, Check] = field(default_factory=dict)
    baseline: str = ""
    evidence: int = 12
