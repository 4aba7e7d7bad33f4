"""Pictures, tables and report in a bucket: the same audit as on a disk."""

import json
import os
import subprocess
import sys
import time

import lance
import pytest

from clipbatch.index import table
from tests import groceries
from tests.ray import world
from tests.stores import LossyProxy, OddStore, bucket, moto_port

__all__ = ["bucket", "moto_port"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SETTINGS = ("embed.encoder=pixels", "embed.batch_size=16", "embed.levels=[0.5]")


def command(source, database, report, *more, analysis="balance"):
    settings = (*SETTINGS, f"measure.analyses=['{analysis}']", *more)
    return [
        *(sys.executable, "-m", "clipbatch.cli", "audit", source, "--db", database),
        *("--out", report, *(part for text in settings for part in ("--set", text))),
    ]


def vectors_of(bucket):
    """Return the name of the table of vectors, or ""."""
    tables = {key.split("/")[1].removesuffix(".lance") for key in bucket.keys() if "/" in key}  # noqa: SIM118
    return next((name for name in tables if name.startswith("vectors__")), "")


def merged(bucket):
    """Return how many vectors are in the bucket."""
    name = vectors_of(bucket)
    try:
        return lance.dataset(table.path(f"{bucket.address}/db", name)).count_rows() if name else 0
    except ValueError:  # it is being made
        return 0


def audit(source, database, report):
    return subprocess.run(
        command(source, database, report, analysis="duplicates"),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"RAY_ADDRESS": "local"},
    )


def test_a_bucket_gives_the_vectors_of_a_folder(bucket, tmp_path):
    folder = groceries.folder(tmp_path / "pictures", 30)
    for path in sorted(folder.rglob("*.jpg")):
        bucket.put(f"in/{path.relative_to(folder)}", path.read_bytes())
    names = [f"{bucket.address}/{part}" for part in ("in", "db", "report")]
    done = audit(*names)
    assert done.returncode == 0, done.stderr
    told = json.loads(
        bucket.client.get_object(Bucket=bucket.name, Key="report/audit.json")["Body"].read()
    )
    assert told["verdict"] == "passed"
    assert told["run"]["counts"]["contents"] == 30
    assert "a-secret" not in done.stderr + json.dumps(told)
    local = world.load(tmp_path, *SETTINGS)
    assert audit(str(folder), local.index.database, local.report.folder).returncode == 0
    rows = lance.dataset(table.path(names[1], vectors_of(bucket))).to_table().to_pylist()
    expected = world.vectors(local)
    assert len(rows) == len(expected) == 60
    assert {(r["content_id"], r["variant"]) for r in rows} == set(expected)
    again = audit(*names)
    assert again.returncode == 0, again.stderr
    assert "collect  30 listed" in again.stderr


def test_a_store_that_loses_rows_silently_is_refused_by_name(tmp_path, monkeypatch):
    folder = groceries.folder(tmp_path / "pictures", 2)
    with OddStore(monkeypatch):
        done = audit(str(folder), "s3://odd/db", str(tmp_path / "report"))
    assert done.returncode == 2, done.stderr
    assert "If-None-Match" in done.stderr
    assert not (tmp_path / "report").exists()


def test_a_store_that_dies_in_mid_run_leaves_a_run_to_go_on_with(moto_port, bucket, tmp_path):
    folder = groceries.folder(tmp_path / "pictures", 96)
    places = (str(folder), f"{bucket.address}/db", str(tmp_path / "report"))
    large = ("embed.encoder=offline-lite", "embed.levels=[]", "embed.merge_rows=16")
    with LossyProxy(moto_port, lambda *_: False) as proxy:
        address = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}
        process = subprocess.Popen(
            command(*places, *large),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | address | {"RAY_ADDRESS": "local"},
        )
        deadline = time.monotonic() + 200
        while not merged(bucket):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
    _, told = process.communicate(timeout=300)  # nobody listens there any more
    assert process.returncode == 3, told
    assert "same command" in told
    assert "Traceback" not in told
    assert 0 < merged(bucket) < 96
    again = subprocess.run(
        command(*places, *large),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"RAY_ADDRESS": "local"},
    )
    assert again.returncode == 0, again.stderr
    rows = lance.dataset(table.path(places[1], vectors_of(bucket))).to_table().to_pylist()
    assert len({row["content_id"] for row in rows}) == len(rows) == 96
