"""Retention takes old runs' tables, and nothing that anybody still starts from."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from clipbatch import schema
from clipbatch.config import IndexConfig
from clipbatch.index import baseline, retention, runs, table
from clipbatch.index.runs import Run

pytestmark = pytest.mark.quick

LONG_AGO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def made(name, encoder="x", verdict="passed", **more):
    return Run(name, state="reported", encoder=encoder, verdict=verdict, finished=LONG_AGO, **more)


def names(found):
    return [run.run_id for run in found]


def dropped(history, accepted=(), **settings):
    config = IndexConfig(**{"keep_runs": 2, "keep_days": 7} | settings)
    return names(retention.dropped(history, "x", config, accepted))


def test_the_newest_the_first_passed_and_the_last_passed_stay():
    history = [made(f"r{i}", verdict="passed" if i in (1, 3) else "failed") for i in range(8)]
    assert dropped(history) == ["r0", "r2", "r4", "r5"]
    assert dropped(history, keep_runs=0) == []
    assert dropped(history, keep_runs=8) == []


def test_accepted_unfinished_and_compared_runs_stay():
    history = [made(f"r{i}", verdict="" if i == 2 else "failed") for i in range(7)]
    history[-1] = made("r6", counts={"baseline_run": "r3", "reference_run": "r1"})
    assert dropped(history, accepted=["r4"]) == ["r0"]


def test_another_encoders_runs_stay_and_so_does_what_they_name():
    history = [made(f"r{i}", "y" if i % 2 else "x", "failed") for i in range(10)]
    history[9] = made("r9", "y", counts={"baseline_run": "r2"})
    assert dropped(history) == ["r0", "r4"]


def test_a_young_run_stays_however_many_follow():
    history = [made(f"r{i}", verdict="failed") for i in range(5)]
    history[1] = runs.finish(history[1])
    assert dropped(history) == ["r0", "r2"]


@pytest.fixture
def database(tmp_path):
    """Two runs of a collection that lost content "b" before the first of them ended."""
    db = str(tmp_path)

    def put(name, columns, *rows):
        table.create(db, name, columns)
        full = [dict.fromkeys(columns.names) | row for row in rows]
        table.merge(db, name, pa.Table.from_pylist(full, schema=columns), update=True)

    put(
        schema.CATALOG,
        schema.CATALOG_SCHEMA,
        {"uri": "1", "content_id": "a", "status": "ok"},
        {"uri": "2", "content_id": "b", "status": "gone", "gone_run": "r0"},
        {"uri": "3", "content_id": "c", "status": "gone", "gone_run": "r9"},
        {"uri": "4", "content_id": "d", "status": "gone", "gone_run": "r0"},
        {"uri": "5", "content_id": "d", "status": "ok"},
    )
    vector = np.zeros(2, np.float32)
    vectors = [{"content_id": c, "variant": 0, "vector": vector} for c in "abcd"]
    put("vectors__x", schema.vectors_schema(2), *vectors)
    put("vectors__y", schema.vectors_schema(2), *vectors)
    pairs = [{"content_a": "a", "content_b": "b"}, {"content_a": "a", "content_b": "d"}]
    put("pairs__x", schema.PAIRS_SCHEMA, *pairs)
    found = [
        {"fingerprint": key, "analysis": "n", "unit": unit, "run_id": run}
        for key, unit, run in [
            ("used", "", "r0"), ("unused", "", "r0"), ("unit", "u", "r0"), ("other", "", "r1"),
        ]
    ]  # fmt: skip
    put(schema.FINDINGS, schema.FINDINGS_SCHEMA, *found)
    tables = {name: table.latest(db, name) for name in (schema.CATALOG, "vectors__x")}
    counts = {"variant_tables": {"0": "vectors__x"}}
    for i, verdict in enumerate(["failed", "passed", "passed", "passed"]):
        run = made(f"r{i}", verdict=verdict, tables=tables, counts=counts,
                   fingerprints={"n": "used"} if i == 3 else {})  # fmt: skip
        runs.save(db, run)
        for name, version in tables.items():
            table.tag(db, name, f"run-{run.run_id}", version)
    return db


def column(db, name, key):
    return sorted(table.open_table(db, name).to_table([key]).column(key).to_pylist())


def test_what_a_dropped_run_alone_held_goes(database):
    run = runs.find(database)
    config = IndexConfig(database=database, keep_runs=1, keep_days=7)
    assert retention.retain(config, run)
    tags = {name: set(table.open_table(database, name).tags.list()) for name in run.tables}
    # r1 is the first that passed; r2 had nothing of its own.
    assert all(found == {"run-r1", "run-r3"} for found in tags.values())
    # "c" went after every dropped run; a picture of "d" is still there.
    assert column(database, "vectors__x", "content_id") == ["a", "c", "d"]
    assert column(database, "vectors__y", "content_id") == ["a", "b", "c", "d"]
    assert column(database, "pairs__x", "content_b") == ["d"]
    assert column(database, schema.FINDINGS, "fingerprint") == ["other", "used"]
    # A kept run still reads what it saw.
    old = table.open_table(database, "vectors__x", run.tables["vectors__x"])
    assert old.count_rows() == 4
    assert retention.retain(config, run) == []


def test_an_accepted_run_keeps_its_tables(database):
    baseline.accept(database, runs.find(database, "r0"))
    retention.retain(IndexConfig(database=database, keep_runs=1, keep_days=7), runs.find(database))
    assert "run-r0" in table.open_table(database, schema.CATALOG).tags.list()
