"""A plan measures the real stages, and is held against the audit that follows."""

import json

import pytest

from clipbatch import cli, config
from clipbatch.doctor import Status, cluster
from clipbatch.index import runs
from tests import groceries
from tests.ray import world

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def ask(command, loaded, *options):
    settings = [
        f"collect.source={loaded.collect.source}",
        f"index.database={loaded.index.database}",
        f"report.folder={loaded.report.folder}",
        "embed.encoder=pixels",
        "embed.batch_size=8",
        "measure.analyses=['duplicates']",
    ]
    return cli.main([command, *options, *(p for text in settings for p in ("--set", text))])


def test_the_run_row_says_how_wrong_the_plan_was(tmp_path, capfd, local_ray):
    loaded = world.load(tmp_path)
    groceries.folder(tmp_path / "pictures", 40)
    assert ask("plan", loaded, "--json") == 0
    told = json.loads(capfd.readouterr().out)
    now, ten, hundred = (told["forecast"][factor] for factor in ("1", "10", "100"))
    assert (now["pictures"], now["rows"], now["contents"]) == (40, 160, 40)
    assert ten["rows"] == 1600
    assert hundred["bytes"] > ten["bytes"] > now["bytes"] > 0
    assert told["rates"]["sample"] == 40
    assert min(told["rates"][f"{stage}_s"] for stage in ("open", "decode", "vector", "start")) > 0
    assert told["refused"] == []

    assert ask("audit", loaded) == 0
    found = runs.find(loaded.index.database).counts["forecast"]
    assert found["error"]["pictures"] == found["error"]["rows"] == 0.0
    assert found["forecast"]["seconds"] > 0 < found["actual"]["seconds"]
    assert abs(found["error"]["bytes"]) < 1  # far smaller than what a real encoder writes
    assert "What the plan said" in (tmp_path / "report/report.html").read_text()
    capfd.readouterr()

    # A second plan finds nothing to do, and the quiet night is compared with it.
    assert ask("plan", loaded, "--json") == 0
    quiet = json.loads(capfd.readouterr().out)
    assert quiet["forecast"]["1"]["rows"] == quiet["todo"]["to_open"] == 0
    assert quiet["todo"]["known"] == 40
    assert ask("audit", loaded) == 0
    assert runs.find(loaded.index.database).counts["forecast"]["error"]["rows"] == 0.0
    assert ask("audit", loaded) == 0
    assert "forecast" not in runs.find(loaded.index.database).counts


def test_a_doctor_joins_the_cluster_that_is_named(local_ray, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", local_ray.get_runtime_context().gcs_address)
    (found,) = cluster.ray(config.load(None))
    assert found.status is Status.OK
    assert "1 nodes, 2 CPU, 0 GPU" in found.found
    (short,) = cluster.ray(config.load(None, ["embed.num_gpus=1.0"]))
    assert short.status is Status.FAIL
    assert local_ray.is_initialized()
