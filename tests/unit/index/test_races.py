"""Two drivers on one catalog, in a forced order: no write takes back what another one knows."""

import threading
from pathlib import Path

import pyarrow as pa
import pytest

from clipbatch import schema
from clipbatch.errors import BadImage, Reason
from clipbatch.index import changes, founding, ledger, table
from clipbatch.index.wanted import SETTLED_WHEN
from clipbatch.runtime import attempt, collect
from tests.ray import world
from tests.unit.index.test_ledger import catalog, contents, db, listed, wanted
from tests.unit.index.test_table import vectors

__all__ = ["db"]

pytestmark = pytest.mark.quick

ID = "a" * 64


def compared(db, run, *rows, version=None):
    """Return what a driver would merge; it has listed and compared, and was then held up."""
    return list(changes.changes(db, listed(*rows), run, version=version))


def listing(db, run, *rows):
    for part in compared(db, run, *rows):
        changes.merge(db, part)


def row(db, uri="x"):
    return {r["uri"]: r for r in table.open_table(db, "catalog").to_table().to_pylist()}[uri]


@pytest.fixture
def decided(db):
    """One pending picture whose vectors and facts are there: it is to be settled."""
    listing(db, "r1", {"uri": "x", "label": "old"})
    ledger.update(db, pa.table([["x"], [ID]], names=["uri", "content_id"]), "true")
    contents(db, {"content_id": ID})
    table.merge(db, "v", vectors([ID], (0, 500)), update=False)
    (rows,) = wanted(db).settled()
    return db, rows


def test_a_picture_that_went_before_it_was_settled_stays_gone(decided):
    db, rows = decided
    listing(db, "r2", {"uri": "another"})
    ledger.update(db, rows, SETTLED_WHEN)
    assert (row(db)["status"], row(db)["gone_run"]) == ("gone", "r2")


def test_a_picture_that_changed_before_it_was_settled_is_opened_again(decided):
    db, rows = decided
    listing(db, "r2", {"uri": "x", "stamp": "t", "label": "old"})
    ledger.update(db, rows, SETTLED_WHEN)
    assert (row(db)["status"], row(db)["content_id"], row(db)["stamp"]) == ("pending", None, "t")


def test_a_new_label_is_kept_when_the_picture_is_settled_and_settling_when_it_is_relabelled(
    decided,
):
    db, rows = decided
    late = compared(db, "r3", {"uri": "x", "label": "newest"})
    listing(db, "r2", {"uri": "x", "label": "new"})
    ledger.update(db, rows, SETTLED_WHEN)
    assert (row(db)["status"], row(db)["label"]) == ("ok", "new")
    changes.merge(db, late[0])  # compared with a row that is no more: the next night sees to it
    assert (row(db)["status"], row(db)["label"], row(db)["changed_run"]) == ("ok", "new", "r2")
    late = compared(db, "r4", {"uri": "x", "label": "newest"})
    bad = {"content_id": ID, "status": "bad", "reason": "corrupt"}
    contents(db, bad)
    for rows in wanted(db).settled():
        ledger.update(db, rows, SETTLED_WHEN)
    changes.merge(db, late[0])
    assert (row(db)["status"], row(db)["label"], row(db)["reason"]) == ("bad", "newest", "corrupt")


def test_a_picture_that_came_while_another_driver_listed_is_not_gone(db):
    listing(db, "r1", {"uri": "x"})
    before = table.latest(db, "catalog")
    listing(db, "r2", {"uri": "x"}, {"uri": "came"})
    late = compared(db, "r3", {"uri": "x"}, version=before)
    assert late == []
    assert row(db, "came")["status"] == "pending"


def test_a_row_that_two_drivers_found_new_is_that_of_the_first(db):
    late = compared(db, "r2", {"uri": "x", "stamp": "older"})
    listing(db, "r1", {"uri": "x", "stamp": "newer"})
    changes.merge(db, late[0])
    assert (row(db)["stamp"], row(db)["first_run"]) == ("newer", "r1")


def test_a_row_that_one_of_several_runs_changed_since_is_left_alone(db):
    """Of two rows that are compared one was last changed by a run that is at work still."""
    listing(db, "r1", {"uri": "x", "label": "a"}, {"uri": "y", "label": "a"})
    slow = {part["uri"]: part for part in _relabelled(db, "r2", x="b", y="b")}
    changes.merge(db, slow["y"]["rows"])
    late = compared(db, "r3", {"uri": "x", "label": "c"}, {"uri": "y", "label": "c"})
    assert [sorted(part.column("was").to_pylist()) for part in late] == [["r1", "r2"]]
    changes.merge(db, slow["x"]["rows"])
    changes.merge(db, late[0])
    assert (row(db, "x")["label"], row(db, "x")["changed_run"]) == ("b", "r2")
    assert (row(db, "y")["label"], row(db, "y")["changed_run"]) == ("c", "r3")


def _relabelled(db, run, **labels):
    """Return what a driver would merge, cut into single rows."""
    listed_rows = [{"uri": uri, "label": label} for uri, label in labels.items()]
    (part,) = compared(db, run, *listed_rows)
    return [
        {"uri": uri, "rows": part.slice(i, 1)}
        for i, uri in enumerate(part.column("uri").to_pylist())
    ]


def test_a_uri_that_is_hostile_to_sql_is_a_name_like_any_other(db):
    listing(db, "r1", {"uri": "it's", "label": "a"})
    listing(db, "r2", {"uri": "it's", "label": "a"}, {"uri": "') or (true", "label": "a"})
    listing(db, "r3", {"uri": "it's", "label": "b"}, {"uri": "') or (true", "label": "b"})
    assert {row(db, uri)["label"] for uri in ("it's", "') or (true")} == {"b"}


def test_merging_a_slice_twice_is_merging_it_once(db):
    catalog(db, {"uri": "g"}, {"uri": "c"}, {"uri": "b", "status": "gone", "gone_run": "r0"})
    (rows,) = compared(db, "r1", {"uri": "c", "stamp": "t"}, {"uri": "b"}, {"uri": "n"})
    changes.merge(db, rows)
    once = {uri: row(db, uri) for uri in "gcbn"}
    changes.merge(db, rows)
    assert {uri: row(db, uri) for uri in "gcbn"} == once
    assert [once[uri]["status"] for uri in "gcbn"] == ["gone", "pending", "pending", "pending"]


class Reader:
    """A source whose reading is held up until another driver has done something."""

    def __init__(self, meanwhile, answer=b"old bytes"):
        self.meanwhile, self.answer = meanwhile, answer

    def read(self, places):
        self.meanwhile()
        return iter([self.answer] * len(places))


def opened(db, source):
    config = world.load(Path(db), f"index.database={db}")
    (rows,) = ledger.unopened(db)
    collect._open(config, None, source, rows, collect.Progress("collect", "opened"))


@pytest.mark.parametrize("answer", [b"old bytes", BadImage(Reason.VANISHED, "gone")])
def test_what_was_read_before_a_change_is_not_written_after_it(db, answer):
    listing(db, "r1", {"uri": "x", "stamp": "s"})
    opened(db, Reader(lambda: listing(db, "r2", {"uri": "x", "stamp": "t"}), answer))
    found = row(db)
    assert (found["stamp"], found["content_id"], found["status"]) == ("t", None, "pending")
    opened(db, Reader(lambda: listing(db, "r3", {"uri": "y"})))
    assert (row(db)["status"], row(db)["content_id"]) == ("gone", None)


def test_a_failed_read_says_nothing_of_a_picture_that_changed_meanwhile(decided):
    db, _ = decided
    listing(db, "r2", {"uri": "x", "stamp": "t"})
    rows = pa.Table.from_pylist(
        [{"uri": "x", "content_id": ID, "status": "bad", "reason": "vanished", "attempts": 1}],
        schema=attempt.UNREAD_ROWS,
    )
    ledger.update(db, rows, attempt.UNREAD_WHEN)
    assert (row(db)["status"], row(db)["reason"], row(db)["stamp"]) == ("pending", None, "t")


def test_the_condition_is_asked_at_the_commit_and_not_before(db):
    """Two count at once from the same number: a race lost is not counted, and none counts twice."""
    listing(db, "r1", *[{"uri": f"{n}"} for n in range(5)])
    barrier = threading.Barrier(2)

    def count():
        for _ in range(6):
            barrier.wait()
            rows = table.open_table(db, "catalog").to_table(["uri", "attempts"])
            barrier.wait()
            more = rows.set_column(1, "attempts", pa.compute.add(rows["attempts"], 1))
            ledger.update(db, more, "target.attempts = source.attempts - 1")

    drivers = [threading.Thread(target=count) for _ in range(2)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    rows = table.open_table(db, "catalog").to_table().to_pylist()
    assert [r["attempts"] for r in rows] == [6] * 5


@pytest.mark.parametrize("late", [False, True])
def test_two_drivers_that_create_a_table_at_once_share_it(db, monkeypatch, late):
    """Lance's own creation overwrites, and took the other driver's rows along."""
    columns, real = schema.vectors_schema(8), founding.has_data

    def quicker(where):
        """Another driver is quicker, just before or just after this one looks for data."""
        monkeypatch.setattr(founding, "has_data", real)
        before = real(where)
        table.create(db, "t", columns, {"seed": "first"})
        table.merge(db, "t", vectors(["a"]), update=False)
        return real(where) if late else before

    monkeypatch.setattr(founding, "has_data", quicker)
    table.create(db, "t", columns, {"seed": "second"})
    table.merge(db, "t", vectors(["b"]), update=False)
    found = table.open_table(db, "t").to_table()["content_id"].to_pylist()
    assert sorted(found) == ["a", "b"]
    assert table.pinned(db, "t")["seed"] == "first"
    assert table.open_table(db, "t").version == 3
