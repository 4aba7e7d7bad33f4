"""Two drivers at once on one database: a lease sends one away, and without it both end the same."""

import os
import signal
import subprocess
import sys
import time

import lance
import pytest

from clipbatch.index import lease, table
from clipbatch.index.runs import history
from tests import pictures
from tests.stores import LossyProxy, bucket, leases, moto_port, settings

__all__ = ["bucket", "moto_port"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SETTINGS = (
    "embed.encoder=pixels",
    "embed.batch_size=8",
    "embed.levels=[0.5]",
    "embed.merge_rows=80",
    "measure.analyses=['duplicates']",
)
COUNT = 80


def start(root, database, report, *more):
    options = [part for text in (*SETTINGS, *more) for part in ("--set", text)]
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.serial", "audit", str(root / "pictures")),
            *("--db", str(database), "--out", str(report), *options),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process):
    _, told = process.communicate(timeout=300)
    return process.returncode, told


@pytest.fixture
def root(tmp_path):
    pictures.write_folder(tmp_path / "pictures", pictures.collection(each=COUNT // 4))
    return tmp_path


def whole(database):
    """Check that every picture and every vector is there once; returns key -> vector."""
    rows = table.open_table(database, "catalog").to_table().to_pylist()
    assert len({row["uri"] for row in rows}) == len(rows) == COUNT
    assert {row["status"] for row in rows} == {"ok"}
    runs = history(database)
    found = {}
    for name in set(runs[-1].vectors_tables().values()):
        for row in lance.dataset(table.path(database, name)).to_table().to_pylist():
            key = (row["content_id"], row["variant"])
            assert key not in found
            found[key] = row["vector"]
    assert len(found) == 2 * len({row["content_id"] for row in rows}) == 2 * COUNT
    for run in runs:
        for name, version in run.tables.items():
            tagged = lance.dataset(table.path(database, name), version=f"run-{run.run_id}")
            assert tagged.version == version
    return found


def test_the_second_driver_is_sent_away_and_a_dead_one_keeps_nobody_waiting(root):
    database = root / "db"
    first = start(root, database, root / "report")
    deadline = time.monotonic() + 120
    while not list(database.glob(f"{lease.FOLDER}/*.json")):
        assert time.monotonic() < deadline
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.05)
    code, told = end(start(root, database, root / "other"))
    (line,) = [text for text in told.splitlines() if text.startswith("clipbatch:")]
    assert code == 3, told
    for word in (f"process {first.pid} on", "UTC", "nothing was done", "index.lease_wait_s"):
        assert word in line
    assert not (root / "other").exists()
    os.kill(first.pid, signal.SIGKILL)
    end(first)
    code, told = end(start(root, database, root / "report"))
    assert code == 0, told
    assert "waiting" not in told
    whole(str(database))
    assert leases(str(database)) == []


def test_without_a_lease_and_with_lost_answers_two_drivers_end_with_the_same_tables(
    root, bucket, moto_port, monkeypatch
):
    """Correctness never rests on the lease: a bucket, and every seventh answer to a PUT is lost."""
    database = f"{bucket.address}/db"
    with LossyProxy(moto_port, lambda puts, _key: puts % 7 == 6, 500) as proxy:
        for name, value in settings(proxy.port).items():
            monkeypatch.setenv(name, value)
        drivers = [start(root, database, root / f"{n}", "index.lease_s=0") for n in range(2)]
        answers = [end(driver) for driver in drivers]
        for name, value in settings(moto_port).items():
            monkeypatch.setenv(name, value)
    assert [code for code, _ in answers] == [0, 0], answers
    assert len(proxy.lost) > 5
    assert [run.verdict for run in history(database)] == ["passed", "passed"]
    shared = whole(database)
    code, told = end(start(root, root / "db", root / "calm"))
    assert code == 0, told
    assert shared == whole(str(root / "db"))
    # The same on a disk, where nothing is lost.
    drivers = [start(root, root / "both", root / f"{n}", "index.lease_s=0") for n in range(2)]
    answers = [end(driver) for driver in drivers]
    assert [code for code, _ in answers] == [0, 0], answers
    assert shared == whole(str(root / "both"))
