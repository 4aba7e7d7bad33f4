"""Questions: what is the state of the machine and of the tables, and what would an audit cost?"""

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from clipbatch import nights, schema
from clipbatch.config import Config
from clipbatch.errors import ConfigError, ExitCode
from clipbatch.index import runs, table
from clipbatch.measure import store
from clipbatch.text import one_line, redact, visible


def write(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Write CSV; a cell that a spreadsheet would run as a formula is made text."""
    writer = csv.writer(sys.stdout)
    writer.writerow(header)
    shown = [[_harmless(cell) for cell in row] for row in rows]
    writer.writerows(shown)
    return len(shown)


def _harmless(cell: Any) -> Any:
    if isinstance(cell, str):
        shown = visible(cell)
        return f"'{shown}" if shown.lstrip()[:1] in tuple("=+-@") else shown
    return cell


def rejects(config: Config, given: argparse.Namespace) -> int:
    """List the pictures that cannot be used, with their reason codes, as CSV."""
    database = config.index.database
    version = runs.find(database, given.run).tables[schema.CATALOG]
    columns = ["uri", "reason", "message", "attempts", "changed_run"]
    where = f"status = '{schema.BAD}'"
    found = table.batches(database, schema.CATALOG, columns, where=where, version=version)
    rows = (tuple(row.values()) for batch in found for row in batch.to_pylist())
    count = write(columns, sorted(rows))
    print(f"{count} pictures cannot be used", file=sys.stderr)
    return int(ExitCode.PASSED)


def runs_(config: Config, _given: argparse.Namespace) -> int:
    """List the committed runs, oldest first, as CSV."""
    header = ["run", "state", "verdict", "encoder", "images", "contents", "bad", "started"]
    write(
        header,
        (
            (
                run.run_id,
                run.state,
                run.verdict,
                run.encoder,
                *(run.counts.get(name) for name in ("images", "contents", "bad")),
                f"{run.started:%Y-%m-%d %H:%M:%S}",
            )
            for run in runs.history(config.index.database)
        ),
    )
    return int(ExitCode.PASSED)


def show(config: Config, given: argparse.Namespace) -> int:
    """Print the numbers and evidence tables of one analysis of a run, as CSV."""
    database = config.index.database
    run = runs.find(database, given.run)
    key = run.fingerprints.get(given.analysis)
    if key is None:
        known = ", ".join(run.fingerprints) or "none: run `clipbatch measure`"
        raise ConfigError(f"run {run.run_id}: no analysis {given.analysis!r}; known: {known}")
    if not key.isalnum():
        raise ConfigError(f"run {run.run_id}: {given.analysis} has no answer: {_harmless(key)}")
    where = f"fingerprint = '{key}' and unit = ''"
    rows = table.open_table(database, schema.FINDINGS).to_table(["result"], filter=where)
    if not rows.num_rows:
        raise ConfigError(f"run {run.run_id}: {given.analysis} has no finding: {key}")
    finding = store.finding_from_bytes(rows["result"][0].as_py())
    print(f"# {_harmless(finding.headline)}")
    write(
        ["number", "value", "unit", "low", "high", "interval", "note"],
        ((n.name, n.value, n.unit, n.low, n.high, n.interval, n.note) for n in finding.numbers),
    )
    for shown in finding.tables:
        print(f"\n# {_harmless(shown.title)}")
        write(
            [_harmless(name) for name in shown.columns], zip(*shown.columns.values(), strict=True)
        )
    return int(ExitCode.PASSED)


def doctor(config: Config, given: argparse.Namespace) -> int:
    """Examine the machine, the installation and the stores; 2 where an audit would be refused."""
    from clipbatch.doctor import Status, examine

    found = []
    for diagnosis in examine(config):
        found.append(diagnosis)
        if not given.json:
            advice = f"  -> {one_line(diagnosis.advice)}" if diagnosis.advice else ""
            line = f"{diagnosis.status:4}  {diagnosis.name}: {one_line(diagnosis.found)}{advice}"
            print(line, flush=True)
    if given.json:
        print(redact(json.dumps([asdict(d) for d in found], indent=2)))
    failed = any(diagnosis.status is Status.FAIL for diagnosis in found)
    return int(ExitCode.COULD_NOT_RUN if failed else ExitCode.PASSED)


def plan(config: Config, given: argparse.Namespace) -> int:
    """Measure a sample and say what an audit would cost; 2 where it cannot fit."""
    from clipbatch.plan import store as plans
    from clipbatch.plan.words import lines
    from clipbatch.runtime.plan import make

    made = make(config)
    if given.json:
        print(redact(json.dumps(made.to_json(), indent=2)))
    else:
        print("\n".join(lines(made)))
    if made.refused:
        for reason in made.refused:
            print(f"clipbatch: {one_line(reason)}", file=sys.stderr)
        return int(ExitCode.COULD_NOT_RUN)
    plans.keep(config, made)
    return int(ExitCode.PASSED)


ASKED = {
    "accept": nights.accept,
    "calibrate": nights.calibrate,
    "doctor": doctor,
    "history": nights.history,
    "plan": plan,
    "rejects": rejects,
    "runs": runs_,
    "show": show,
}
