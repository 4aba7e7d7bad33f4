"""What is a run compared with? The choice is made once a run, before it is measured.

The *baseline* is the last night that passed: what differs from it is new tonight. The *reference*
stays where it is until a person accepts another run, since a slow drift hides from yesterday.
Both are of the same encoder. The choice stands in the run's counts, so that what was measured and
what is reported cannot be about two different nights.
"""

import datetime as dt
from dataclasses import replace
from typing import Final

import pyarrow as pa

from clipbatch import schema
from clipbatch.config import Config
from clipbatch.errors import ClipbatchError, ConfigError
from clipbatch.index import runs, table
from clipbatch.index.runs import Run

NONE: Final = "none"  # report.baseline that compares with nothing
_BASELINE: Final = "baseline_run"
_REFERENCE: Final = "reference_run"


def choose(config: Config, run: Run) -> Run:
    """Return the run with what it is compared with in its counts.

    Raises:
        ConfigError: report.baseline names no earlier run of this encoder, or one whose tables
            retention has dropped.
    """
    database = config.index.database
    earlier = [
        other
        for other in runs.history(database)
        if other.run_id < run.run_id and other.encoder == run.encoder
    ]
    accepted = acceptances(database)
    names = {
        _BASELINE: _baseline(config, earlier, accepted),
        _REFERENCE: _reference(earlier, accepted),
    }
    return replace(run, counts=run.counts | names)


def chosen(database: str, run: Run) -> tuple[Run | None, Run | None]:
    """Return the (baseline, reference) that ``choose`` found; None where there is none."""
    known = {other.run_id: other for other in runs.history(database)}
    baseline, reference = (run.counts.get(name) or "" for name in (_BASELINE, _REFERENCE))
    return known.get(baseline), known.get(reference)


def refuse_other(config: Config, run: Run) -> None:
    """Refuse to report against another baseline than the one that was measured against.

    Raises:
        ConfigError: report.baseline names another.
    """
    wanted = config.report.baseline.removeprefix("run-")
    measured = run.counts.get(_BASELINE, "")
    if wanted and wanted != (measured or NONE):
        raise ConfigError(
            f"run {run.run_id}: it was measured against baseline {measured or NONE}, got "
            f"report.baseline {wanted}; run `clipbatch measure` with it first"
        )


def accept(database: str, run: Run, note: str = "") -> None:
    """Make a run the reference: its numbers are known, and what passed for bad in it is accepted.

    Acceptances are rows of their own: a run in flight writes its whole row again at every stage.
    """
    table.create(database, schema.ACCEPTED, schema.ACCEPTED_SCHEMA)
    row = {
        "run_id": run.run_id,
        "encoder": run.encoder,
        "accepted": dt.datetime.now(dt.UTC),
        "note": note,
    }
    rows = pa.Table.from_pylist([row], schema=schema.ACCEPTED_SCHEMA)
    table.merge(database, schema.ACCEPTED, rows, update=True)


def acceptances(database: str) -> dict[str, dt.datetime]:
    """Return run_id -> when it was last accepted, in that order."""
    if not table.exists(database, schema.ACCEPTED):
        return {}
    rows = table.open_table(database, schema.ACCEPTED).to_table(["run_id", "accepted"]).to_pylist()
    return {row["run_id"]: row["accepted"] for row in sorted(rows, key=lambda row: row["accepted"])}


def _baseline(config: Config, earlier: list[Run], accepted: dict[str, dt.datetime]) -> str:
    database, wanted = config.index.database, config.report.baseline.removeprefix("run-")
    if wanted == NONE:
        return ""
    if wanted:
        if wanted not in {run.run_id for run in earlier}:
            known = ", ".join(run.run_id for run in earlier[-3:]) or "none"
            raise ConfigError(
                f"report.baseline: got {wanted!r}, expected an earlier run of the same encoder, "
                f"one of: {known}; `clipbatch runs` lists them"
            )
        (run,) = (run for run in earlier if run.run_id == wanted)
        table.open_table(database, schema.CATALOG, run.tables[schema.CATALOG])
        return wanted
    good = [run for run in earlier if run.verdict == "passed" or run.run_id in accepted]
    return next((run.run_id for run in reversed(good) if _readable(database, run)), "")


def _reference(earlier: list[Run], accepted: dict[str, dt.datetime]) -> str:
    """The run accepted last; before anybody has accepted one, the first that passed."""
    names = {run.run_id for run in earlier}
    if mine := [name for name in accepted if name in names]:
        return mine[-1]
    return next((run.run_id for run in earlier if run.verdict == "passed"), "")


def _readable(database: str, run: Run) -> bool:
    try:
        table.open_table(database, schema.CATALOG, run.tables.get(schema.CATALOG, 0) or None)
    except ClipbatchError:
        return False
    return schema.CATALOG in run.tables
