"""What cannot fit is refused with what was got, what was expected and what to do."""

import dataclasses
import shutil

import pytest

from clipbatch.plan import limits
from clipbatch.plan.forecast import forecast
from tests.unit.plan.examples import CHOSEN, CPUS, DIM, NEW, RATES, load

pytestmark = pytest.mark.quick


def refused(config, todo=NEW, workers=CPUS, rates=RATES):
    told = forecast(config, CHOSEN, todo, rates, workers, DIM)
    return limits.refusals(config, told, rates, workers)


def test_what_fits_is_not_refused(tmp_path):
    assert refused(load(f"index.database={tmp_path / 'db'}")) == ()


def test_tables_larger_than_the_disk(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**6))
    (reason,) = refused(load(f"index.database={tmp_path / 'db'}"))
    assert reason.startswith("disk: ")
    assert "embed.dtype=float16" in reason
    assert not (tmp_path / "db").exists()


def test_a_bucket_has_no_disk_of_ours(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: pytest.fail("asked"))
    assert refused(load("index.database=s3://bucket/db")) == ()


def test_more_contents_than_the_driver_can_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "available", lambda: (10**6, 10**6))
    (reason,) = refused(load(f"index.database={tmp_path}"))
    assert "the command itself" in reason


def test_actors_that_do_not_fit_a_node(tmp_path):
    rates = dataclasses.replace(RATES, actor_bytes=int(5e9))
    (reason,) = refused(load(f"index.database={tmp_path}"), rates=rates)
    assert "embed.actors" in reason


def test_an_analysis_is_held_to_its_own_limit_and_to_the_nodes(tmp_path):
    own = refused(load(f"index.database={tmp_path}", "measure.clusters.memory_gb=0.001"))
    assert any("clusters" in reason and "[measure.clusters]" in reason for reason in own)
    small = dataclasses.replace(CPUS, memory=float(10**8), actors=1)
    few = refused(load(f"index.database={tmp_path}"), workers=small)
    assert any("duplicates" in reason for reason in few)


def test_a_sample_without_one_usable_picture(tmp_path):
    rates = dataclasses.replace(RATES, bad=64)
    (reason,) = refused(load(f"index.database={tmp_path}"), rates=rates)
    assert "none could be used" in reason
