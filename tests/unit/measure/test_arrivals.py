"""Laws of new pictures against old ones, on worlds where they are alike or not."""

from dataclasses import replace

import numpy as np
import pytest

from clipbatch.errors import ConfigError
from clipbatch.measure import arrivals, arrivals_looks, serial
from tests.unit.measure.worlds import unit, world

pytestmark = pytest.mark.quick
QUICK = {"bootstraps": 100, "permutations": 1499}


def night(new=20, n=400, seed=0, classes=4):
    """A world in which some contents, drawn at random, are new."""
    contents, vectors = world(n=n, dim=16, classes=classes, seed=seed)
    flags = np.zeros(n, np.bool_)
    flags[np.random.default_rng([seed, 1]).permutation(n)[:new]] = True
    return replace(contents, new=flags), vectors[0].copy()


def run(contents, clean, **more):
    return serial.run(
        arrivals.ANALYSIS, contents, {0: clean}, arrivals.ArrivalsParams(**(QUICK | more))
    )


def numbers(finding):
    return {number.name: number for number in finding.numbers}


def with_fact(contents, name, change, rows):
    facts = dict(contents.facts)
    facts[name] = facts[name].astype(np.float64).copy()
    facts[name][rows] = change(facts[name][rows])
    return replace(contents, facts=facts)


def test_new_pictures_like_the_old_ones_are_no_alarm():
    told = [numbers(run(*night(new=8 + 12 * seed, seed=seed))) for seed in range(3)]
    assert [found["unlike"].value for found in told] == [0] * 3
    assert all(found["novelty"].low <= 0.6 for found in told)


@pytest.mark.parametrize(
    ("fact", "change", "aspect"),
    [
        ("brightness", lambda value: 0.3 * value, "brightness"),
        ("contrast", lambda value: 0.2 * value, "contrast"),
        ("sharpness", lambda value: 0.01 * value, "detail"),
        ("width", lambda value: 6 * value, "shape"),
    ],
)
def test_a_fact_that_moved_is_named(fact, change, aspect):
    contents, clean = night(new=14)
    found = run(with_fact(contents, fact, change, contents.new), clean)
    assert numbers(found)["unlike"].value >= 1
    assert aspect in found.headline
    moved = numbers(found)[aspect]
    assert moved.low > 0.75 or moved.high < 0.25
    shown = {content for group in found.evidence for content in group.content_ids}
    assert shown <= set(contents.content_id[contents.new])


def test_vectors_from_elsewhere_are_novel_even_if_they_are_alike_among_themselves():
    contents, clean = night(new=24)
    away = unit(np.random.default_rng(3).normal(size=(1, 16)))
    some = np.flatnonzero(contents.new)[:10]
    grain = 0.25 * unit(np.random.default_rng(4).normal(size=(10, 16)))
    clean[some] = unit(away + grain)
    found = numbers(run(contents, clean))
    assert found["unlike"].value == 1
    assert found["novelty_outside"].low > 0.1
    assert found["novelty_outside"].value >= 10 / 24


def test_a_part_of_the_night_with_one_odd_shape_is_told_although_they_tie():
    contents, clean = night(new=60, n=1060)
    bad = np.zeros(1060, np.bool_)
    bad[np.flatnonzero(contents.new)[:18]] = True
    found = numbers(run(with_fact(contents, "width", lambda value: 0 * value + 2000, bad), clean))
    assert found["unlike"].value >= 1
    assert found["shape_outside"].low > 0.1
    assert found["size"].low < 0.75


def test_another_mixture_of_classes_is_no_difference():
    contents, clean = night(new=0, n=600)
    away = unit(np.random.default_rng(3).normal(size=(1, 16)))
    clean[contents.label == 0] = unit(clean[contents.label == 0] + 0.7 * away)
    contents = with_fact(contents, "brightness", lambda value: value / 3, contents.label == 0)
    flags = np.zeros(600, np.bool_)
    flags[np.random.default_rng(5).permutation(np.flatnonzero(contents.label == 0))[:40]] = True
    assert numbers(run(replace(contents, new=flags), clean))["unlike"].value == 0


def test_copies_of_one_new_picture_count_once():
    contents, clean = night(new=30)
    rows = np.flatnonzero(contents.new)
    clean[rows[1:]] = clean[rows[0]]
    found = run(contents, clean)
    assert numbers(found)["unlike"].value is None
    assert "1 contents are new when copies of each other count once" in found.headline


def test_nearest_are_looked_for_among_the_old_only():
    near = np.array([[1, 2, 3], [0, 2, 3], [1, 0, 3], [2, 1, 0]])
    distance = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.2, 0.3, np.inf], [0.5, 0.6, 0.7]])
    allowed = np.array([True, False, True, False])
    found = arrivals_looks.nearest_mean(near, distance, allowed, 1)
    np.testing.assert_allclose(found, [0.2, 0.1, 0.3, 0.5])
    np.testing.assert_allclose(
        arrivals_looks.nearest_mean(near, distance, np.zeros(4, np.bool_), 1), 1.0
    )


def test_shares_are_those_of_comparing_every_pair():
    rng = np.random.default_rng(0)
    old, new = rng.integers(0, 9, 40).astype(float), rng.integers(-1, 11, 15).astype(float)
    pairwise = (old < new[:, None]).mean(axis=1) + 0.5 * (old == new[:, None]).mean(axis=1)
    np.testing.assert_allclose(arrivals_looks.share_below(np.sort(old), new), pairwise)


def test_dealing_out_keeps_the_number_of_new_ones_in_each_class():
    contents, clean = night(new=25)
    world_ = arrivals_looks.World(clean, contents.new, contents.label.astype(np.int64))
    dealt = world_.dealt(30, np.random.default_rng(0))
    expected = np.bincount(contents.label[contents.new], minlength=4)
    for members in dealt:
        assert len(np.unique(members)) == 25
        np.testing.assert_array_equal(np.bincount(contents.label[members], minlength=4), expected)
    assert len(np.unique(np.sort(dealt, axis=1), axis=0)) == 30


def test_p_values_of_like_pictures_are_spread_evenly():
    p = []
    for seed in range(20):
        contents, clean = night(new=16, n=200, seed=seed)
        (asked,) = arrivals.plan(contents, arrivals.ArrivalsParams(**QUICK))
        inputs = serial.inputs_for(arrivals.ANALYSIS, asked, contents, {0: clean})
        params = arrivals.ArrivalsParams(bootstraps=2, permutations=99)
        told = arrivals.compute(inputs, asked, params)
        p += [float(told[f"{name} p shift"]) for name in ("novelty", "brightness", "shape")]
    assert 0.35 < np.mean(p) < 0.65
    assert np.mean(np.array(p) <= 0.1) < 0.25


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (None, "no earlier run"),
        (np.zeros(400, np.bool_), "no picture is new"),
        (np.arange(400) < 7, "8 are needed"),
        (np.ones(400, np.bool_), "too little past"),
    ],
)
def test_what_cannot_be_told_says_why(flags, why):
    contents, clean = night()
    found = run(replace(contents, new=flags), clean)
    assert why in found.headline
    assert numbers(found)["unlike"].value is None
    assert numbers(found)["new_contents"].value == (0 if flags is None else flags.sum())


def test_parameters_out_of_range_are_refused():
    for name, value in (("effect", 1.0), ("alpha", 0.0), ("min_new", 1), ("permutations", 5)):
        with pytest.raises(ConfigError, match=name):
            arrivals.ArrivalsParams(**{name: value})
