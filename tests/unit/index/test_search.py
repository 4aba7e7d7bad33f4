"""Our own queries give true cosine distances, with a quantising index and without."""

import numpy as np
import pyarrow as pa
import pytest

from clipbatch import schema
from clipbatch.config import IndexConfig
from clipbatch.index import table
from clipbatch.index.maintain import maintain
from clipbatch.index.search import nearest

pytestmark = pytest.mark.quick

ROWS, DIM = 4000, 64


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("search"))
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, DIM))
    data = centres[rng.integers(0, 40, ROWS)] + 0.3 * rng.normal(size=(ROWS, DIM))
    data = (data / np.linalg.norm(data, axis=1, keepdims=True)).astype(np.float32)
    columns = schema.vectors_schema(DIM)
    table.create(folder, "vectors__x", columns)
    rows = pa.table(
        [
            [f"{i:05}" for i in range(ROWS)],
            pa.array(np.where(np.arange(ROWS) % 4, 0, 500).astype(np.int32)),
            pa.FixedSizeListArray.from_arrays(pa.array(data.ravel()), DIM),
            pa.array(np.full(ROWS, 8, np.int32)),
            ["r"] * ROWS,
        ],
        schema=columns,
    )
    for start in range(0, ROWS, 400):
        table.merge(folder, "vectors__x", rows.slice(start, 400), update=False)
    return folder, data


def indices(folder):
    return table.open_table(folder, "vectors__x").describe_indices()


def check(folder, data):
    clean = np.flatnonzero(np.arange(ROWS) % 4)
    for query in (1, 702, 3999):
        found = nearest(folder, "vectors__x", data[query], k=5)
        exact = 1 - data[clean] @ data[query]
        order = np.argsort(exact, kind="stable")[:5]
        assert found[0]["content_id"] == f"{query:05}"
        assert [row["variant"] for row in found] == [0] * 5
        # With a quantising index and no refine factor these would be about doubled.
        assert [r["_distance"] for r in found] == pytest.approx(exact[order], rel=0.02, abs=1e-4)


def test_below_the_threshold_there_is_no_index_and_distances_are_exact(db):
    folder, data = db
    maintain(IndexConfig(database=folder), ["vectors__x"], ["vectors__x"])
    assert not indices(folder)
    check(folder, data)


def test_above_it_an_index_is_built_and_distances_stay_true(db):
    folder, data = db
    config = IndexConfig(database=folder, vector_index_above=1000, compact_above=5)
    done = maintain(config, ["vectors__x"], ["vectors__x"])
    assert any("compacted 10 fragments" in line for line in done)
    assert any("IVF_RQ" in line for line in done)
    assert len(indices(folder)) == 1
    assert len(table.open_table(folder, "vectors__x").get_fragments()) < 10
    check(folder, data)
    assert table.open_table(folder, "vectors__x").count_rows() == ROWS


def test_keys_are_never_indexed_and_merging_after_an_index_repeats_nothing(db):
    folder, _ = db
    rows = table.open_table(folder, "vectors__x").to_table().slice(0, 50)
    assert table.merge(folder, "vectors__x", rows, update=False) == 0
    assert table.open_table(folder, "vectors__x").count_rows() == ROWS
    for index in indices(folder):
        assert "vector" in str(index)
        assert "content_id" not in str(index)


def test_clean_up_never_touches_a_tagged_version(db):
    folder, _ = db
    version = int(table.open_table(folder, "vectors__x").version)
    table.tag(folder, "vectors__x", "run-kept", version)
    more = table.open_table(folder, "vectors__x").to_table().slice(0, 1)
    table.merge(folder, "vectors__x", more, update=True)
    maintain(IndexConfig(database=folder, keep_days=0), ["vectors__x"], [])
    assert table.open_table(folder, "vectors__x", version).count_rows() == ROWS
