import pyarrow as pa
import pytest

from clipbatch import schema
from clipbatch.collect.listing import LISTING
from clipbatch.index import ledger, table
from clipbatch.index.changes import changes
from clipbatch.index.wanted import Wanted
from tests.unit.index.test_table import vectors

pytestmark = pytest.mark.quick


def listed(*rows):
    full = [dict.fromkeys(LISTING.names) | {"size": 1, "stamp": "s"} | row for row in rows]
    return pa.Table.from_pylist(full, schema=LISTING).to_reader()


@pytest.fixture
def db(tmp_path):
    table.create(str(tmp_path), schema.CATALOG, schema.CATALOG_SCHEMA)
    table.create(str(tmp_path), schema.CONTENTS, schema.CONTENTS_SCHEMA)
    table.create(str(tmp_path), "v", schema.vectors_schema(8))
    return str(tmp_path)


def catalog(db, *rows):
    full = [
        dict.fromkeys(schema.CATALOG_SCHEMA.names)
        | {"size": 1, "stamp": "s", "status": "ok", "attempts": 0, "first_run": "r0"}
        | row
        for row in rows
    ]
    data = pa.Table.from_pylist(full, schema=schema.CATALOG_SCHEMA)
    table.merge(db, schema.CATALOG, data, update=True)


def contents(db, *rows):
    full = [dict.fromkeys(schema.CONTENTS_SCHEMA.names) | {"status": "ok"} | row for row in rows]
    data = pa.Table.from_pylist(full, schema=schema.CONTENTS_SCHEMA)
    table.merge(db, schema.CONTENTS, data, update=True)


def all_rows(slices):
    return [row for part in slices for row in part.to_pylist()]


def test_every_kind_of_change_is_told_apart(db):
    catalog(
        db,
        {"uri": "same", "content_id": "c0", "label": "x"},
        {"uri": "changed", "content_id": "c1"},
        {"uri": "touched", "content_id": "c2"},
        {"uri": "relabelled", "content_id": "c3", "label": "x"},
        {"uri": "gone", "content_id": "c4", "label": "x"},
        {"uri": "long gone", "content_id": "c5", "status": "gone"},
        {"uri": "back", "content_id": "c6", "status": "gone", "gone_run": "r0"},
        {"uri": "flaky", "status": "bad", "reason": "timed_out", "attempts": 1},
        {"uri": "broken", "content_id": "c7", "status": "bad", "reason": "truncated"},
        {"uri": "unfinished", "status": "pending"},
    )
    listing = listed(
        {"uri": "same", "label": "x"},
        {"uri": "changed", "size": 2},
        {"uri": "touched", "stamp": "t"},
        {"uri": "relabelled", "label": "y"},
        {"uri": "back"},
        {"uri": "flaky"},
        {"uri": "broken"},
        {"uri": "unfinished"},
        {"uri": "new", "split": "train"},
        {"uri": "new", "split": "train"},
    )
    found = {row["uri"]: row for row in all_rows(changes(db, listing, "r1"))}
    assert {uri: row["change"] for uri, row in found.items()} == {
        "changed": "changed",
        "touched": "changed",
        "relabelled": "relabelled",
        "gone": "gone",
        "back": "back",
        "flaky": "retried",
        "new": "new",
    }
    assert found["changed"]["content_id"] is None
    assert found["changed"]["status"] == "pending"
    assert found["relabelled"]["content_id"] == "c3"
    assert (found["relabelled"]["status"], found["relabelled"]["label"]) == ("ok", "y")
    assert (found["gone"]["status"], found["gone"]["gone_run"]) == ("gone", "r1")
    assert (found["gone"]["content_id"], found["gone"]["label"]) == ("c4", "x")
    assert (found["back"]["content_id"], found["back"]["gone_run"]) == ("c6", None)
    assert (found["new"]["first_run"], found["changed"]["first_run"]) == ("r1", "r0")
    for row in found.values():
        row.pop("change")
    schema_ok = pa.Table.from_pylist(list(found.values()), schema=schema.CATALOG_SCHEMA)
    table.merge(db, schema.CATALOG, schema_ok, update=True)
    again = listed(
        *[{"uri": u} for u in ("back", "flaky", "broken", "unfinished")],
        {"uri": "same", "label": "x"},
        {"uri": "changed", "size": 2},
        {"uri": "touched", "stamp": "t"},
        {"uri": "relabelled", "label": "y"},
        {"uri": "new", "split": "train"},
    )
    assert all_rows(changes(db, again, "r2")) == []


def test_labels_that_stay_are_no_change(db):
    catalog(db, {"uri": "a", "labels": ["x", "y"]}, {"uri": "b", "labels": None})
    listing = listed({"uri": "a", "labels": ["x", "y"]}, {"uri": "b"})
    assert all_rows(changes(db, listing, "r1")) == []


def wanted(db, noise=(100, 0)):
    return Wanted(db, {0: "v", 500: "v"}, noise, seed=3)


def test_to_do_is_what_is_wanted_less_what_is_there(db):
    catalog(
        db,
        {"uri": "1", "content_id": "a", "status": "pending"},
        {"uri": "2", "content_id": "a", "status": "pending"},
        {"uri": "3", "content_id": "b", "status": "ok"},
        {"uri": "4", "content_id": "c", "status": "ok"},
        {"uri": "5", "content_id": "d", "status": "gone"},
        {"uri": "6", "content_id": "e", "status": "pending"},
        {"uri": "7", "status": "bad"},
    )
    contents(
        db,
        {"content_id": "b"},
        {"content_id": "c"},
        {"content_id": "e", "status": "bad", "reason": "corrupt"},
    )
    table.merge(db, "v", vectors(["b"], (0, 500)), update=False)
    table.merge(db, "v", vectors(["c"], (0,)), update=False)
    todo = {row["content_id"]: row for row in all_rows(wanted(db).missing())}
    assert {c: (r["uri"], r["variants"]) for c, r in todo.items()} == {
        "a": ("1", [0, 500]),
        "c": ("4", [500]),
    }
    assert wanted(db).counts() == {
        "wanted": 6,
        "missing": 3,
        "repeated": 0,
        "unwanted": 0,
        "contents": 3,
    }


def test_a_content_with_vectors_and_without_facts_is_decoded_again(db):
    catalog(db, {"uri": "1", "content_id": "a", "status": "pending"})
    table.merge(db, "v", vectors(["a"], (0, 500)), update=False)
    assert [(r["content_id"], r["variants"]) for r in all_rows(wanted(db).missing())] == [("a", [])]


def test_pending_rows_settle_only_when_all_is_there(db):
    catalog(
        db,
        {"uri": "1", "content_id": "a", "status": "pending"},
        {"uri": "2", "content_id": "b", "status": "pending"},
        {"uri": "3", "content_id": "e", "status": "pending"},
        {"uri": "4", "content_id": "f", "status": "pending"},
    )
    bad = {"content_id": "e", "status": "bad", "reason": "corrupt", "message": "m"}
    contents(db, {"content_id": "a"}, {"content_id": "b"}, bad)
    table.merge(db, "v", vectors(["a"], (0, 500)), update=False)
    table.merge(db, "v", vectors(["b"], (0,)), update=False)
    settled = all_rows(wanted(db).settled())
    assert sorted((r["uri"], r["status"], r["reason"]) for r in settled) == [
        ("1", "ok", None),
        ("3", "bad", "corrupt"),
    ]


def test_the_noise_sample_is_stable_when_the_collection_grows(db):
    def sampled():
        rows = all_rows(wanted(db, (10, 3)).missing())
        return {r["content_id"] for r in rows if 500 in r["variants"]}

    catalog(
        db,
        *[{"uri": f"{i:03}", "content_id": f"c{i}", "label": "xy"[i % 2]} for i in range(40)],
    )
    first = sampled()
    assert len(first) == 6
    catalog(
        db, *[{"uri": f"{i:03}", "content_id": f"c{i}", "label": "xy"[i % 2]} for i in range(44)]
    )
    assert len(sampled()) == 6
    assert len(first & sampled()) >= 4


def test_statuses_count_bad_rows_by_reason(db):
    catalog(
        db,
        {"uri": "1"},
        {"uri": "2", "status": "bad", "reason": "truncated"},
        {"uri": "3", "status": "bad", "reason": "truncated"},
    )
    assert ledger.statuses(db) == {"ok": 1, "bad": 2, "bad:truncated": 2}
