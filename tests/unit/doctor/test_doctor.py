"""Each thing that would stop an audit is found beforehand, with what to do about it."""

import json
import re
import resource
import shutil

import pytest

from clipbatch import cli, config
from clipbatch.doctor import Status, cluster, installation, machine, stores
from tests import pictures
from tests.stores import OddStore

pytestmark = pytest.mark.quick


def load(*overrides):
    return config.load(None, ["embed.encoder=pixels", *overrides])


def one(diagnoses):
    (found,) = diagnoses
    assert bool(found.advice) == (found.status is not Status.OK)
    return found


def test_this_installation_is_sound():
    told = {found.name: found for found in installation.versions(load())}
    assert {found.status for found in told.values()} <= {Status.OK, Status.WARN}
    assert "pylance" in told["engine"].found
    assert told["libraries"].status is Status.OK


def test_a_library_of_another_version_is_named_with_what_was_expected(monkeypatch):
    real = installation._version
    monkeypatch.setattr(
        installation, "_version", lambda name: "0.1" if name == "pylance" else real(name)
    )
    *_, found = installation.versions(load())
    assert found.status is Status.FAIL
    assert "got pylance 0.1, expected >=" in found.found


def test_an_engine_that_was_not_tested_is_a_warning(monkeypatch):
    good = installation.KNOWN_GOOD | {"lancedb": "0.41.0"}
    monkeypatch.setattr(installation, "_version", good.get)
    monkeypatch.setattr(installation, "_requirements", list)
    _, engine, _ = installation.versions(load())
    assert engine.status is Status.WARN
    assert "lancedb 0.40.0" in engine.advice


def test_a_library_that_is_missing(monkeypatch):
    real = installation._version
    monkeypatch.setattr(
        installation, "_version", lambda name: None if name == "duckdb" else real(name)
    )
    *_, found = installation.versions(load())
    assert "got no duckdb" in found.found


def test_weights_that_are_not_there():
    found = one(installation.weights(load("embed.encoder=ViT-B-32", "embed.weights=/no/such.pt")))
    assert found.status is Status.FAIL
    assert one(installation.weights(load())).status is Status.OK


def test_a_source_is_opened(tmp_path):
    assert one(stores.source(load())).status is Status.WARN
    assert one(stores.source(load(f"collect.source={tmp_path / 'no'}"))).status is Status.FAIL
    assert one(stores.source(load(f"collect.source={tmp_path}"))).status is Status.FAIL
    pictures.write_folder(tmp_path / "in", {"a/b.png": pictures.encode(pictures.picture(1))})
    found = one(stores.source(load(f"collect.source={tmp_path / 'in'}")))
    assert found.status is Status.OK
    assert "a/b.png" in found.found


def test_stores_are_probed_and_nothing_is_left_behind(tmp_path):
    settings = load(f"index.database={tmp_path / 'db'}", f"report.folder={tmp_path / 'report'}")
    assert {found.status for found in stores.outputs(settings)} == {Status.OK}
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_ignores_conditions_is_named(tmp_path, monkeypatch):
    with OddStore(monkeypatch):
        settings = load("index.database=s3://odd/db", f"report.folder={tmp_path}")
        database, report = stores.outputs(settings)
    assert (database.status, report.status) == (Status.FAIL, Status.OK)
    assert "If-None-Match" in database.advice


def test_a_disk_that_is_full(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    settings = load(f"index.database={tmp_path / 'db'}")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**6))
    assert {found.status for found in machine.disks(settings)} == {Status.FAIL}
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: usage._replace(total=10**14, free=int(2e12))
    )
    told = {found.name: found for found in machine.disks(settings)}
    assert told["disk: Ray's spills"].status is Status.FAIL
    assert "RAY_TMPDIR" in told["disk: Ray's spills"].advice
    assert told["disk: database"].status is Status.OK


def test_little_memory_is_a_warning(monkeypatch):
    monkeypatch.setattr(machine, "available", lambda: (2**33, 2**30))
    assert one(machine.memory(load())).status is Status.WARN
    monkeypatch.undo()
    total, free = machine.available()
    assert 0 < free <= total


def test_a_small_dev_shm_is_a_warning(monkeypatch, tmp_path):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=64 << 20))
    found = one(machine.shared_memory(load()))
    assert found.status is Status.WARN
    assert "--shm-size" in found.advice


def test_few_open_files_are_a_warning(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 65536))
    assert one(machine.open_files(load())).status is Status.OK
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 2048))
    found = one(machine.open_files(load()))
    assert found.status is Status.WARN
    assert "nofile=65536" in found.advice


def test_gpus_that_are_asked_for_and_not_there(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine, "_driver", lambda: "")
    assert one(machine.gpus(load())).status is Status.OK
    assert one(machine.gpus(load("embed.num_gpus=1.0"))).status is Status.FAIL
    monkeypatch.setattr(machine, "_driver", lambda: "NVIDIA driver 580.1")
    found = one(machine.gpus(load()))
    assert found.status is Status.WARN
    assert "580.1" in found.found


def test_a_cluster_that_does_not_answer(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert one(cluster.ray(load())).status is Status.OK
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    found = one(cluster.ray(load()))
    assert found.status is Status.FAIL
    assert "RAY_ADDRESS" in found.advice


def test_the_command_prints_a_line_for_each_and_exits_with_2_where_an_audit_would(tmp_path, capfd):
    picture = pictures.encode(pictures.picture(1))
    folder = pictures.write_folder(tmp_path / "in", {"a/=1.png": picture})
    given = ["--db", str(tmp_path / "db"), "--out", str(tmp_path / "out")]
    given += ["--set", "embed.encoder=pixels"]
    assert cli.main(["doctor", str(folder), *given]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert all(re.match(r"(ok|warn) +[^:]+", line) for line in lines)
    assert len(lines) > 10
    assert cli.main(["doctor", str(tmp_path / "no\x1b[31m"), *given, "--json"]) == 2
    told = json.loads(capfd.readouterr().out)
    assert [d["name"] for d in told if d["status"] == "fail"] == ["source"]
    assert cli.main(["doctor", str(tmp_path / "no\x1b[31m"), *given]) == 2
    assert "\x1b" not in capfd.readouterr().out
