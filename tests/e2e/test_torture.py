"""A small torture in `make test`, and proof that its judge sees every sort of loss."""

import os
import shutil
import subprocess
import sys
import time

import lance
import numpy as np
import pyarrow as pa
import pytest

from tests.torture import judge, session, table
from tests.torture.collection import phases
from tests.torture.plan import KINDS, kills, plan
from tests.torture.points import fell
from tests.torture.processes import Mark
from tests.torture.series import Series, Tally

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

SEED = 6


class Small(Series):
    """A series that leaves its tables for the tests of the judge."""

    def run(self):
        self.times = phases(SEED, self.drawn.phases)
        self._calm(self.times[-1])
        for number, phase in enumerate(self.times):
            phase.write(self.place.pictures)
            self._phase(number)
        return self._judge()

    def _judge(self):
        return judge.judge(
            self.place.database,
            self.times[-1],
            session.VARIANTS,
            self.tally.kept,
            self.calm.database,
        )


@pytest.fixture(scope="module")
def tortured():
    with session.session("local", workers=1) as here:
        small = Small(here, plan(SEED, "point", 2), 2, float("inf"))
        judgement = small.run()
        yield small, judgement
        mark = here.mark
    assert not mark.pids()
    assert not here.folder.exists()


def test_killed_drivers_lose_repeat_and_change_nothing(tortured):
    small, judgement = tortured
    assert small.tally.failures == []
    assert small.tally.kills.total() + small.tally.unreached == 4
    assert small.tally.kills.total() >= 2
    assert small.tally.kept["runs"]
    assert judgement.examples == []
    assert judgement.sound
    assert judgement.rows > 200
    assert judgement.compared == 2 * len(small.times[-1].good())


@pytest.fixture
def copy(tortured, tmp_path):
    """Give a copy of the tables, and the judge of it."""
    small, _ = tortured
    database = tmp_path / "db"
    shutil.copytree(small.place.database, database)
    name = next(database.glob("vectors__*.lance"))

    def judged():
        return judge.judge(
            str(database),
            small.times[-1],
            session.VARIANTS,
            small.tally.kept,
            small.calm.database,
        )

    assert judged().sound
    return database, name, judged


def test_a_deleted_row_is_seen(tortured, copy):
    _, name, judged = copy
    content = min(tortured[0].times[-1].good())
    lance.dataset(name).delete(f"content_id = '{content}' and variant = 1000")
    found = judged()
    assert found.lost == 1
    assert not found.sound


@pytest.mark.parametrize(
    "kind",
    ["catalog", "contents", "vectors", "runs", "findings", "pairs", "neighbours", "thumbnails"],
)
def test_an_appended_row_is_seen(copy, kind):
    database, _, judged = copy
    name = next(database.glob(f"{kind}*.lance"))
    dataset = lance.dataset(name)
    lance.write_dataset(dataset.to_table(limit=1), name, mode="append")
    found = judged()
    assert found.repeated == 1
    assert not found.sound


def test_a_flipped_bit_is_seen(copy):
    _, name, judged = copy
    rows = lance.dataset(name).to_table()
    column = rows.column("vector").combine_chunks()
    dim = column.type.list_size
    flat = column.flatten().to_numpy().copy()
    bits = flat.view(np.uint32)
    bits[0::dim] ^= 1  # the last bit of the first number of every vector
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat), dim)
    field = rows.schema.field("vector")
    changed = rows.set_column(rows.schema.get_field_index("vector"), field, vectors)
    lance.write_dataset(changed.cast(rows.schema), name, mode="overwrite")
    found = judged()
    assert found.bits == found.compared > 0
    assert found.lost == found.repeated == 0


def test_a_dropped_tag_and_a_lost_run_are_seen(copy):
    database, name, judged = copy
    run = judge.runs(str(database))[0]["run_id"]
    lance.dataset(name).tags.delete(f"run-{run}")
    assert judged().tags == 1
    lance.dataset(database / "runs.lance").delete(f"run_id = '{run}'")
    assert judged().lost == 1


def test_other_evidence_is_seen(tortured, copy):
    database, _, judged = copy
    wrong = {"pairs": ("cosine", "cosine - 0.25"), "thumbnails": ("jpeg", "X'00'")}
    for kind, (column, value) in wrong.items():
        dataset = lance.dataset(next(database.glob(f"{kind}*.lance")))
        before = judged().evidence
        dataset.update({column: value})
        assert judged().evidence > before
    name = next(database.glob("neighbours*.lance"))
    there = judged()
    content = min(tortured[0].times[-1].good())
    lance.dataset(name).delete(f"content_id = '{content}'")
    assert judged().evidence == there.evidence + 1


def test_a_catalog_that_says_otherwise_is_seen(copy):
    database, _, judged = copy
    dataset = lance.dataset(database / "catalog.lance")
    gone = dataset.count_rows("status = 'gone'")
    assert gone > 0
    dataset.update({"status": "'ok'"}, where="status = 'gone'")
    assert judged().disagreements == gone


def test_a_seed_names_its_kills_whatever_else_was_drawn():
    for kind in KINDS:
        assert plan(3, kind) == plan(3, kind)
    drawn = plan(3, "point")
    known = ["embed.merge.vectors.before", "embed.merge.vectors.during", "index.tag.runs.after"]
    took = {"embed.merge.vectors": [20.0, 30.0, 90.0]}
    first = kills(drawn, 1, known, 3, took)
    drawn.rng("else").random()
    assert kills(drawn, 1, list(reversed(known)), 3, took) == first
    assert [0 < kill.after_ms < 30 for kill in first if kill.point.endswith("during")] == [True]
    assert {kill.point for kill in kills(drawn, 1, known, 3, {})} == {known[0], known[2]}


def test_every_other_kill_is_where_rows_are_won_and_none_where_a_phase_cannot_come():
    tables = {"collect": "catalog", "embed": "vectors", "measure": "pairs", "report": "runs"}
    known = [f"{s}.merge.{t}.{w}" for s, t in tables.items() for w in ("before", "after")]
    known += [f"embed.write.versions of vectors.{w}" for w in ("before", "after")]
    for phase in range(2):
        drawn = [kill.point for kill in kills(plan(3, "point"), phase, known, 6, {})]
        assert sum(point.startswith("embed") for point in drawn) == (3 if not phase else 2)
        assert sum(point.startswith("collect") for point in drawn) == 1
        assert phase == 0 or not any(" of " in point for point in drawn)


def test_a_kill_is_said_to_be_where_it_fell():
    reached = [{"at": "a.merge.t.before"}, {"at": "a.merge.t.during"}]
    beside = {"at": "other.write.lease.before", "beside": True}
    assert fell([]) == "start"
    collected = [{"at": "collect.merge.catalog.after"}]
    assert fell(collected) == "collect.merge.catalog.after"
    assert fell([*collected, {"embedded": 16, "pid": 7}]) == "embed.block.after"
    assert fell([*reached, beside]) == "a.merge.t.inside"
    assert fell([*reached, {"took": "a.merge.t", "ms": 3}, {"at": "a.merge.t.after"}]) == (
        "a.merge.t.after"
    )


class Ended:
    """A driver that has ended and said something."""

    def __init__(self, events, text=""):
        self.list, self.text = events, text

    def events(self):
        return self.list

    def said(self):
        return self.text


@pytest.mark.parametrize(
    ("driver", "code"),
    [
        (Ended([{"ended": 0}]), 0),
        (Ended([{"ended": 3}]), 3),
        (Ended([{"at": "a.tag.t.before"}, {"died": "a.tag.t.before"}]), -9),
    ],
)
def test_an_end_that_may_be_is_no_failure(driver, code):
    tally = Tally()
    tally.take(driver, code)
    assert tally.failures == []


@pytest.mark.parametrize(
    ("driver", "code", "why"),
    [
        (Ended([{"ended": 2}]), 2, "ended with 2, the undisturbed one with 0"),
        (Ended([{"ended": 1}]), 1, "ended with 1, the undisturbed one with 0"),
        (Ended([{"at": "embed.tag.t.before"}]), 1, "not of its own accord"),
        (Ended([]), -9, "not of its own accord"),
        (Ended([{"ended": 3}], "db: another run (process 1 on h) holds it until"), 3, "lease"),
    ],
)
def test_an_end_that_must_not_be_is_a_failure(driver, code, why):
    tally = Tally()
    tally.take(driver, code)
    assert len(tally.failures) == 1
    assert why in tally.failures[0]


def test_the_page_adds_up(tmp_path):
    line = {
        "date": "2026-11-21T00:00:00Z",
        "store": "local",
        "kind": "point",
        "sound": True,
        "kills": {"embed.merge.contents.before": 2, "embed.node": 1},
        "drivers": 4,
        "rows": 100,
        **dict.fromkeys(table.WRONG, 0),
        "embedded": 120,
        "embedded_again": 20,
        "failures": [],
        "versions": {"ray": "1"},
        "seed": 7,
        "kills_a_phase": 3,
        "phases": 2,
        "seconds": 9.5,
        "codes": {"-9": 3, "1": 1},
    }
    text = table.page([line, line, line | {"control": True, "lost": 7, "sound": False}])
    assert "| **all** | 2 | 6 | 8 | 200 |" in text
    assert "| 40 of 240 | 0 | 50 % |" in text
    assert "| control, point | 1 | 3 | 4 | 100 | 7 |" in text
    assert "| embed: merge into contents | 4 | 4 |" in text
    assert (
        "| local, point | 3 | 4 | -9: 3, 1: 1 | 9.5 | - | `python -m tests.torture --seed 7" in text
    )


LOSES_ITS_RAYLET = """
import os, signal, time
from ray._private import worker
from clipbatch.runtime import session, watch
with session.Session() as joined:
    joined.ensure()
    (raylet,) = watch._raylets(worker._global_node.raylet_socket_name)
    os.kill(raylet, signal.SIGKILL)
    time.sleep(60)
"""


def test_a_driver_whose_raylet_dies_ends_with_3_on_a_cluster_too(tortured):
    """The last test of that cluster: it loses a node. Ray itself would end the driver with 1."""
    small, _ = tortured
    done = subprocess.run(
        [sys.executable, "-c", LOSES_ITS_RAYLET],
        env={**os.environ, **small.session.cluster.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 3, done.stderr
    assert "its raylet" in done.stderr


def test_a_mark_finds_its_processes_and_no_stranger(tmp_path):
    from tests.torture.processes import start

    mark = Mark()
    process = start(
        [
            sys.executable,
            "-c",
            "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)",
        ],
        mark.part("one"),
        {},
        tmp_path / "log",
    )
    until = time.monotonic() + 20
    while len(mark.pids()) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(mark.pids()) == 2
    assert mark.part("two").kill() == 0
    assert mark.kill() == 2
    assert process.wait() == -9
    assert mark.pids() == []
