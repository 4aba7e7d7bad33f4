"""Questions over many nights: accept one, look back, learn thresholds."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from clipbatch.config import Check, Config
from clipbatch.errors import ConfigError, ExitCode
from clipbatch.index import baseline, runs
from clipbatch.index.runs import Run
from clipbatch.report import calibration, declared
from clipbatch.text import one_line

_SIDES: Final = {"==": "<=", "!=": ""}  # what a threshold can be learnt for; counts are not below 0


def accept(config: Config, given: argparse.Namespace) -> int:
    """Make a run the reference; what it missed is known from now on, unless it gets worse."""
    database = config.index.database
    run = runs.find(database, given.accepted)
    if run.state != "reported":
        raise ConfigError(
            f"run {run.run_id}: got state {run.state!r}, expected one with a verdict; run "
            "`clipbatch audit` (or `clipbatch report`) first"
        )
    baseline.accept(database, run, given.note)
    missed = [c["name"] for c in run.checks if c["status"] in ("warn", "fail", "known")]
    sys.stdout.write(
        one_line(
            f"run {run.run_id} ({run.verdict}) is the reference of {run.encoder}; known from now "
            f"on: {', '.join(missed) or 'nothing'}"
        )
        + "\n"
    )
    return int(ExitCode.PASSED)


def history(config: Config, given: argparse.Namespace) -> int:
    """List every check over the nights, oldest first, as CSV."""
    from clipbatch.questions import write

    accepted = baseline.acceptances(config.index.database)
    nights = list(_nights(config))
    known = {c["name"] for run in nights for c in run.checks}
    if given.check and given.check not in known:
        raise ConfigError(declared.nearest(given.check, known))
    header = ["run", "verdict", "check", "status", "value", "threshold", "baseline", "reference"]
    rows = (
        (
            run.run_id,
            f"{run.verdict} (accepted)" if run.run_id in accepted else run.verdict,
            check["name"],
            check["status"],
            check["value"],
            f"{check['op']} {check['threshold']}",
            check.get("baseline"),
            check.get("reference"),
        )
        for run in nights
        for check in run.checks
        if given.check in ("", check["name"])
    )
    write(header, rows)
    return int(ExitCode.PASSED)


def calibrate(config: Config, given: argparse.Namespace) -> int:
    """Learn thresholds from the nights that passed or were accepted; prints TOML."""
    accepted = baseline.acceptances(config.index.database)
    nights = [
        run
        for run in _nights(config)
        if given.all or run.verdict == "passed" or run.run_id in accepted
    ]
    if not 0 < given.rate < 0.5:
        raise ConfigError(f"--rate: got {given.rate}, expected a number between 0 and 0.5")
    if given.span < 1:
        raise ConfigError(f"--span: got {given.span}, expected 1 night or more")
    checks = declared.merged_checks(config.report.checks)
    sys.stdout.write("\n".join(_learnt(checks, nights, given.rate, given.span)) + "\n")
    return int(ExitCode.PASSED)


def _learnt(
    checks: Mapping[str, Check], nights: list[Run], rate: float, span: int
) -> Iterable[str]:
    news = f"{declared.NEW}."
    summed = {name: span if check.value.startswith(news) else 1 for name, check in checks.items()}
    columns = {
        name: calibration.spans(_values(name, check, nights), summed[name])
        for name, check in checks.items()
    }
    ops = {name: _SIDES.get(check.op, check.op) for name, check in checks.items()}
    count = len(nights)
    yield f"# Learnt from {count} nights by `clipbatch calibrate`."
    if count < calibration.LEAST:
        yield f"# Too few: {calibration.LEAST} are needed. Nothing is learnt."
        return
    yield (
        f"# No rate of false alarms below 1 in {count + 1} can be told from {count} nights, "
        "whatever is aimed at."
    )
    asked = {n: v for n, v in columns.items() if ops[n] and any(x is not None for x in v)}
    each = rate / max(1, len(asked))  # so that all together keep it (Bonferroni)
    together = calibration.any_alarm(asked, ops, each, summed)
    yield (
        f"# Any of them: {together.alarms} of {together.nights} nights would have alarmed, each "
        f"judged by the others; 95 %: {together.low:.1%} to {together.high:.1%} of nights."
    )
    for name, values in asked.items():
        learnt = calibration.calibrate(values, ops[name], each, summed[name])
        if learnt.threshold is not None:
            yield ""
            yield from _table(name, checks[name], ops[name], learnt)


def _table(name: str, check: Check, op: str, learnt: calibration.Calibrated) -> Iterable[str]:
    yield f"[report.checks.{json.dumps(name)}]"
    yield (
        f"# {learnt.alarms} of {learnt.nights} nights would have alarmed; "
        f"{learnt.low:.1%} to {learnt.high:.1%}. It was {check.op} {check.threshold:g}."
    )
    told: dict[str, Any] = {"value": check.value, "op": op, "threshold": learnt.threshold}
    told |= {"severity": check.severity}
    if check.against:
        told |= {"against": check.against, "change": check.change}
    for key, value in told.items():
        yield f"{key} = {json.dumps(value)}"


def _values(name: str, check: Check, nights: list[Run]) -> list[float | None]:
    """Return what each night held against the threshold, where it asked the same."""
    found: list[float | None] = []
    for run in nights:
        mine = next((c for c in run.checks if c["name"] == name), {})
        same = (mine.get("number"), mine.get("against", "")) == (check.value, check.against)
        found.append(mine.get("compared", mine.get("value")) if same else None)
    return found


def _nights(config: Config) -> list[Run]:
    """Return the judged runs of the encoder that ran last, oldest first."""
    every = [run for run in runs.history(config.index.database) if run.verdict]
    if not every:
        raise ConfigError(
            f"{one_line(config.index.database)}: got no run with a verdict, expected some; run "
            "`clipbatch audit` first"
        )
    return [run for run in every if run.encoder == every[-1].encoder]
