"""What a report is made of: the run, its findings, and the gate's checks with their verdict."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from clipbatch.errors import ExitCode
from clipbatch.measure.base import Evidence, Finding, Table

SKIPPED: Final = "skipped:"  # how the reason of a skipped analysis begins; others failed


class Status(StrEnum):
    """What a check came to."""

    PASS = "pass"  # noqa: S105 - not a password
    KNOWN = "known"  # missed, and no worse than in the run that a person accepted
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
            ``decoded``, ``embedded_rows``, ``vectors_rows``, ``shown``; mappings ``rejects``
            (reason code -> images), ``seconds`` (verb -> seconds) and ``rates``
            (what -> per second).
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
        against, change: as in ``config.Check``.
        reference: value of the same number in the reference run.
        compared: what was held against the threshold: the value, or its change.
        as_before: missed, and missed at the baseline too, no less badly.
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
    against: str = ""
    change: str = "delta"
    reference: float | None = None
    compared: float | None = None
    as_before: bool = False


@dataclass(frozen=True)
class News:
    """One thing that is there tonight and was not at the baseline.

    Attributes:
        name: checks name it "new.<name>".
        title: what it is, for a person.
        count: how many, or a share.
        unit: of the count; empty for a share.
        table: the first of them.
        evidence: pictures of the first of them.
    """

    name: str
    title: str
    count: float
    unit: str = ""
    table: Table | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Past:
    """One earlier night, for the history.

    Attributes:
        run_id, verdict: of the run.
        started: with a time zone.
        values: check -> value of its number, None where it had none.
        statuses: check -> what it came to.
    """

    run_id: str
    verdict: str
    started: dt.datetime | None
    values: Mapping[str, float | None] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)


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
        reference_run: the run that ``CheckResult.reference`` comes from; empty without one.
        accepted: whether a person accepted the reference.
        news: what is new since the baseline; None where there is no baseline to compare with.
        history: earlier nights of the same encoder, oldest first.
    """

    run: RunRecord
    findings: Mapping[str, Finding]
    failed: Mapping[str, str]
    checks: tuple[CheckResult, ...]
    verdict: Verdict
    baseline_run: str = ""
    reference_run: str = ""
    accepted: bool = False
    news: tuple[News, ...] | None = None
    history: tuple[Past, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """The exit status that the verdict asks for."""
        return EXIT_CODES[self.verdict]

    def count(self, status: Status) -> int:
        """How many checks came to this status."""
        return sum(check.status == status for check in self.checks)
