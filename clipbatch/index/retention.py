"""Which runs may lose their tables, and what goes with them?

A run's row stays for good, and with it the history of every check. Its tags go, so that
``cleanup_old_versions`` may collect what only they held, once there are ``index.keep_runs`` newer
runs of the same encoder *and* it is older than ``index.keep_days``. Never: a run that is not
finished, one that a kept run was compared with, an accepted one, the last that passed and the first
that did, and whatever belongs to another encoder.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from clipbatch import schema
from clipbatch.config import IndexConfig
from clipbatch.index import baseline, ledger, runs, table
from clipbatch.index.runs import Run

_AT_ONCE: Final = 500  # names in one condition


def dropped(
    history: Sequence[Run], encoder: str, config: IndexConfig, accepted: Iterable[str]
) -> list[Run]:
    """Return the runs of an encoder that may lose their tables, oldest first.

    Args:
        history: every run, oldest first.
        encoder: slug.
        config: keep_runs (0 keeps all) and keep_days.
        accepted: run_ids that a person accepted.
    """
    mine = [run for run in history if run.encoder == encoder]
    if not config.keep_runs or len(mine) <= config.keep_runs:
        return []
    kept = {run.run_id for run in mine[-config.keep_runs :]} | set(accepted)
    passed = [run.run_id for run in mine if run.verdict == "passed"]
    kept |= {*passed[:1], *passed[-1:]}
    kept |= {run.run_id for run in mine if not run.verdict}
    # Another encoder's runs, and kept ones, name what they were compared with.
    kept |= {
        name
        for run in history
        if run.run_id in kept or run.encoder != encoder
        for name in (run.counts.get("baseline_run"), run.counts.get("reference_run"))
        if name
    }
    since = dt.datetime.now(dt.UTC) - dt.timedelta(days=config.keep_days)
    return [run for run in mine if run.run_id not in kept and (run.finished or since) < since]


def retain(config: IndexConfig, run: Run) -> list[str]:
    """Take away what no kept run needs; returns what was done."""
    database = config.database
    history = runs.history(database)
    old = dropped(history, run.encoder, config, baseline.acceptances(database))
    # The tags go last: what is still tagged is what is still to be done, whatever crashed.
    old = [one for one in old if f"run-{one.run_id}" in _tags(database, schema.CATALOG)]
    if not old:
        return []
    names = {one.run_id for one in old}
    kept = [one for one in history if one.run_id not in names]
    done = [*_findings(database, names, kept), *_gone(database, run, max(names))]
    for one in old:
        for name in one.tables:
            if table.exists(database, name) and f"run-{one.run_id}" in _tags(database, name):
                table.open_table(database, name).tags.delete(f"run-{one.run_id}")
    done.append(f"{len(old)} runs beyond index.keep_runs lost their tags")
    return done


def _tags(database: str, name: str) -> set[str]:
    return set(table.open_table(database, name).tags.list())


def _findings(database: str, names: set[str], kept: Sequence[Run]) -> Iterator[str]:
    """Drop what the dropped runs computed and no kept run names."""
    if not table.exists(database, schema.FINDINGS):
        return
    used = {key for run in kept for key in run.fingerprints.values() if key.isalnum()}
    wrote = f"run_id in ({_quoted(names)})"
    rows = table.batches(database, schema.FINDINGS, ["fingerprint"], where=wrote)
    found = {row["fingerprint"] for batch in rows for row in batch.to_pylist()} - used
    if count := _delete(database, schema.FINDINGS, "fingerprint", found, wrote):
        yield f"{schema.FINDINGS}: {count} rows that no kept run uses"


def _gone(database: str, run: Run, last: str) -> Iterator[str]:
    """Drop vectors, pairs and neighbours of contents whose pictures were gone in a dropped run.

    Kept runs read the versions that their tags name, which still hold those rows.
    """
    keys: dict[str, tuple[str, ...]] = dict.fromkeys(run.vectors_tables().values(), ("content_id",))
    keys[schema.neighbours_table(run.encoder)] = ("content_id",)
    keys[schema.pairs_table(run.encoder)] = ("content_a", "content_b")
    deleted: Counter[str] = Counter()
    for part in ledger.gone(database, last):
        for name, key_columns in keys.items():
            if table.exists(database, name):
                deleted[name] += sum(_delete(database, name, key, part) for key in key_columns)
    for name, count in deleted.items():
        if count:
            yield f"{name}: {count} rows of pictures that are gone"


def _delete(database: str, name: str, key: str, values: Iterable[str], where: str = "") -> int:
    """Delete rows by key, where there are any; returns how many."""
    count = 0
    ordered = sorted(values)
    for start in range(0, len(ordered), _AT_ONCE):
        condition = f"{key} in ({_quoted(ordered[start : start + _AT_ONCE])})"
        condition += f" and {where}" if where else ""
        dataset = table.open_table(database, name)
        if found := dataset.count_rows(filter=condition):
            dataset.delete(condition)
            count += found
    return count


def _quoted(values: Iterable[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(values))
