"""Pictures, tables and report in a bucket: the same audit as on a disk."""

import json
import os
import subprocess
import sys

import lance
import pytest

from clipbatch.index import table
from tests import groceries
from tests.ray import world
from tests.stores import OddStore, bucket, moto_port

__all__ = ["bucket", "moto_port"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SETTINGS = ("embed.encoder=pixels", "embed.batch_size=16", "embed.levels=[0.5]")


def audit(source, database, report):
    options = [part for text in SETTINGS for part in ("--set", text)]
    return subprocess.run(
        [
            *(sys.executable, "-m", "clipbatch.cli", "audit", source),
            *("--db", database, "--out", report, *options),
            *("--set", "measure.analyses=['duplicates']"),
        ],
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
    tables = {key.split("/")[1].removesuffix(".lance") for key in bucket.keys()}  # noqa: SIM118
    (name,) = (name for name in tables if name.startswith("vectors__"))
    rows = lance.dataset(table.path(names[1], name)).to_table().to_pylist()
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
