"""Laws of the facts in words: each reason explained, each count shown once, code that runs."""

import ast

import pytest

from clipbatch.errors import Reason
from clipbatch.report import facts
from clipbatch.report.model import RunRecord
from tests.unit.report import examples

pytestmark = pytest.mark.quick


def test_every_reason_is_explained():
    assert facts.REASONS.keys() == {str(reason) for reason in Reason}


def test_every_count_has_one_place():
    run = examples.run_record()
    placed = [*facts.HELD, *facts.CHANGES, *facts.WORK, "rejects", "seconds", "rates", "forecast"]
    others = [name for name, _ in facts.others(run)]
    assert len(placed) == len(set(placed))
    assert set(run.counts) <= {*placed, *others}
    assert not set(placed) & set(others)


def test_tiles_keep_their_order_and_leave_out_what_was_not_counted():
    run = RunRecord("r", counts={"gone": 0, "new": 1234, "back": 0})
    assert facts.tiles(run, facts.CHANGES) == [("new", "1,234"), ("gone", "0")]


@pytest.mark.parametrize("name", ["new", "changed", "gone", "opened", "embedded_rows"])
def test_a_night_is_quiet_only_if_nothing_happened(name):
    quiet = {"images": 5, "new": 0, "listed": 5}
    assert facts.quiet(RunRecord("r", counts=quiet))
    assert not facts.quiet(RunRecord("r", counts=quiet | {name: 1}))


def test_rejects_come_most_frequent_first_with_their_meaning():
    run = RunRecord("r", counts={"rejects": {"empty": 1, "corrupt": 3, "truncated": 0}})
    assert facts.rejects(run) == [
        ("corrupt", 3, "the decoder refused the bytes"),
        ("empty", 1, "zero bytes"),
    ]


@pytest.mark.parametrize("database", ["db", "s3://bucket/a b", 'it\'s "quoted"\n\u202e', "C:\\db"])
def test_the_opening_lines_are_python_that_names_the_database(database):
    run = examples.run_record(database=database)
    text = facts.opening(run)
    constants = [n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant)]
    assert {database, "vectors__offline-lite0-3c1f", 12} <= set(constants)
    assert len(text.splitlines()) == 4


def test_the_opening_lines_run(tmp_path):
    lancedb = pytest.importorskip("lancedb")
    rows = [{"content_id": f"{n}", "variant": 0, "vector": [float(n), 1.0]} for n in range(8)]
    table = lancedb.connect(tmp_path).create_table("vectors__x", rows)
    run = RunRecord("r", database=str(tmp_path), tables={"vectors__x": table.version})
    *lines, last = facts.opening(run).splitlines()
    scope = {}
    exec("\n".join(lines), scope)
    found = eval(last, scope)
    assert found[0]["content_id"] == "0"
    assert len(found) == 5


def test_anchors_are_plain_and_distinct():
    names = ["duplicates", *examples.HOSTILE]
    anchors = [facts.anchor(name) for name in names]
    assert anchors[0] == "duplicates"
    assert len(set(anchors)) == len(set(names))
    assert all(a.isascii() and a.replace("-", "").replace("_", "").isalnum() for a in anchors)


def test_the_time_is_told():
    assert facts.span(examples.run_record()) == "21 November 2026, 02:09 UTC · took 6 min 37 s"
    assert facts.span(RunRecord("r")) == ""


def test_a_plan_is_told_with_its_error():
    told = {
        "actual": {"rows": 400, "seconds_embed": 10.0},
        "error": {"rows": 0.0, "seconds_embed": -0.256},
        "forecast": {"rows": 400, "seconds_embed": 7.44},
    }
    run = RunRecord("r", counts={"forecast": told})
    assert facts.forecast(run) == [
        ("rows", "400 (planned ±0 %)"),
        ("seconds embed", "10 (planned −25.6 %)"),
    ]
    assert facts.others(run) == facts.forecast(RunRecord("r")) == []
