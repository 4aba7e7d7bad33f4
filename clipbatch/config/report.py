"""[report]: where the report goes and what fails the audit."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clipbatch.build import refuse


@dataclass(frozen=True)
class Check:
    """One line of the gate.

    Attributes:
        value: "<analysis>.<number>" or "collection.<count>".
        op: the relation that passes: "<=", "<", ">=", ">", "==" or "!=".
        threshold: the other side of it.
        severity: what a miss is: "fail" or "warn"; "off" takes the check away.
    """

    value: str
    op: str
    threshold: float
    severity: str = "fail"

    def __post_init__(self) -> None:
        operators = ("<=", "<", ">=", ">", "==", "!=")
        if self.op not in operators:
            raise refuse("report.checks.*.op", self.op, f"one of {' '.join(operators)}")
        if self.severity not in ("fail", "warn", "off"):
            raise refuse("report.checks.*.severity", self.severity, '"fail", "warn" or "off"')


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
