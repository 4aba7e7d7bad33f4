"""Commits whose answers are lost: the same merge again, and nothing is lost or repeated."""

import numpy as np
import pyarrow as pa
import pytest

from clipbatch import schema
from clipbatch.index import failures, table
from clipbatch.index.runs import Run, history, save
from tests.stores import LossyProxy, bucket, moto_port, settings
from tests.unit.index.test_table import vectors

__all__ = ["bucket", "moto_port"]

pytestmark = pytest.mark.quick


@pytest.fixture
def behind(bucket, moto_port, monkeypatch):
    """Return what starts a proxy that loses answers, and sends this process's requests there."""
    monkeypatch.setattr(failures.time, "sleep", lambda _: None)
    started = []

    def start(loses, answer):
        proxy = LossyProxy(moto_port, loses, answer)
        started.append(proxy)
        for name, value in settings(proxy.port).items():
            monkeypatch.setenv(name, value)
        return proxy, f"{bucket.address}/db"

    yield start
    for proxy in started:
        proxy.__exit__()


def every(nth):
    return lambda puts, _key: puts % nth == nth - 1


def seldom(seed):
    """Lose the answers of a third of the PUTs, others with every seed."""
    lost = np.random.default_rng(seed).random(10_000) < 1 / 3
    return lambda puts, _key: bool(lost[puts])


LOSSES = {
    "every second": every(2),
    "every third": every(3),
    "a third": seldom(1),
    "manifests": lambda _puts, key: key.endswith(".manifest"),
}


@pytest.mark.parametrize(
    ("losses", "answer"),
    [("every second", 0), ("every third", 500), ("a third", 500), ("manifests", 0)],
)
def test_rows_merged_through_lost_answers_are_there_once(behind, losses, answer):
    proxy, db = behind(LOSSES[losses], answer)
    names = {"v": schema.vectors_schema(8), schema.CONTENTS: schema.CONTENTS_SCHEMA}
    for name, columns in names.items():
        table.create(db, name, columns)
    for start in (0, 3, 6):
        ids = [f"{i:03}" for i in range(start, start + 6)]
        table.merge(db, "v", vectors(ids), update=False)
        rows = [dict.fromkeys(schema.CONTENTS_SCHEMA.names) | {"content_id": i} for i in ids]
        table.merge(
            db,
            schema.CONTENTS,
            pa.Table.from_pylist(rows, schema=schema.CONTENTS_SCHEMA),
            update=True,
        )
    assert proxy.lost
    everything = [f"{i:03}" for i in range(12)]
    for name in names:
        there = table.open_table(db, name)
        assert sorted(there.to_table()["content_id"].to_pylist()) == everything
        table.tag(db, name, "run-1", int(there.version))
        assert table.open_table(db, name, "run-1").count_rows() == 12
    for state in ("embedded", "measured"):
        save(db, Run("r1", state=state))
    assert [run.state for run in history(db)] == ["measured"]
