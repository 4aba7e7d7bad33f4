import multiprocessing

import lance
import lancedb
import numpy as np
import pyarrow as pa
import pytest

from clipbatch import schema
from clipbatch.errors import ConfigError, ContractBroken
from clipbatch.index import table

pytestmark = pytest.mark.quick

ALL = {
    schema.CATALOG: schema.CATALOG_SCHEMA,
    schema.CONTENTS: schema.CONTENTS_SCHEMA,
    schema.FINDINGS: schema.FINDINGS_SCHEMA,
    schema.RUNS: schema.RUNS_SCHEMA,
    schema.THUMBNAILS: schema.THUMBNAILS_SCHEMA,
    "vectors__x": schema.vectors_schema(8),
    "vectors__half": schema.vectors_schema(8, "float16"),
    "pairs__x": schema.PAIRS_SCHEMA,
    "neighbours__x": schema.NEIGHBOURS_SCHEMA,
}


def vectors(ids, variants=(0,), dim=8, run="r"):
    keys = [(i, v) for v in variants for i in ids]
    data = np.random.default_rng(0).normal(size=(len(keys), dim)).astype(np.float32)
    return pa.table(
        [
            [k[0] for k in keys],
            pa.array([k[1] for k in keys], pa.int32()),
            pa.FixedSizeListArray.from_arrays(pa.array(data.ravel()), dim),
            pa.array([8] * len(keys), pa.int32()),
            [run] * len(keys),
        ],
        schema=schema.vectors_schema(dim),
    )


@pytest.mark.parametrize("name", ALL)
def test_created_tables_keep_what_protects_their_keys(tmp_path, name):
    table.create(str(tmp_path), name, ALL[name], {"seed": "7"})
    there = table.open_table(str(tmp_path), name)
    assert there.data_storage_version == schema.STORAGE_VERSION
    key = table.keys(there.schema)
    assert key == table.keys(ALL[name])
    assert key
    for column in key:
        field = there.schema.field(column)
        assert not field.nullable
        # Keys of other types are not honoured: int16 and fixed-size binary repeated rows.
        assert field.type in (pa.string(), pa.int32())
    assert not there.describe_indices()
    assert table.pinned(str(tmp_path), name)["seed"] == "7"


def test_creating_again_keeps_the_first_facts(tmp_path):
    db = str(tmp_path)
    table.create(db, "vectors__x", schema.vectors_schema(8), {"batch_size": "16"})
    table.create(db, "vectors__x", schema.vectors_schema(8), {"batch_size": "64"})
    assert table.pinned(db, "vectors__x")["batch_size"] == "16"


def test_another_schema_is_refused(tmp_path):
    db = str(tmp_path)
    table.create(db, "vectors__x", schema.vectors_schema(8))
    with pytest.raises(ConfigError, match="expected"):
        table.create(db, "vectors__x", schema.vectors_schema(9))


def test_another_schema_version_is_refused(tmp_path, monkeypatch):
    db = str(tmp_path)
    table.create(db, "vectors__x", schema.vectors_schema(8))
    monkeypatch.setattr(schema, "VERSION", "99")
    with pytest.raises(ConfigError, match="expected 99"):
        table.create(db, "vectors__x", schema.vectors_schema(8))


def test_merging_twice_changes_nothing(tmp_path):
    db = str(tmp_path)
    table.create(db, "v", schema.vectors_schema(8))
    rows = vectors(["a", "b", "c"], (0, 500))
    assert table.merge(db, "v", rows, update=False) == 6
    assert table.merge(db, "v", rows, update=False) == 0
    assert table.open_table(db, "v").count_rows() == 6


def test_a_repeated_key_in_one_merge_is_refused(tmp_path):
    db = str(tmp_path)
    table.create(db, "v", schema.vectors_schema(8))
    with pytest.raises(ContractBroken, match="each key once"):
        table.merge(db, "v", vectors(["a", "a"]), update=False)
    assert table.open_table(db, "v").count_rows() == 0


def test_without_update_the_first_row_stays_and_with_it_the_last(tmp_path):
    db = str(tmp_path)
    table.create(db, "v", schema.vectors_schema(8))
    table.merge(db, "v", vectors(["a"], run="first"), update=False)
    table.merge(db, "v", vectors(["a"], run="second"), update=False)
    assert table.open_table(db, "v").to_table()["run_id"].to_pylist() == ["first"]
    table.merge(db, "v", vectors(["a"], run="third"), update=True)
    assert table.open_table(db, "v").to_table()["run_id"].to_pylist() == ["third"]


def _write(db, start):
    for k in range(5):
        ids = [f"{i:05}" for i in range(start + k * 50, start + k * 50 + 150)]
        table.merge(db, "v", vectors(ids), update=False)


@pytest.mark.timeout(180)
def test_three_writers_at_once_neither_lose_nor_repeat(tmp_path):
    db = str(tmp_path)
    table.create(db, "v", schema.vectors_schema(8))
    context = multiprocessing.get_context("spawn")  # Lance is not fork-safe
    writers = [context.Process(target=_write, args=(db, 25 * n)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [w.exitcode for w in writers] == [0, 0, 0]
    ids = table.open_table(db, "v").to_table()["content_id"].to_pylist()
    assert len(ids) == len(set(ids))
    assert set(ids) == {f"{i:05}" for i in range(400)}


def test_a_tag_names_one_version_for_good(tmp_path):
    db = str(tmp_path)
    table.create(db, "v", schema.vectors_schema(8))
    table.merge(db, "v", vectors(["a"]), update=False)
    version = table.tag(db, "v", "run-1", int(table.open_table(db, "v").version))
    table.merge(db, "v", vectors(["b"]), update=False)
    assert table.tag(db, "v", "run-1", version + 1) == version
    assert lance.dataset(table.path(db, "v"), version="run-1").count_rows() == 1


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_lancedb_opens_the_table_and_finds_the_row_itself(tmp_path, dtype):
    db = str(tmp_path)
    rows = vectors([f"{i:03}" for i in range(50)], dim=16)
    columns = schema.vectors_schema(16, dtype)
    values = np.array(rows["vector"].to_pylist(), dtype)
    stored = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 16)
    table.create(db, "v", columns)
    table.merge(db, "v", rows.set_column(2, columns.field("vector"), stored), update=False)
    opened = lancedb.connect(db).open_table("v")
    for i in (0, 17, 49):
        best = opened.search(values[i].astype(np.float32)).distance_type("cosine").limit(1)
        assert best.to_list()[0]["content_id"] == f"{i:03}"
