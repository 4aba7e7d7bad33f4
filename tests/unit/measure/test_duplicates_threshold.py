"""The threshold is chosen by copies, hardly moves when the collection hardly does, can be given."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from clipbatch.collect.facts import perceptual_hash
from clipbatch.errors import ConfigError
from clipbatch.measure import duplicates_threshold, serial
from clipbatch.measure.base import Finding, Number, Pairs
from clipbatch.measure.duplicates import ANALYSIS, DuplicatesParams
from tests.pictures import picture
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick
COPIES = 60
FLOOR = 0.9


@pytest.fixture(scope="module")
def thumbnails():
    """Each picture, then a smaller copy of it."""
    pictures = [picture(seed, 96, 72) for seed in range(COPIES)]
    both = [i for one in pictures for i in (one, one.resize((60, 45)))]
    return [np.asarray(i.convert("L").resize((32, 32), Image.Resampling.LANCZOS)) for i in both]


@pytest.fixture(scope="module")
def collection(thumbnails):
    """Copies with cosines about 0.96, and ten times as many pictures alike at 0.93 at most."""
    contents, vectors = world(n=2 * COPIES, dim=16)
    facts = contents.facts | {
        "thumbnail": np.array(thumbnails, np.uint8),
        "phash": np.array([perceptual_hash(t) for t in thumbnails]),
        "pixel_id": np.arange(2 * COPIES).astype(str),
    }
    rng = np.random.default_rng(0)
    a, b = np.triu_indices(2 * COPIES, 1)
    copy = (a % 2 == 0) & (b == a + 1)
    other = rng.permutation(np.flatnonzero(~copy))[: 10 * COPIES]
    place = np.concatenate([np.flatnonzero(copy), other])
    cosine = np.where(copy[place], rng.normal(0.965, 0.008, len(place)), 0.0)
    cosine[COPIES:] = rng.uniform(FLOOR, 0.93, len(other))
    cosine = cosine.clip(FLOOR, 1)
    order = np.argsort(-cosine)
    listed = Pairs(a[place][order], b[place][order], cosine[order])
    numbers = (Number("pairs_threshold", FLOOR), Number("zero_vectors", 0))
    nobody = np.full((2 * COPIES, 1), -1, np.int32)
    lists = {"neighbour": nobody, "cosine": nobody.astype(np.float32)}
    graph = Finding("", numbers, pairs=listed, per_content=lists)
    return replace(contents, facts=facts, found={"neighbours": graph}), vectors


def ask(collection, **given):
    contents, vectors = collection
    finding = serial.run(ANALYSIS, contents, vectors, DuplicatesParams(**given))
    return {number.name: number for number in finding.numbers}, finding


def test_it_lies_between_the_copies_and_what_only_looks_alike(collection):
    numbers, finding = ask(collection)
    chosen = numbers["near_threshold"]
    assert 0.93 <= chosen.value <= 0.96
    table = next(t for t in finding.tables if "was chosen" in t.title).columns
    at = table["cosine"].index(chosen.value)
    assert f"precision {table['precision'][at]:.2f}" in chosen.note
    assert f"recall {table['recall'][at]:.2f}" in chosen.note
    # The table agrees with counting.
    pairs = collection[0].found["neighbours"].pairs
    for cosine, compared, copies in zip(
        table["cosine"], table["pairs compared"], table["of them copies"], strict=True
    ):
        reaching = pairs.cosine >= cosine
        assert compared == reaching.sum()
        assert copies == (reaching & (pairs.a % 2 == 0) & (pairs.b == pairs.a + 1)).sum()


def test_a_given_threshold_wins(collection):
    numbers, finding = ask(collection, threshold=0.91)
    assert numbers["near_threshold"].value == 0.91
    assert "as configured" in numbers["near_threshold"].note
    assert not any("was chosen" in table.title for table in finding.tables)


@pytest.mark.parametrize("seed", range(8))
def test_a_night_that_changes_little_moves_it_by_a_step_at_most(collection, seed):
    contents, _ = collection
    near = contents.found["neighbours"].pairs
    before = duplicates_threshold.choose(contents, near, FLOOR, 0.9).threshold
    gone = np.random.default_rng(seed).choice(2 * COPIES, 3, replace=False)
    left = ~np.isin(near.a, gone) & ~np.isin(near.b, gone)
    pairs = Pairs(near.a[left], near.b[left], near.cosine[left])
    flat = contents.facts["thumbnail"].copy()
    flat[gone] = 0  # takes no part
    changed = replace(contents, facts=contents.facts | {"thumbnail": flat})
    after = duplicates_threshold.choose(changed, pairs, FLOOR, 0.9).threshold
    assert abs(after - before) <= duplicates_threshold.STEP + 1e-9


def test_it_does_not_depend_on_how_many_pairs_are_compared_but_for_chance(collection, monkeypatch):
    contents, _ = collection
    near = contents.found["neighbours"].pairs
    every = duplicates_threshold.choose(contents, near, FLOOR, 0.9)
    monkeypatch.setattr(duplicates_threshold, "LOOKED", len(near.a) // 2)
    some = duplicates_threshold.choose(contents, near, FLOOR, 0.9)
    assert some.correlation is None
    assert some.pairs[0] == len(near.a) // 2
    assert abs(some.threshold - every.threshold) <= duplicates_threshold.STEP + 1e-9


def test_too_few_copies_leave_the_usual_one_and_say_so(collection):
    contents, vectors = collection
    same = contents.facts | {"pixel_id": np.repeat(np.arange(COPIES), 2).astype(str)}
    numbers, _ = ask((replace(contents, facts=same), vectors))  # equal pixels reach anything
    assert numbers["near_threshold"].value == duplicates_threshold.USUAL
    assert "0 copies, fewer than" in numbers["near_threshold"].note


def test_copies_below_the_graph_are_told(collection):
    contents, _ = collection
    none = np.empty(0, np.int64)
    choice = duplicates_threshold.choose(contents, Pairs(none, none, np.empty(0)), FLOOR, 0.9)
    assert "none of the" in choice.told


def test_a_threshold_below_zero_is_refused():
    with pytest.raises(ConfigError, match=r"measure\.duplicates\.threshold"):
        DuplicatesParams(threshold=-0.1)
