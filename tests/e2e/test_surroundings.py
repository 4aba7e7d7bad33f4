"""Bad surroundings: each ends with its own message and exit code, and the same command goes on."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

from clipbatch import schema
from clipbatch.errors import Transient
from clipbatch.index import table
from tests import pictures
from tests.stores import OddStore, bucket, moto_port, rclone
from tests.unit.index.test_table import vectors

__all__ = ["bucket", "moto_port", "rclone"]

pytestmark = pytest.mark.quick


def run(verb, tmp_path, *settings, db="", out=""):
    """Run a command on the folder ``pictures``; the database and the report lie beside it."""
    places = ["--db", db or str(tmp_path / "db")]
    if verb in ("audit", "report"):
        places += ["--out", out or str(tmp_path / "report")]
    options = [part for text in ("embed.encoder=pixels", *settings) for part in ("--set", text)]
    source = [str(tmp_path / "pictures")] if verb in ("audit", "collect") else []
    return subprocess.run(
        [sys.executable, "-m", "clipbatch.cli", verb, *source, *places, *options],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"RAY_ADDRESS": "local"},
    )


def told(done, code, *words):
    """Check the exit code and the one line that says why; returns that line."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("clipbatch:")]
    assert done.returncode == code, done.stderr
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0]
    return lines[0]


@contextmanager
def mounted(folder, *options):
    """Mount a small file system in memory at a folder; only root may."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "clipbatch-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder, leave):
    """Fill a file system up to some bytes; returns the file to remove."""
    ballast = folder / "ballast"
    ballast.write_bytes(b"\0" * (shutil.disk_usage(folder).free - leave))
    return ballast


@pytest.fixture
def root(tmp_path):
    pictures.write_folder(tmp_path / "pictures", pictures.collection())
    return tmp_path


def uris(db):
    return sorted(table.open_table(str(db), "catalog").to_table()["uri"].to_pylist())


def test_rclone_is_refused_by_the_name_of_its_defect(root, rclone):
    done = run("audit", root, db=f"{rclone}/db")
    told(done, 2, "ignores conditional writes", "If-None-Match", "SeaweedFS")
    assert list((root / "served" / "bucket").rglob("*.*")) == []
    assert not (root / "report").exists()


def test_a_store_that_may_not_be_written_is_told_apart(root, monkeypatch):
    with OddStore(monkeypatch, 403):
        line = told(run("collect", root, db="s3://bucket/db"), 2, "403", "rights")
        assert "conditional" not in line
        told(run("audit", root, out="s3://bucket/report"), 2, "403", "rights", "report")
    assert not (root / "db").exists()


def test_a_report_that_cannot_be_written_is_found_before_any_work(root):
    with mounted(root / "fixed", "size=64k", "ro"):
        done = run("audit", root, out=str(root / "fixed" / "report"))
        told(done, 2, "fixed/report", "may not be written", "permissions or mount")
    assert not (root / "db").exists()


def test_a_database_that_is_read_only_is_found_before_any_work(root):
    assert run("collect", root).returncode == 0
    with mounted(root / "ro", "size=4m") as folder:
        shutil.copytree(root / "db", folder / "db")
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        done = run("audit", root, db=str(folder / "db"))
        told(done, 2, "ro/db", "ead-only", "permissions")
    assert not (root / "report").exists()


def test_a_disk_that_fills_in_mid_merge_loses_nothing(root):
    with mounted(root / "small", "size=2m") as folder:
        db = folder / "db"
        assert run("collect", root, db=str(db)).returncode == 0
        before = uris(db)
        assert len(before) == 8
        pictures.write_folder(root / "pictures", pictures.collection(classes=("owl", "emu")))
        ballast = fill(folder, leave=16 * 1024)
        done = run("collect", root, db=str(db))
        told(done, 3, "disk is full", "free some space", "same command")
        assert uris(db) == before
        ballast.unlink()
        done = run("collect", root, db=str(db))
        assert done.returncode == 0, done.stderr
        assert len(uris(db)) == len(set(uris(db))) == 16
        contents = table.open_table(str(db), "catalog").to_table()["content_id"].to_pylist()
        assert None not in contents


def test_vectors_that_do_not_fit_are_merged_once_there_is_space(tmp_path):
    with mounted(tmp_path / "small", "size=3m") as folder:
        db = str(folder)
        table.create(db, "v", schema.vectors_schema(512))
        some = vectors([f"{i:04}" for i in range(400)], dim=512)
        more = vectors([f"{i:04}" for i in range(200, 2000)], dim=512)
        table.merge(db, "v", some, update=False)
        with pytest.raises(Transient, match="disk is full"):
            table.merge(db, "v", more, update=False)
        assert table.open_table(db, "v").count_rows() == 400
        subprocess.run(["mount", "-o", "remount,size=64m", db], check=True)
        assert table.merge(db, "v", more, update=False) == 1600
        ids = table.open_table(db, "v").to_table()["content_id"].to_pylist()
        assert sorted(ids) == [f"{i:04}" for i in range(2000)]


def test_a_table_of_another_schema_version_is_refused_by_every_verb(root, monkeypatch):
    monkeypatch.setattr(schema, "VERSION", "99")
    table.create(str(root / "db"), schema.CATALOG, schema.CATALOG_SCHEMA)
    monkeypatch.undo()
    for verb in ("collect", "audit"):
        line = told(run(verb, root), 2, "got schema version 99", "expected 1")
        assert "index.database" in line
    assert not (root / "report").exists()


def test_a_table_without_its_manifests_is_not_taken_for_a_new_one(root):
    assert run("collect", root).returncode == 0
    shutil.rmtree(root / "db" / "catalog.lance" / "_versions")
    told(run("collect", root), 2, "catalog.lance", "no manifest", "restore", "move it away")
    shutil.move(root / "db" / "catalog.lance", root / "aside")
    assert run("collect", root).returncode == 0
    assert len(uris(root / "db")) == 8


def test_a_missing_data_file_is_told_as_what_it_is(root):
    assert run("collect", root).returncode == 0
    for file in (root / "db" / "catalog.lance" / "data").iterdir():
        file.unlink()
    line = told(run("collect", root), 3, "catalog.lance")
    assert "restore" in line
