"""Two nights read from the tables: what is new between them, and how the checks went before."""

from collections.abc import Mapping
from typing import Final

from clipbatch import schema
from clipbatch.config import Config
from clipbatch.errors import ClipbatchError
from clipbatch.index import read, runs, table
from clipbatch.index.runs import Run
from clipbatch.measure import store
from clipbatch.measure.base import Finding
from clipbatch.progress import say
from clipbatch.report.model import News, Past
from clipbatch.report.news import tell
from clipbatch.report.night import Night, Reject

NIGHTS: Final = 30  # of the history in a report
_MARKS: Final = {"duplicates": "pairs", "labels": "suspect", "outliers": "outlier"}


def findings(database: str, fingerprints: Mapping[str, str]) -> dict[str, Finding]:
    """Return analysis -> its stored finding, in the order of the fingerprints."""
    keys = {text: name for name, text in fingerprints.items() if text.isalnum()}
    if not keys or not table.exists(database, schema.FINDINGS):
        return {}
    names = ", ".join(f"'{key}'" for key in keys)
    stored = table.batches(
        database,
        schema.FINDINGS,
        ["fingerprint", "result"],
        where=f"unit = '' and fingerprint in ({names})",
    )
    found = {
        keys[row["fingerprint"]]: store.finding_from_bytes(row["result"])
        for batch in stored
        for row in batch.to_pylist()
    }
    return {name: found[name] for name in fingerprints if name in found}


def news(
    config: Config, run: Run, answers: Mapping[str, Finding], before: Run
) -> tuple[News, ...] | None:
    """Return what is there in a run and was not at its baseline; None where that is unreadable."""
    database = config.index.database
    marks = {name: text for name, text in before.fingerprints.items() if name in _MARKS}
    try:
        then = _night(config, before, findings(database, marks))
    except ClipbatchError as error:
        say("report", f"not compared with run {before.run_id}: {error}")
        return None
    # Nothing that is compared changed: one night is both, and read once.
    same = run.tables == before.tables and all(run.fingerprints.get(n) == marks[n] for n in marks)
    now = Night(then.contents, answers, then.rejects) if same else _night(config, run, answers)
    return tell(now, then)


def history(database: str, run: Run) -> tuple[Past, ...]:
    """Return the nights of this encoder before a run, oldest first, and at most ``NIGHTS``."""
    earlier = [
        other
        for other in runs.history(database)
        if other.run_id < run.run_id and other.encoder == run.encoder and other.verdict
    ]
    return tuple(past(other) for other in earlier[-NIGHTS:])


def past(run: Run) -> Past:
    """Return a run as a line of the history."""
    return Past(
        run.run_id,
        run.verdict,
        run.started,
        {check["name"]: check.get("value") for check in run.checks},
        {check["name"]: check["status"] for check in run.checks},
    )


def _night(config: Config, run: Run, answers: Mapping[str, Finding]) -> Night:
    database = config.index.database
    contents, _ = read.load(database, run, config.collect.seed)
    return Night(contents, answers, _rejects(database, run))


def _rejects(database: str, run: Run) -> list[Reject]:
    found = table.batches(
        database,
        schema.CATALOG,
        ["uri", "reason"],
        where=f"status = '{schema.BAD}'",
        version=run.tables[schema.CATALOG],
    )
    return [(row["uri"], row["reason"] or "") for batch in found for row in batch.to_pylist()]
