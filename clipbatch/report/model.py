"""What a report is made of: the run, its findings, and the gate's checks with their verdict."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from clipbatch.errors import ExitCode
from clipbatch.measure.base import Finding

SKIPPED: Final = "skipped:"  # how the reason of a skipped analysis begins; others failed


class Status(StrEnum):
    """What a check came to."""

    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"  # missed, and its severity is "warn"
    FAIL = "fail"  # missed
    ERROR = "error"  # could not be evaluated: no such number, or its analysis failed
    SKIPPED = "skipped"  # the question has no answer here, and the reason says why


class Verdict(StrEnum):
    """What the whole audit came to."""

    PASSED = "passed"
    FAILED = "failed"
    INCOMPLETE = "incomplete"


EXIT_CODES: Final = {
    Verdict.PASSED: ExitCode.PASSED,
    Verdict.FAILED: ExitCode.FAILED_AUDIT,
    Verdict.INCOMPLETE: ExitCode.INCOMPLETE,
}


@dataclass(frozen=True)
class RunRecord:
    """One execution, as the report shows it; nothing in it may be a secret.

    Attributes:
        run_id: its name.
        started, finished: with a time zone.
        source: where the pictures were, without credentials.
        encoder: slug.
        database: where the tables are, without credentials.
        config: resolved, as JSON values.
        versions: of libraries.
        counts: what was found and done. Known names have a place of their own: ``images`` (rows
            of the catalog that are not gone), ``contents``, ``ok``, ``bad``, ``new``, ``changed``,
            ``renamed``, ``relabelled``, ``back``, ``gone``, ``retried``, ``listed``, ``opened``,
            ``decoded``, ``embedded_rows``, ``vectors_rows``; mappings ``rejects`` (reason code ->
            images), ``seconds`` (verb -> seconds) and ``rates`` (what -> per second).
        tables: table name -> version that this run's readers see.
    """

    run_id: str
    started: dt.datetime | None = None
    finished: dt.datetime | None = None
    source: str = ""
    encoder: str = ""
    database: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, int] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """How long the run took; None where it is not known."""
        if self.started is None or self.finished is None:
            return None
        return max(0.0, (self.finished - self.started).total_seconds())


@dataclass(frozen=True)
class CheckResult:
    """One line of the gate, evaluated.

    Attributes:
        name: of the check.
        number: what it looks at: "<analysis>.<number>" or "collection.<count>".
        status: what it came to.
        value: of the number; None where it could not be told.
        unit: of the number.
        op, threshold, severity: as in ``config.Check``.
        reason: why it is an error or skipped, or the number's own note.
        baseline: value of the same number in the run compared with.
        delta: value - baseline.
        evidence: the query or command that lists what stands behind the number.
    """

    name: str
    number: str
    status: Status
    value: float | None
    unit: str
    op: str
    threshold: float | None
    severity: str
    reason: str = ""
    baseline: float | None = None
    delta: float | None = None
    evidence: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that the three files of a report say.

    Attributes:
        run: the execution.
        findings: analysis -> its answer, in the order of the report.
        failed: analysis -> why it has no answer; the reason begins with ``SKIPPED`` where the
            collection gave it nothing to answer, and otherwise the analysis failed.
        checks: the gate.
        verdict: of the gate and the run.
        baseline_run: the run that ``CheckResult.baseline`` comes from; empty without one.
    """

    run: RunRecord
    findings: Mapping[str, Finding]
    failed: Mapping[str, str]
    checks: tuple[CheckResult, ...]
    verdict: Verdict
    baseline_run: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """The exit status that the verdict asks for."""
        return EXIT_CODES[self.verdict]

    def count(self, status: Status) -> int:
        """How many checks came to this status."""
        return sum(check.status == status for check in self.checks)
