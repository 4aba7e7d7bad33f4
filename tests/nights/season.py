"""A season: which night brings what, how each is audited, and what came of it."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.nights import ordinary
from tests.nights.planted import Fault
from tests.nights.tree import Tree, grow

Audit = Callable[[Path], int]
"""Audits the season below a folder once; returns the exit code."""

QUIET, ORDINARY, FAULT = "quiet", "ordinary", "fault"
MISSED = ("warn", "fail", "error")


@dataclass(frozen=True)
class Plan:
    """One night to come.

    Attributes:
        kind: quiet, ordinary or fault.
        change: what happens to the tree.
        fault: what is planted; it is undone in the next night, before anything else happens.
    """

    kind: str
    change: Callable[[Tree], str]
    fault: Fault | None = None


@dataclass(frozen=True)
class Night:
    """One night that was audited.

    Attributes:
        number: 0 is the full run that everything is compared with.
        kind: of its plan.
        what: happened, in words.
        code: exit code of the audit.
        verdict: from audit.json.
        alarms: check -> the number it looks at, of checks missed tonight and not on the last night
            that passed.
        failing: of these checks, which fail the night; the others warn.
        opened, passes: pictures opened and vectors computed.
        shown: pictures opened for the report's evidence, unchanged ones among them.
        seconds: of the whole command.
        fault: that was planted.
    """

    number: int
    kind: str
    what: str
    code: int
    verdict: str
    alarms: dict[str, str]
    failing: frozenset[str]
    opened: int
    passes: int
    shown: int
    seconds: float
    fault: Fault | None = None

    @property
    def about(self) -> list[str]:
        """Checks that name the planted fault."""
        about = self.fault.about if self.fault else ()
        return [name for name, number in self.alarms.items() if number.startswith(about)]

    @property
    def failed(self) -> bool:
        """Was the night failed by a check that is about the fault?"""
        return not self.failing.isdisjoint(self.about)

    @property
    def right(self) -> bool:
        """Was the fault found, or did a night without one pass?"""
        return bool(self.about) if self.fault else self.code == 0


def plans(seed: int, nights: int, faults: Sequence[Fault], quiet: int) -> list[Plan]:
    """Lay out a season: faults in any order, an ordinary night after each, quiet ones between."""
    rng = np.random.default_rng([seed, nights])
    changes = [ordinary.ORDINARY[i % len(ordinary.ORDINARY)] for i in range(nights)]
    calm = iter([Plan(ORDINARY, change) for change in changes])
    blocks = [[Plan(FAULT, fault.plant, fault), next(calm)] for fault in faults]
    blocks += [[Plan(QUIET, ordinary.quiet)] for _ in range(quiet)]
    blocks += [[next(calm)] for _ in range(nights - 2 * len(faults) - quiet)]
    return [plan for i in rng.permutation(len(blocks)) for plan in blocks[i]]


@dataclass
class Season:
    """Thirty nights, one after another.

    Attributes:
        root: folder of pictures, database and reports.
        seed: of the collection and, unless ``other`` is given, of all that happens.
        audit: runs one night.
        size: pictures to begin with.
        other: seed of what happens to the same collection instead.
    """

    root: Path
    seed: int
    audit: Audit
    size: int
    other: int | None = None
    _passed: set[str] = field(default_factory=set)

    def run(self, plans: Sequence[Plan]) -> Iterator[Night]:
        """Audit the full run and then every planned night, as it goes."""
        tree = grow(self.root / "pictures", self.seed, self.size)
        if self.other is not None:
            tree.goes_on(self.other)
        yield self._night(tree, 0, Plan(ORDINARY, lambda _: f"{self.size} pictures, all new"), "")
        undone = ""
        for number, plan in enumerate(plans, 1):
            before = dict(tree.files)
            yield self._night(tree, number, plan, undone)
            undone = ""
            if plan.fault:
                tree.files, undone = before, f"{plan.fault.name} undone; "

    def _night(self, tree: Tree, number: int, plan: Plan, undone: str) -> Night:
        what = undone + plan.change(tree)
        tree.sync()
        report = self.root / "report" / "audit.json"
        report.unlink(missing_ok=True)
        clock = time.monotonic()
        code = self.audit(self.root)
        seconds = time.monotonic() - clock
        told = json.loads(report.read_text()) if report.exists() else {}
        missed = _missed(told)
        alarms = {} if number == 0 else {k: v for k, v in missed.items() if k not in self._passed}
        if code == 0:
            self._passed = set(missed)
        counts = told.get("run", {}).get("counts", {})
        return Night(
            number=number,
            kind=plan.kind,
            what=what,
            code=code,
            verdict=told.get("verdict", "no report"),
            alarms=alarms,
            failing=frozenset(alarms) & _failing(told),
            opened=counts.get("opened", 0),
            passes=counts.get("embedded_rows", 0),
            shown=counts.get("shown", 0),
            seconds=seconds,
            fault=plan.fault,
        )


def _failing(told: dict[str, Any]) -> set[str]:
    return {c["name"] for c in told.get("checks", []) if c["status"] in ("fail", "error")}


def _missed(told: dict[str, Any]) -> dict[str, str]:
    return {c["name"]: c["number"] for c in told.get("checks", []) if c["status"] in MISSED}
