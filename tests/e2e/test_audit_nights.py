"""Four small nights with the real tables: what is new, what was accepted, and what is tidied."""

import json
from pathlib import Path

import jsonschema
import pytest

from clipbatch import cli
from clipbatch.index import runs, table
from tests import pictures, serial

pytestmark = pytest.mark.e2e

SCHEMA = json.loads(
    (Path(cli.__file__).parent / "report" / "audit.schema.json").read_text(encoding="utf-8")
)


@pytest.fixture
def clipbatch(tmp_path, monkeypatch):
    """Return the command line over one database, without Ray; it returns (exit code, report)."""
    serial.without_ray(monkeypatch.setattr)
    monkeypatch.setenv("CLIPBATCH_NOTIFY", f"tee {tmp_path / 'told.json'}")
    (tmp_path / "audit.toml").write_text(
        f"""
[collect]
source = "{tmp_path / "pictures"}"
[embed]
encoder = "pixels"
pixels_side = 24
levels = []
batch_size = 8
[index]
database = "{tmp_path / "db"}"
keep_runs = 2
keep_days = 0
[measure]
analyses = ["duplicates", "labels"]
[report]
folder = "{tmp_path / "report"}"
"""
    )

    def run(*arguments):
        code = cli.main([*arguments, "--config", str(tmp_path / "audit.toml")])
        report = tmp_path / "report" / "audit.json"
        found = json.loads(report.read_text()) if report.exists() else {}
        jsonschema.Draft202012Validator(SCHEMA).validate(found)
        return code, found

    return run


def statuses(found):
    return {check["name"]: check["status"] for check in found["checks"]}


def new(found):
    return {name: told["count"] for name, told in found["new"].items() if told["count"]}


def test_four_nights(tmp_path, clipbatch, capsys):
    files = pictures.collection(each=6)
    root = pictures.write_folder(tmp_path / "pictures", files)
    names = sorted(files)

    code, first = clipbatch("audit")
    assert (code, first["new"], first["baseline_run"]) == (0, None, None)

    # A leak: a picture of the training split is put into the test split as well.
    leaked = next(name for name in names if name.startswith("train/cat"))
    (root / "test/cat/leak.png").write_bytes(files[leaked])
    (root / "test/dog/torn.png").write_bytes(files[names[0]][:100])
    code, second = clipbatch("audit")
    assert code == 1
    assert second["baseline_run"] == second["reference_run"] == first["run"]["run_id"]
    assert {"exact_copies", "exact_leaks", "rejects"} <= new(second).keys()
    assert second["new"]["rejects"]["columns"]["image"] == ["test/dog/torn.png"]
    assert statuses(second)["new_leaks"] == "fail"
    told = json.loads((tmp_path / "told.json").read_text())
    assert (told["verdict"], told["exit_code"]) == ("failed", 1)
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.index("New leaks by exact copies") < page.index('id="checks"')

    # A person looks, and accepts; the same night passes now, with the old trouble in sight.
    assert clipbatch("accept", second["run"]["run_id"], "--note", "known")[0] == 0
    code, third = clipbatch("audit")
    assert code == 0
    assert third["accepted"]
    assert third["baseline_run"] == second["run"]["run_id"]
    assert new(third) == {}
    assert statuses(third)["exact_leaks"] == "known"
    assert third["run"]["counts"]["opened"] == 0

    # That leak is mended and another comes in: the count is the accepted one, and it fails.
    (root / "test/cat/leak.png").unlink()
    other = next(name for name in names if name.startswith("train/dog"))
    (root / "test/dog/leak.png").write_bytes(files[other])
    code, fourth = clipbatch("audit")
    assert code == 1
    assert statuses(fourth)["exact_leaks"] == "known"
    assert statuses(fourth)["new_leaks"] == "fail"
    assert [past["verdict"] for past in fourth["history"]] == ["passed", "failed", "passed"]

    # The first night passed, the second is accepted: both keep their tables beyond keep_runs.
    db = str(tmp_path / "db")
    tags = set(table.open_table(db, "catalog").tags.list())
    assert tags == {f"run-{run.run_id}" for run in runs.history(db)}

    capsys.readouterr()
    assert clipbatch("history", "exact_leaks")[0] == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert clipbatch("calibrate")[0] == 0
    assert "Too few" in capsys.readouterr().out
    assert clipbatch("history", "exact_leeks")[0] == 2
    assert clipbatch("accept", "no-such-run")[0] == 2
