"""Laws of drift between splits, on worlds where there is some or none."""

from dataclasses import replace

import numpy as np
import pytest

from clipbatch.measure import drift, serial
from tests.unit.measure.worlds import unit, world

pytestmark = pytest.mark.quick
QUICK = {"bootstraps": 100, "permutations": 99}


def numbers(finding):
    return {number.name: number for number in finding.numbers}


def splits(n=300, seed=0, train=0.5, classes=3):
    """One image a content, in train or test by chance."""
    contents, vectors = world(n=n, dim=16, classes=classes, seed=seed, spread=0.7)
    rng = np.random.default_rng(seed)
    split = (rng.random(n) < train).astype(np.int32)
    single = replace(
        contents,
        image_content=np.arange(n),
        image_uri=np.array([f"{i}.png" for i in range(n)]),
        image_label=contents.label,
        image_split=split,
    )
    return single, vectors[0].copy(), split


def run(contents, clean, **more):
    return serial.run(drift.ANALYSIS, contents, {0: clean}, drift.DriftParams(**(QUICK | more)))


def test_splits_by_chance_have_not_drifted():
    drifted, p = [], []
    for seed in range(8):
        contents, clean, _ = splits(n=160, seed=seed)
        found = numbers(run(contents, clean, permutations=49))
        drifted.append(found["drifted_pairs"].value)
        p += [found["smallest_auc_p"].value, found["smallest_mmd_p"].value]
    assert sum(drifted) == 0
    assert np.mean(np.array(p) <= 0.1) < 0.4
    assert np.mean(p) > 0.25


def test_a_shift_of_one_split_is_found_by_both_tests():
    contents, clean, split = splits()
    shift = unit(np.random.default_rng(9).normal(size=(1, 16)))
    clean = unit(clean + 0.35 * split[:, None] * shift).astype(np.float32)
    found = numbers(run(contents, clean))
    assert found["drifted_pairs"].value == 1
    assert found["worst_auc"].low > 0.6
    assert found["smallest_auc_p"].value == found["smallest_mmd_p"].value == 0.01
    assert found["worst_mmd"].low > 0


def test_other_class_shares_alone_are_no_drift():
    contents, clean, _ = splits(n=600)
    rng = np.random.default_rng(3)
    likely = np.array([0.2, 0.5, 0.8])[contents.label]
    skewed = replace(contents, image_split=(rng.random(600) < likely).astype(np.int32))
    found = numbers(run(skewed, clean))
    assert found["drifted_pairs"].value == 0
    assert abs(found["worst_auc"].value - 0.5) < 0.1


def test_copies_take_no_part_when_they_lie_on_both_sides():
    contents, clean, split = splits(n=200)
    train, test = np.flatnonzero(split == 1)[:30], np.flatnonzero(split == 0)[:30]
    clean[test] = clean[train]
    (unit_,) = drift.plan(contents, drift.DriftParams(**QUICK))
    result = drift.compute(
        serial.inputs_for(drift.ANALYSIS, unit_, contents, {0: clean}),
        unit_,
        drift.DriftParams(**QUICK),
    )
    cosine = clean[result["rows"]] @ clean[result["rows"]].T
    assert cosine[np.triu_indices(len(cosine), 1)].max() < 0.98
    assert int(result["copied"]) > 0
    assert result["second"].sum() * 2 == len(result["rows"])
    by_class = [
        np.bincount(contents.label[result["rows"]][side], minlength=3)
        for side in (result["second"], ~result["second"])
    ]
    np.testing.assert_array_equal(*by_class)


def test_a_content_in_both_splits_is_of_neither():
    contents, _, split = splits(n=120)
    both = replace(
        contents,
        image_content=np.concatenate([np.arange(120), np.arange(10)]),
        image_uri=np.array([f"{i}.png" for i in range(130)]),
        image_label=np.concatenate([contents.label, contents.label[:10]]),
        image_split=np.concatenate([split, 1 - split[:10]]),
    )
    (unit_,) = drift.plan(both, drift.DriftParams(**QUICK))
    assert unit_.rows.min() >= 10


def test_the_sample_is_bounded_and_hardly_moves_with_the_collection():
    contents, _, _ = splits(n=600)
    params = drift.DriftParams(sample=60, **QUICK)
    (whole,) = drift.plan(contents, params)
    assert len(whole.rows) <= 120
    keep = np.arange(600) != 599
    smaller = replace(
        contents,
        content_id=contents.content_id[keep],
        label=contents.label[keep],
        image_content=np.arange(599),
        image_uri=contents.image_uri[keep],
        image_label=contents.label[keep],
        image_split=contents.image_split[keep],
        facts={},
    )
    (less,) = drift.plan(smaller, params)
    ids = [set(c.content_id[u.rows]) for c, u in ((contents, whole), (smaller, less))]
    assert len(ids[0] ^ ids[1]) <= 12


def test_one_split_or_too_few_contents_are_not_answered():
    contents, clean, _ = splits(n=60)
    alone = replace(contents, image_split=np.zeros(60, np.int32))
    assert numbers(run(alone, clean))["worst_auc"].value is None
    few = run(contents, clean, min_contents=50)
    assert numbers(few)["drifted_pairs"].value is None
    assert "50 contents" in few.headline


def test_one_split_of_seven_that_moved_is_found_whatever_their_number():
    contents, clean, _ = splits(n=350, classes=2)
    split = (np.arange(350) % 7).astype(np.int32)
    names = tuple(f"s{i}" for i in range(7))
    many = replace(contents, image_split=split, split_names=names)
    shift = unit(np.random.default_rng(9).normal(size=(1, 16)))
    moved = unit(clean + 0.9 * (split == 4)[:, None] * shift).astype(np.float32)
    found = numbers(run(many, moved))  # with 99 permutations no p could pass 21 comparisons
    assert found["compared_pairs"].value == 21
    assert found["smallest_auc_p"].value <= 0.025
    assert found["drifted_pairs"].value == 6


def test_draws_grow_with_the_pairs_and_not_without_end():
    drawn = [drift._draws(drift.DriftParams(), n) for n in (1, 3, 28, 10**6)]
    assert drawn == [(500, 499), (500, 499), (2240, 1119), (9999, 9999)]
