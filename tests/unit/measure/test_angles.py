"""Angles between classes: planted structure is found, chance is not, nothing is lost silently."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import ortho_group

from clipbatch.errors import ConfigError, ContractBroken, UnitFailed
from clipbatch.measure import angles, serial, store
from clipbatch.measure.angles import ANALYSIS, AnglesParams
from clipbatch.measure.store import finding_to_json
from tests.unit.measure.worlds import contents_of, digest

pytestmark = pytest.mark.quick

DIM = 48
QUICK = AnglesParams(k=3, repeats=10)


def collection(groups: dict[str, np.ndarray], seed: int = 0):
    """Contents and clean vectors of some classes: name -> (n, DIM)."""
    vectors = np.concatenate(list(groups.values())).astype(np.float32)
    label = np.repeat(np.arange(len(groups)), [len(v) for v in groups.values()])
    ids = np.array([digest(seed, i) for i in range(len(label))])
    order = np.argsort(ids)
    contents = contents_of(
        ids[order],
        label[order],
        tuple(groups),
        counts=np.ones(len(label), int),
        variants={0: np.ones(len(label), bool)},
        seed=seed,
    )
    return contents, {0: vectors[order]}


def cloud(rng, n: int, axes: range, mean: np.ndarray | float = 0.0) -> np.ndarray:
    """Contents that vary strongly along these axes and a little along all."""
    strength = np.full(DIM, 0.1)
    strength[list(axes)] = np.linspace(2.0, 1.5, len(axes))
    return rng.standard_normal((n, DIM)) * strength + mean


def three_classes(n: int = 80, mean: np.ndarray | float = 0.0):
    """Twins "a" and "b" vary along the same three axes, "c" along three others."""
    rng = np.random.default_rng(1)
    axes = {"a": range(3), "b": range(3), "c": range(3, 6)}
    return collection({name: cloud(rng, n, axis, mean) for name, axis in axes.items()})


def numbers(finding):
    return {number.name: number for number in finding.numbers}


def values(finding):
    return {number.name: number.value for number in finding.numbers}


@pytest.fixture(scope="module")
def found():
    return serial.run(ANALYSIS, *three_classes(), QUICK)


def test_twins_are_confusable_and_the_others_are_orthogonal(found):
    table = found.tables[0].columns
    pairs = list(zip(table["class_a"], table["class_b"], strict=True))
    assert pairs[0] == ("a", "b")
    assert table["confusable"] == ["yes", "no", "no"]
    assert numbers(found)["confusable_pairs"].value == 1
    assert min(table["distance"][1:]) > 0.98
    assert table["distance"][0] <= table["floor"][0]
    assert min(table["first_angle"][1:]) > 75
    assert found.headline.startswith("a and b")


def test_floor_pair_and_ceiling_are_in_order(found):
    got = values(found)
    assert got["median_floor_angle"] < got["median_pair_angle"]
    # Random 3-dimensional subspaces of 48 dimensions.
    assert 70 < got["median_ceiling_angle"] < 90


def test_the_whole_spectrum_is_there(found):
    spectra = [[float(a) for a in s.split()] for s in found.tables[0].columns["spectrum"]]
    assert all(len(s) == 3 and s == sorted(s) and s[-1] <= 90 for s in spectra)
    lines = next(f for f in found.figures if f.kind == "lines")
    assert lines.data["x"] == [1, 2, 3]
    assert {len(v) for v in lines.data["series"].values()} == {3}


def test_the_heatmap_is_symmetric_with_the_floor_on_its_diagonal(found):
    heatmap = next(f for f in found.figures if f.kind == "heatmap")
    z = np.array(heatmap.data["z"])
    np.testing.assert_array_equal(z, z.T)
    assert heatmap.data["rows"] == ["a", "b", "c"]
    floors = found.tables[2].columns["floor_distance_affine"]
    np.testing.assert_allclose(np.diagonal(z), floors, atol=1e-3)


def test_evidence_comes_from_the_two_classes(found):
    contents, _ = three_classes()
    names = dict(zip(contents.content_id, contents.label, strict=True))
    shown = found.evidence[0]
    assert [names[i] for i in shown.content_ids] == [0] * 4 + [1] * 4
    assert len(shown.captions) == len(shown.content_ids)


def test_a_shared_mean_drags_the_linear_angle_down_and_not_the_affine_one(found):
    mean = np.zeros(DIM)
    mean[10] = 20.0
    moved = values(serial.run(ANALYSIS, *three_classes(mean=mean), QUICK))
    still = values(found)
    assert moved["smallest_pair_angle"] == pytest.approx(still["smallest_pair_angle"], abs=0.01)
    rng = np.random.default_rng(2)
    apart = {n: cloud(rng, 80, range(3 * i, 3 * i + 3)) for i, n in enumerate("xyz")}
    together = {name: vectors + mean for name, vectors in apart.items()}
    before, after = (values(serial.run(ANALYSIS, *collection(g), QUICK)) for g in (apart, together))
    assert before["smallest_pair_angle_linear"] > 60
    assert after["smallest_pair_angle_linear"] < 5
    assert after["smallest_pair_angle"] > 60


def test_labels_that_mean_nothing_put_every_pair_at_its_floor():
    rng = np.random.default_rng(3)
    groups = {name: cloud(rng, 60, range(3)) for name in "abcd"}
    got = values(serial.run(ANALYSIS, *collection(groups), QUICK))
    assert got["confusable_pairs"] == got["confusable_pairs_linear"] == 6
    for control in ("median_floor_angle", "median_shuffled_angle"):
        assert got["median_pair_angle"] == pytest.approx(got[control], rel=0.2)


def test_shuffled_labels_are_no_ceiling(found):
    # Every shuffled class is the same mixture, so its halves and pairs lie close together.
    assert values(found)["median_shuffled_angle"] < values(found)["median_pair_angle"]


@pytest.mark.parametrize("move", ["rotation", "scale"])
def test_rotation_and_scale_change_nothing(found, move):
    contents, vectors = three_classes()
    turn = ortho_group.rvs(DIM, random_state=4) if move == "rotation" else 37.0 * np.eye(DIM)
    moved = serial.run(ANALYSIS, contents, {0: (vectors[0] @ turn).astype(np.float32)}, QUICK)
    for name, value in values(found).items():
        assert values(moved)[name] == pytest.approx(value, abs=0.01), name


def test_the_dimension_follows_the_share_and_its_cap():
    contents, vectors = three_classes()
    assert values(serial.run(ANALYSIS, contents, vectors))["k"] == 2  # of three nearly equal axes
    most = AnglesParams(share=0.95, repeats=2)
    assert values(serial.run(ANALYSIS, contents, vectors, most))["k"] == 3
    capped = AnglesParams(k=1000, repeats=2)
    assert values(serial.run(ANALYSIS, contents, vectors, capped))["k"] == DIM // 2
    few = AnglesParams(k=1000, half=10, repeats=2)
    assert values(serial.run(ANALYSIS, contents, vectors, few))["k"] == 9


def test_every_subspace_comes_from_as_many_contents():
    rng = np.random.default_rng(5)
    groups = {"a": cloud(rng, 200, range(3)), "b": cloud(rng, 25, range(3))}
    contents, _ = collection(groups)
    units = ANALYSIS.plan(contents, QUICK)
    assert [len(unit.rows) for unit in units] == [24]  # half of the smaller class, of both


def test_halves_are_disjoint_and_of_their_class():
    contents, vectors = three_classes()
    seen = []

    def compute(analysis, units):
        seen.extend(units)
        return {
            u.key: analysis.compute(serial.inputs_for(analysis, u, contents, vectors), u, QUICK)
            for u in units
        }

    serial.run_rounds(ANALYSIS, contents, QUICK, compute)
    drawn = [
        unit.rows[places]
        for unit in seen
        if unit.key.startswith("repeats=")
        for places in unit.arguments["places"].values()
    ]
    assert len(drawn) == QUICK.repeats
    for rows in drawn:
        assert len(set(rows.tolist())) == len(rows)
        labels = contents.label[rows].reshape(3, 2, -1)
        assert (labels == labels[:, :1, :1]).all()
    assert len({tuple(rows) for rows in drawn}) == len(drawn)


@pytest.mark.parametrize("classes", [1, 2, 64])
@pytest.mark.parametrize("unit_s", [1e-9, 1e-4, 1e9])
def test_the_size_of_the_units_does_not_change_the_answer(monkeypatch, unit_s, classes):
    whole = store.finding_to_bytes(serial.run(ANALYSIS, *three_classes(), QUICK))
    monkeypatch.setattr(angles, "UNIT_S", unit_s)
    monkeypatch.setattr(angles, "CLASSES", classes)
    cut = store.finding_to_bytes(serial.run(ANALYSIS, *three_classes(), QUICK))
    assert cut == whole


def test_small_classes_are_left_out_by_name_and_do_not_shrink_the_others():
    rng = np.random.default_rng(6)
    groups = {name: cloud(rng, 60, range(3)) for name in "ab"} | {"tiny": cloud(rng, 5, range(3))}
    got = serial.run(ANALYSIS, *collection(groups), QUICK)
    assert values(got)["classes"] == 2
    assert any("tiny (5)" in note for note in got.notes)
    assert "30 contents" in numbers(got)["k"].note


def test_a_class_of_copies_is_left_out_by_name():
    rng = np.random.default_rng(7)
    groups = {name: cloud(rng, 60, range(3)) for name in "ab"}
    groups["copies"] = np.repeat(cloud(rng, 1, range(3)), 60, axis=0)
    got = serial.run(ANALYSIS, *collection(groups), QUICK)
    assert values(got)["classes"] == 2
    assert any("copies" in note for note in got.notes)
    finding_to_json(got)


@pytest.mark.parametrize("sizes", [(60,), (60, 5), (5, 5), ()])
def test_without_two_classes_every_number_says_why(sizes, found):
    rng = np.random.default_rng(8)
    groups = {f"c{i}": cloud(rng, n, range(3)) for i, n in enumerate(sizes)}
    groups = groups or {"c": np.empty((0, DIM))}
    got = serial.run(ANALYSIS, *collection(groups), QUICK)
    assert [n.name for n in got.numbers] == [n.name for n in found.numbers]
    assert all(n.value is None and n.note for n in got.numbers)
    assert got.headline.startswith("Not answerable")


def test_every_number_has_a_spread_or_is_a_count(found):
    counts = {"k", "classes", "confusable_pairs", "confusable_pairs_linear"}
    for number in found.numbers:
        if number.name in counts:
            assert number.low is None
        else:
            assert number.low <= number.value <= number.high
            assert "not a confidence interval" in number.interval


def test_too_much_is_refused_with_the_estimate():
    contents, _ = three_classes()
    with pytest.raises(UnitFailed, match=r"needs about [\d.]+ GB, got a limit of 1e-06 GB"):
        ANALYSIS.plan(contents, dataclasses.replace(QUICK, memory_gb=1e-6))


def test_nan_is_refused():
    contents, vectors = three_classes()
    vectors[0][:] = np.nan
    with pytest.raises(ContractBroken):
        serial.run(ANALYSIS, contents, vectors, QUICK)


@pytest.mark.parametrize(
    "wrong",
    [{"share": 0.0}, {"share": 1.5}, {"k": -1}, {"half": 1}, {"repeats": 1}, {"memory_gb": 0.0}],
)
def test_impossible_parameters_are_config_errors(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        AnglesParams(**wrong)
