"""Ray's answers are the serial runner's, and a measure that was killed goes on where it was."""

import functools
from dataclasses import replace

import pytest

from clipbatch.errors import UnitFailed
from clipbatch.index import read, runs
from clipbatch.measure import ANALYSES, serial, store
from clipbatch.runtime import measure as measuring
from clipbatch.runtime import units as running
from clipbatch.runtime.session import Session
from tests import groceries
from tests.ray import world

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


@pytest.fixture(scope="module")
def embedded(local_ray, tmp_path_factory):
    root = tmp_path_factory.mktemp("measured")
    groceries.folder(root / "pictures", 400)
    config = world.load(root, "measure.analyses=[]", "embed.levels=[0.5]")
    code, counts = world.audit(config)
    assert code in (0, 1)
    return config, counts


def serial_answers(config):
    run = runs.find(config.index.database)
    contents, reader = read.load(config.index.database, run, config.collect.seed)
    vectors = {variant: reader.read(variant) for variant in contents.variants}
    found = {}
    for analysis in ANALYSES:  # each after those that it needs
        given = replace(contents, found={name: found[name] for name in analysis.needs})
        params = config.measure.parameters[analysis.name]
        found[analysis.name] = serial.run(analysis, given, vectors, params)
    return found


def test_ray_and_serial_give_the_same_findings(embedded):
    config, counts = embedded
    run = runs.find(config.index.database)
    with Session() as session:
        found = measuring.measure(config, session, run)
    expected = serial_answers(config)
    assert found.failed == {}
    assert list(found.findings) == list(expected) == [a.name for a in ANALYSES]
    for name, finding in expected.items():
        assert store.finding_to_json(found.findings[name]) == store.finding_to_json(finding)
    assert counts["units_computed"] > 20


def test_finished_units_are_kept_when_measuring_breaks_off(embedded, monkeypatch):
    config, _ = embedded
    run = runs.find(config.index.database)
    name = "angles"
    tree = {name: type(config.measure.parameters[name])()}
    fresh = world.load(
        _root(config), "measure.analyses=['angles']", "embed.levels=[0.5]", "collect.seed=0"
    )
    parameters = fresh.measure.parameters | tree
    assert parameters[name] == config.measure.parameters[name]
    save, saved = running.save, []

    def breaking(database, rows):
        save(database, rows)
        saved.extend(row[2] for row in rows)
        if len(saved) > 3:
            raise UnitFailed("the power went")

    monkeypatch.setattr(running, "save", breaking)
    monkeypatch.setattr(running, "SAVE_S", 0.0)
    monkeypatch.setattr(measuring.fingerprint, "_start", _another_start)
    with Session() as session:
        broken = measuring.measure(fresh, session, run)
    assert broken.failed["angles"].startswith("failed: the power went")
    kept = len(set(saved))
    monkeypatch.setattr(running, "save", save)
    with Session() as session:
        whole = measuring.measure(fresh, session, run)
    assert whole.failed == {}
    assert whole.units[1] >= kept > 3


def test_a_failing_unit_drops_none_of_its_neighbours(embedded, monkeypatch):
    config, _ = embedded
    run = runs.find(config.index.database)
    fresh = world.load(_root(config), "measure.analyses=['homology']", "embed.levels=[0.5]")
    start = functools.partial(_another_start, word="failing")
    monkeypatch.setattr(measuring.fingerprint, "_start", start)
    compute, asked = running.compute_unit, []

    def failing(name, unit, *rest):
        if unit.key == "whole;repeats=0-0":
            raise ValueError("this one")
        return compute(name, unit, *rest)

    monkeypatch.setattr(running, "compute_unit", failing)
    with Session() as session:
        broken = measuring.measure(fresh, session, run)
    assert "unit whole;repeats=0-0" in broken.failed["homology"]
    assert "ValueError: this one" in broken.failed["homology"]

    run_units = running.Units._run

    def remembering(self, analysis, units):
        asked.extend(unit.key for unit in units)
        return run_units(self, analysis, units)

    monkeypatch.setattr(running, "compute_unit", compute)
    monkeypatch.setattr(running.Units, "_run", remembering)
    with Session() as session:
        whole = measuring.measure(fresh, session, run)
    assert whole.failed == {}
    assert asked == ["whole;repeats=0-0"]


def _another_start(analysis, params, contents, noise, word="fresh"):
    """Fingerprints of their own, so that nothing was measured before."""
    import hashlib

    return hashlib.blake2b(f"{word}{analysis.name}".encode(), digest_size=16)


def _root(config):
    from pathlib import Path

    return Path(config.index.database).parent
