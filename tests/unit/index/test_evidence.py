"""Tables of bulk evidence hold a finding by content id, each key once, in a real Lance table."""

from dataclasses import replace

import numpy as np
import pytest

from clipbatch.index import evidence, table
from clipbatch.measure import serial
from clipbatch.measure.neighbours import ANALYSIS, NeighboursParams
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick


def found(n, k=14):
    contents, vectors = world(n=n, dim=12)
    params = NeighboursParams(threshold=0.6, k=k)
    return replace(contents, encoder="x"), serial.run(ANALYSIS, contents, vectors, params)


def rows(database, name):
    return table.open_table(str(database), name).to_table().to_pylist()


def test_pairs_and_neighbours_are_there_by_content_id(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "_ROWS", 32)
    contents, finding = found(100)
    evidence.save(str(tmp_path), contents, finding, "night-1")
    pairs = {(r["content_a"], r["content_b"]): r["cosine"] for r in rows(tmp_path, "pairs__x")}
    ids = contents.content_id
    a, b = ids[finding.pairs.a].tolist(), ids[finding.pairs.b].tolist()
    assert pairs == dict(
        zip(zip(a, b, strict=True), finding.pairs.cosine.astype(np.float32).tolist(), strict=True)
    )
    listed = {r["content_id"]: r for r in rows(tmp_path, "neighbours__x")}
    assert listed.keys() == set(ids.tolist())
    for i, content in enumerate(ids.tolist()):
        nearest = finding.per_content["neighbour"][i, : evidence.LISTED]
        assert listed[content]["neighbours"] == ids[nearest].tolist()
        cosine = finding.per_content["cosine"][i, : evidence.LISTED]
        assert listed[content]["cosines"] == cosine.tolist()


def test_another_night_replaces_lists_and_repeats_no_pair(tmp_path):
    for night, n in (("night-1", 60), ("night-2", 61)):
        contents, finding = found(n)
        evidence.save(str(tmp_path), contents, finding, night)
    listed = rows(tmp_path, "neighbours__x")
    assert len({r["content_id"] for r in listed}) == len(listed)
    now = [r for r in listed if r["run_id"] == "night-2"]
    assert {r["content_id"] for r in now} == set(contents.content_id.tolist())
    pairs = [(r["content_a"], r["content_b"]) for r in rows(tmp_path, "pairs__x")]
    assert len(set(pairs)) == len(pairs) >= len(finding.pairs.a) > 0


def test_few_contents_have_short_lists(tmp_path):
    contents, finding = found(3)
    evidence.save(str(tmp_path), contents, finding, "night-1")
    assert [len(r["neighbours"]) for r in rows(tmp_path, "neighbours__x")] == [2, 2, 2]
