"""The quickstart, whole, as its user starts it: what must be found in these photographs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lance
import lancedb
import numpy as np
import pytest

from clipbatch.index import runs, table
from clipbatch.measure import ANALYSES
from tests import groceries

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]


def clipbatch(folder, verb, *settings):
    options = [part for text in settings for part in ("--set", text)]
    command = [sys.executable, "-m", "clipbatch.cli", verb]
    command += ["--config", str(ROOT / "jobs/configs/groceries.toml"), "--db", "db", *options]
    if verb in ("audit", "report"):
        command += ["--out", "report"]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=1100,
        env=os.environ | {"GROCERIES": str(groceries.parquet())},
    )


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groceries")
    done = clipbatch(folder, "audit")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def report(audited):
    return json.loads((audited / "report" / "audit.json").read_text())


def numbers(report, analysis):
    found = report["findings"][analysis]["numbers"]
    return {name: number["value"] for name, number in found.items()}


def rows(folder, name):
    return lance.dataset(table.path(str(folder / "db"), name)).to_table().to_pylist()


def test_the_catalog_and_the_tables_hold_every_picture_once(audited, report):
    catalog = rows(audited, "catalog")
    assert len(catalog) == len({r["uri"] for r in catalog}) == 2054
    assert {r["status"] for r in catalog} == {"ok"}
    contents = rows(audited, "contents")
    assert len(contents) == len({r["content_id"] for r in contents}) == 1393
    run = runs.find(str(audited / "db"))
    (name,) = set(run.vectors_tables().values())
    keys = [(r["content_id"], r["variant"]) for r in rows(audited, name)]
    assert len(keys) == len(set(keys)) == 1393 * 4
    assert {v for _, v in keys} == {0, 500, 1000, 2000}
    counts = report["run"]["counts"]
    assert (counts["images"], counts["contents"], counts["bad"]) == (2054, 1393, 0)


def test_every_known_duplicate_is_found_and_says_where_it_lies(report):
    found = numbers(report, "duplicates")
    assert found["exact_groups"] == 661
    assert found["exact_extra_images"] == 661
    assert found["exact_leaks"] == 0
    tables = report["findings"]["duplicates"]["tables"]
    by_split = next(t for t in tables if "split" in t["title"].lower() and "xact" in t["title"])
    assert by_split["columns"]["splits"] == ["test x 2"]
    assert by_split["columns"]["groups"] == [661]


def test_every_analysis_answers_with_controls(report):
    assert list(report["findings"]) == [analysis.name for analysis in ANALYSES]
    assert report["failed"] == {}
    clusters = numbers(report, "clusters")
    assert 0.3 < clusters["ami"] <= 1
    angles = numbers(report, "angles")
    assert angles["median_floor_angle"] < angles["median_pair_angle"]
    assert angles["median_pair_angle"] < angles["median_ceiling_angle"]
    homology = numbers(report, "homology")
    assert homology["paired_wasserstein_h0_500"] > homology["floor_wasserstein_h0"]
    assert homology["paired_wasserstein_h0_2000"] > homology["paired_wasserstein_h0_500"]
    for name, finding in report["findings"].items():
        assert finding["headline"]
        told = any(n["interval"] for n in finding["numbers"].values()) or finding["tables"]
        unanswered = finding["headline"].startswith("Not answerable")
        assert unanswered == (name == "arrivals")  # nothing is new on a first night
        assert told or unanswered or name == "neighbours"  # which counts, exactly


def test_known_duplicates_warn_and_with_a_threshold_that_fails_the_audit_fails(audited, report):
    checks = {c["name"]: c["status"] for c in report["checks"]}
    assert checks["exact_duplicates"] == "warn"
    assert report["verdict"] == "passed"
    check = (
        "report.checks.exact_duplicates="
        "{value='duplicates.exact_extra_images', op='<=', threshold=0, severity='fail'}"
    )
    done = clipbatch(audited, "report", check)
    assert done.returncode == 1, done.stderr
    assert json.loads((audited / "report" / "audit.json").read_text())["verdict"] == "failed"


def test_the_same_command_again_does_nothing_and_starts_no_ray(audited):
    done = clipbatch(audited, "audit")
    assert done.returncode == 0, done.stderr
    counts = runs.find(str(audited / "db")).counts
    assert (counts["opened"], counts["decoded"], counts["embedded_rows"]) == (0, 0, 0)
    assert (counts["units_computed"], counts["seconds"]["ray_start"]) == (0, 0)
    assert "thumbnails" not in done.stderr


def test_the_result_is_an_ordinary_lancedb_table(audited):
    run = runs.find(str(audited / "db"))
    name = run.vectors_tables()[0]
    opened = lancedb.connect(str(audited / "db")).open_table(name)
    for row in rows(audited, name)[:: 5572 // 5]:
        query = opened.search(np.array(row["vector"], np.float32)).distance_type("cosine")
        best = query.where(f"variant = {row['variant']}", prefilter=True).limit(1).to_list()
        assert best[0]["content_id"] == row["content_id"]


def test_the_report_is_one_file_that_asks_for_nothing(audited):
    page = (audited / "report" / "report.html").read_text()
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "data:image/jpeg" in page
    assert len(page) < 5_000_000
    assert (audited / "report" / "junit.xml").read_text().startswith("<?xml")
