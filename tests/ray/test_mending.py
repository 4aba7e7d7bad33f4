"""A night that brings and takes a few pictures mends the neighbour graph of the night before."""

import pytest

from clipbatch.index import read, runs
from clipbatch.measure import serial, store
from clipbatch.measure.neighbours import ANALYSIS
from clipbatch.runtime import units as running
from tests import groceries
from tests.ray import world

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


def test_the_second_night_mends_and_finds_what_computing_anew_finds(tmp_path, monkeypatch):
    folder = groceries.folder(tmp_path / "pictures", 60)
    settings = ["measure.analyses=['neighbours']", "measure.neighbours.k=5", "embed.levels=[]"]
    config = world.load(tmp_path, *settings)
    world.audit(config)
    for path in sorted(folder.rglob("*.jpg"))[:3]:
        path.unlink()
    groceries.folder(folder, 4, start=60)
    asked = []
    run_units = running.Units._run

    def recording(self, analysis, units):
        asked.extend(unit.key for unit in units)
        return run_units(self, analysis, units)

    monkeypatch.setattr(running.Units, "_run", recording)
    world.audit(config)
    assert any(key.startswith("nearest=anew") for key in asked)
    assert any(key.startswith("pairs=new") for key in asked)
    assert not any(key.startswith(("nearest=0", "pairs=0")) for key in asked)
    run = runs.find(config.index.database)
    contents, reader = read.load(config.index.database, run, config.collect.seed)
    assert len(contents) == 61
    params = config.measure.parameters["neighbours"]
    anew = serial.run(ANALYSIS, contents, {0: reader.read(0)}, params)
    key = run.fingerprints["neighbours"]
    stored = running.load(config.index.database, [key])[key, ""]
    assert stored == store.finding_to_bytes(anew)
