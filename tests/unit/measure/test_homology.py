"""Homology: planted loops are found, chance is not, and noise is set against its floor."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import ortho_group

from clipbatch.errors import ConfigError, ContractBroken, UnitFailed
from clipbatch.measure import serial
from clipbatch.measure.homology import ANALYSIS
from clipbatch.measure.homology_scopes import HomologyParams
from clipbatch.measure.homology_tables import paired_by_class
from clipbatch.measure.store import finding_to_json
from tests.unit.measure.worlds import contents_of, digest, world

pytestmark = pytest.mark.quick

QUICK = HomologyParams(sample=40, repeats=6)
WHOLE = dataclasses.replace(QUICK, class_sample=0)


def collection(vectors: dict[int, np.ndarray], label=None, exists=None, seed: int = 0):
    """Contents and vectors, variant -> (n, D); one class unless told."""
    n = len(vectors[0])
    ids = np.sort(np.array([digest(seed, i) for i in range(n)]))
    label = np.full(n, -1) if label is None else np.asarray(label)
    names = tuple(f"c{i}" for i in range(label.max(initial=-1) + 1))
    there = {v: np.ones(n, bool) for v in vectors} | (exists or {})
    contents = contents_of(ids, label, names, np.ones(n, int), there, seed)
    return contents, {v: x.astype(np.float32) for v, x in vectors.items()}


def ring(n: int = 120, dim: int = 8, noise: float = 0.05, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    turn = rng.uniform(0, 2 * np.pi, n)
    flat = np.pad(np.stack([np.cos(turn), np.sin(turn)], axis=1), ((0, 0), (0, dim - 2)))
    return flat + noise * rng.standard_normal(flat.shape)


def blob(n: int = 120, dim: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim))


def values(finding):
    return {number.name: number.value for number in finding.numbers}


def test_a_ring_has_one_loop_that_persists():
    got = serial.run(ANALYSIS, *collection({0: ring()}), WHOLE)
    assert values(got)["h1_persistent"] == 1
    assert values(got)["h1_longest_above_null"] > 0.5
    assert got.headline.startswith("1 loop persists")


def test_a_blob_has_none():
    got = serial.run(ANALYSIS, *collection({0: blob()}), WHOLE)
    assert values(got)["h1_persistent"] == 0
    low, high = next((n.low, n.high) for n in got.numbers if n.name == "h1_longest_above_null")
    assert low < 0 < high
    assert got.headline.startswith("No loop persists")


def test_noise_that_changes_nothing_is_at_the_floor():
    points = blob()
    got = values(serial.run(ANALYSIS, *collection({0: points, 500: points}), WHOLE))
    for end in ("bottleneck_h0", "wasserstein_h0", "bottleneck_h1", "wasserstein_h1"):
        assert got[f"paired_{end}_500"] == 0
        assert got[f"disjoint_{end}_500"] == pytest.approx(got[f"floor_{end}"])
        assert got[f"floor_{end}"] > 0


def test_noise_that_shrinks_the_cloud_is_beyond_the_floor():
    points = blob()
    vectors = {0: points, 500: 0.9 * points, 1000: 0.5 * points}
    finding = serial.run(ANALYSIS, *collection(vectors), WHOLE)
    got = values(finding)
    for kind in ("paired", "disjoint"):
        assert got[f"{kind}_wasserstein_h0_500"] < got[f"{kind}_wasserstein_h0_1000"]
    # Every H0 bar, born at 0, loses half of its length.
    assert got["h0_total_1000"] == pytest.approx(got["h0_total_clean"] / 2, rel=1e-5)
    top = next(n.high for n in finding.numbers if n.name == "floor_wasserstein_h0")
    assert got["disjoint_wasserstein_h0_1000"] > top
    assert "from level 0.5 on" in finding.headline


def test_shrinking_alone_is_no_change_once_scaled():
    finding = serial.run(ANALYSIS, *collection({0: ring(), 500: ring() / 4}), WHOLE)
    got = values(finding)
    assert got["scale_500"] == pytest.approx(got["scale_clean"] / 4, rel=1e-5)
    assert got["h1_death_change_500"] == pytest.approx(-0.75 * got["h1_death_clean"], rel=0.05)
    assert got["h1_scatter_change_500"] < 0
    for shape in ("death", "scatter"):
        assert got[f"h1_scaled_{shape}_change_500"] == pytest.approx(0.0, abs=1e-5)
    assert got["h1_entropy_500"] == pytest.approx(got["h1_entropy_clean"], rel=1e-5)


def test_a_ring_that_noise_fills_loses_its_loop():
    filled = collection({0: ring(), 500: blob()})
    got = values(serial.run(ANALYSIS, *filled, WHOLE))
    assert got["h1_persistent"] == 1
    assert got["h1_persistent_500"] == 0
    assert got["h1_entropy_clean"] < got["h1_entropy_500"]


def test_the_tables_tell_every_cloud_and_give_distances_back_by_class():
    label = np.repeat([0, 1], 60)
    points = {0: blob(), 500: blob(seed=1), 1000: blob() / 2}
    finding = serial.run(ANALYSIS, *collection(points, label), QUICK)
    shapes, loops, distances, classes = (table.columns for table in finding.tables)
    assert shapes["level"] == loops["level"] == ["0", "0.5", "1", "featureless"]
    assert distances["level"] == [0.0, 0.5, 1.0]
    assert shapes["longest"][0] >= shapes["second"][0]
    moved = paired_by_class(finding, "wasserstein", 0)
    assert set(moved) == {(c, v) for c in ("c0", "c1") for v in (500, 1000)}
    assert moved["c1", 1000] == classes["h0_wasserstein_paired"][5]
    assert paired_by_class(serial.run(ANALYSIS, *collection(points), WHOLE), "bottleneck", 0) == {}


def test_scale_scales_and_rotation_changes_nothing():
    points = {0: blob(), 500: blob(seed=1)}
    turn = 3.0 * ortho_group.rvs(8, random_state=1)
    before = values(serial.run(ANALYSIS, *collection(points), WHOLE))
    after = values(
        serial.run(ANALYSIS, *collection({v: p @ turn for v, p in points.items()}), WHOLE)
    )
    # Not the null: its random numbers do not turn with the vectors.
    for name in (n for n in before if n.startswith(("h0_total_5", "h1_total_5", "floor", "pair"))):
        assert after[name] == pytest.approx(3 * before[name], rel=1e-3), name


def test_which_distance_is_said():
    contents, vectors = world(n=60, dim=8, classes=0)
    chord = serial.run(ANALYSIS, contents, vectors, WHOLE)
    assert any("chord" in note for note in chord.notes)
    euclid = serial.run(ANALYSIS, contents, {0: 2 * vectors[0]}, WHOLE)
    assert any("Euclidean" in note for note in euclid.notes)


def test_classes_are_compared_at_one_size_and_small_ones_are_named():
    label = np.repeat([0, 1, 2], [70, 25, 9])
    points = {v: blob(104, seed=v) for v in (0, 500)}
    finding = serial.run(ANALYSIS, *collection(points, label), QUICK)
    table = finding.tables[-1]
    assert table.columns["class"] == ["c0", "c0", "c1", "c1"]
    assert table.columns["level"] == [0.0, 0.5, 0.0, 0.5]
    assert "12 points" in table.title
    assert any("c2 (9)" in note for note in finding.notes)
    assert values(finding)["classes"] == 2
    bars = next(f for f in finding.figures if f.kind == "bars")
    assert sorted(bars.data["names"]) == ["c0", "c1"]


def test_the_two_subsamples_of_a_repeat_are_disjoint_and_of_their_class():
    label = np.repeat([0, 1], [70, 50])
    contents, _ = collection({0: blob()}, label)
    units = ANALYSIS.plan(contents, QUICK)
    assert len(units) == 3  # small scopes: all repeats in one unit
    for unit in units:
        assert len(unit.arguments["places"]) == QUICK.repeats
        for places in unit.arguments["places"]:
            assert len(set(places)) == len(places)
        name = unit.key.partition(";")[0]
        if name != "whole":
            assert {f"class=c{i}" for i in contents.label[unit.rows]} == {name}


def test_a_subsample_changes_little_when_the_collection_does():
    contents, _ = collection({0: blob(400)})
    fewer, _ = collection({0: blob(390)})
    drawn = []
    for one in (contents, fewer):
        unit = ANALYSIS.plan(one, dataclasses.replace(WHOLE, repeats=2))[0]
        drawn.append(set(one.content_id[unit.rows[unit.arguments["places"][0]]]))
    assert len(drawn[0] & drawn[1]) >= 70  # of 80, with 10 of 400 contents gone


def test_large_scopes_are_one_unit_a_repeat():
    contents, _ = collection({0: blob(300)})
    units = ANALYSIS.plan(contents, HomologyParams(sample=150, class_sample=0, repeats=4))
    assert [unit.key for unit in units] == [f"whole;repeats={r}-{r}" for r in range(4)]


def test_both_ways_of_cutting_give_every_repeat():
    # 101 points are cut a repeat at a time, 100 are not: both answer as many repeats.
    for sample in (100, 101):
        got = serial.run(
            ANALYSIS, *collection({0: blob(210, 3)}), dataclasses.replace(WHOLE, sample=sample)
        )
        assert values(got)["points"] == sample
        assert "6 repeats" in next(n for n in got.numbers if n.name == "h0_total_clean").interval


def test_contents_without_a_variant_are_not_drawn_and_counted():
    noisy = blob()
    has = np.arange(120) % 3 > 0
    noisy[~has] = np.nan
    contents, vectors = collection({0: blob(), 500: noisy}, exists={500: has})
    finding = serial.run(ANALYSIS, contents, vectors, WHOLE)
    assert any(note.startswith("40 of 120 contents lack a variant") for note in finding.notes)
    finding_to_json(finding)


def test_levels_choose_and_missing_ones_are_said():
    points = {v: blob(seed=v) for v in (0, 500, 1000)}
    params = dataclasses.replace(WHOLE, levels=(0.5, 2.0))
    finding = serial.run(ANALYSIS, *collection(points), params)
    assert "paired_bottleneck_h0_500" in values(finding)
    assert "paired_bottleneck_h0_1000" not in values(finding)
    assert any("no vectors at noise levels 2" in note for note in finding.notes)


@pytest.mark.parametrize("n", [0, 1, 2, 19])
def test_too_few_contents_are_not_answerable(n):
    few = serial.run(ANALYSIS, *collection({0: blob(n), 500: blob(n)}), WHOLE)
    enough = serial.run(ANALYSIS, *collection({0: blob(40), 500: blob(40)}), WHOLE)
    assert all(number.value is None and number.note for number in few.numbers)
    if n:  # an empty collection has no noisy variant either
        assert [n.name for n in few.numbers] == [n.name for n in enough.numbers]


def test_without_distances_the_lifetimes_remain():
    params = dataclasses.replace(WHOLE, distances=False)
    finding = serial.run(ANALYSIS, *collection({0: blob(), 500: blob(seed=1)}), params)
    for number in finding.numbers:
        if number.name.startswith(("floor", "null", "paired", "disjoint", "h1_persistent")):
            assert number.value is None
            assert "distances is off" in number.note
        else:
            assert number.value is not None
    finding_to_json(finding)


def test_components_alone():
    params = dataclasses.replace(WHOLE, maxdim=0)
    got = values(serial.run(ANALYSIS, *collection({0: blob(), 500: blob(seed=1)}), params))
    assert not any("h1" in name for name in got)
    assert got["h0_total_clean"] > 0


def test_clouds_without_loops_give_zeros_and_not_nan():
    line = np.linspace(0, 1, 60)[:, None] * np.ones(3)
    got = values(serial.run(ANALYSIS, *collection({0: line, 500: 2 * line}), WHOLE))
    assert got["h1_total_clean"] == got["floor_wasserstein_h1"] == got["h1_persistent"] == 0


def test_every_number_has_a_spread_or_is_a_count():
    finding = serial.run(ANALYSIS, *collection({0: blob(), 500: blob(seed=1)}), WHOLE)
    for number in finding.numbers:
        if number.name not in ("points", "classes"):
            assert number.low <= number.value <= number.high
            assert "not a confidence interval" in number.interval


def test_figures_show_all_variants_and_the_floor():
    label = np.repeat([0, 1], 60)
    finding = serial.run(ANALYSIS, *collection({0: blob(), 500: blob(seed=1)}, label), QUICK)
    kinds = [figure.kind for figure in finding.figures]
    assert kinds == ["diagram", "diagram", "lines", "lines", "bars", "bars"]
    assert list(finding.figures[0].data["births"]) == ["clean", "level 0.5", "featureless"]
    lines = finding.figures[2].data
    assert lines["x"] == [0.0, 0.5]
    assert lines["series"]["paired: the same contents"][0] == 0.0
    floor = lines["series"]["floor: clean against clean"]
    assert floor[0] == floor[1] == lines["series"]["disjoint: other contents"][0] > 0


@pytest.mark.parametrize("limit", [{"memory_gb": 1e-3}, {"limit_s": 1e-4}])
def test_too_much_is_refused_with_the_estimate(limit):
    contents, _ = collection({0: blob()})
    with pytest.raises(UnitFailed, match=r"40 points needs about [\d.]+ GB and \d+ s"):
        ANALYSIS.plan(contents, dataclasses.replace(WHOLE, **limit))


def test_nan_is_refused():
    contents, vectors = collection({0: blob()})
    vectors[0][:] = np.nan
    with pytest.raises(ContractBroken):
        serial.run(ANALYSIS, contents, vectors, WHOLE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sample": 5},
        {"class_sample": 3},
        {"maxdim": 2},
        {"repeats": 1},
        {"levels": (-1.0,)},
        {"memory_gb": 0.0},
    ],
)
def test_impossible_parameters_are_config_errors(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        HomologyParams(**wrong)
