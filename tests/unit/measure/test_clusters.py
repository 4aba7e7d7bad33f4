"""Laws of clusters: planted classes score high, chance nothing, the numbering is canonical."""

from dataclasses import replace

import numpy as np
import pytest

from clipbatch.errors import ConfigError, UnitFailed
from clipbatch.measure import serial, store
from clipbatch.measure.clusters import ANALYSIS, ClustersParams, plan
from clipbatch.measure.clusters_evidence import ordered
from clipbatch.measure.clusters_story import canonical
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick

SCORES = ("ami", "ari", "fmi", "nmi")


def ask(contents, vectors, **given):
    quick = {"restarts": 2, "bootstraps": 50, "permutations": 10}
    return serial.run(ANALYSIS, contents, vectors, ClustersParams(**(quick | given)))


def numbers(finding):
    return {number.name: number for number in finding.numbers}


def relabelled(contents, label, names=None):
    names = contents.label_names if names is None else names
    return replace(contents, label=np.asarray(label, np.int32), label_names=names)


@pytest.mark.parametrize("classes", [2, 5])
def test_planted_classes_are_found(classes):
    got = numbers(ask(*world(n=150, classes=classes, spread=0.3)))
    assert got["k"].value == classes
    for name in SCORES:
        assert got[name].value == pytest.approx(1.0)
    assert got["silhouette"].value > 0.7


def test_shuffled_labels_score_nothing():
    contents, vectors = world(n=300, classes=3, spread=0.3)
    label = np.random.default_rng(0).permutation(contents.label)
    got = numbers(ask(relabelled(contents, label), vectors))
    for name in ("ami", "ari"):
        assert abs(got[name].value) < 0.03
        assert got[name].low < 0.02


def test_a_structureless_cloud_has_the_silhouette_of_its_null():
    contents, vectors = world(n=400, dim=8, classes=0, spread=50.0)
    got = numbers(ask(contents, vectors, k=4))["silhouette"]
    null = float(got.note.rpartition(" ")[2])
    assert got.value == pytest.approx(null, abs=0.04)
    planted = numbers(ask(*world(n=400, dim=8, classes=4, spread=0.3)))["silhouette"]
    assert planted.value > float(planted.note.rpartition(" ")[2]) + 0.3


def test_intervals_hold_the_value():
    got = numbers(ask(*world(n=120, classes=4, spread=2.5)))
    for name in (*SCORES, "silhouette"):
        assert got[name].low <= got[name].value <= got[name].high
        assert got[name].high - got[name].low > 0.01


def test_scores_are_of_labelled_contents_only():
    contents, vectors = world(n=120, classes=3, spread=0.3)
    label = contents.label.copy()
    label[::2] = -1
    finding = ask(relabelled(contents, label), vectors)
    assert numbers(finding)["ami"].value == pytest.approx(1.0)
    assert (finding.per_content["cluster"] >= 0).all()
    assert any("60 contents without" in note for note in finding.notes)
    assert sum(map(sum, finding.figures[0].data["z"])) == 60


def test_without_labels_k_is_chosen_by_silhouette():
    contents, vectors = world(n=200, classes=4, spread=0.3)
    finding = ask(relabelled(contents, np.full(200, -1), ()), vectors)
    got = numbers(finding)
    assert got["k"].value == 4
    assert "ladder" in got["k"].note
    assert all(got[name].value is None and got[name].note for name in SCORES)
    assert got["silhouette"].value > 0.7


def test_the_best_start_is_told():
    contents, vectors = world(n=200, classes=5, spread=3.0)
    finding = ask(contents, vectors, restarts=6)
    got = numbers(finding)["objective"]
    assert got.low < got.value == got.high
    starts = finding.tables[1].columns
    best = int(np.argmax(starts["mean cosine"]))
    assert starts["told"].index("yes") == best
    assert numbers(finding)["ami"].value == pytest.approx(starts["ami"][best], abs=1e-6)


def test_k_given_is_taken():
    contents, vectors = world(n=100, classes=3)
    got = numbers(ask(contents, vectors, k=7))
    assert got["k"].value == 7
    assert "given" in got["k"].note


def test_fitting_on_a_sample_assigns_everything():
    contents, vectors = world(n=300, classes=3, spread=0.3)
    finding = ask(contents, vectors, sample=40, silhouette_sample=30)
    assert numbers(finding)["ami"].value == pytest.approx(1.0)
    assert any("fitted on 40 of 300" in note for note in finding.notes)
    assert "of 30 contents" in numbers(finding)["silhouette"].note


@pytest.mark.parametrize("block_rows", [1, 13, 64, 1000])
def test_the_cut_does_not_change_the_answer(block_rows):
    contents, vectors = world(n=150, dim=64, classes=5, spread=3.0)
    whole = store.finding_to_bytes(ask(contents, vectors))
    assert store.finding_to_bytes(ask(contents, vectors, block_rows=block_rows)) == whole


def test_threads_do_not_change_the_answer():
    from threadpoolctl import threadpool_limits

    contents, vectors = world(n=400, dim=256, classes=5, spread=3.0)
    many = store.finding_to_bytes(ask(contents, vectors))
    with threadpool_limits(1):
        assert store.finding_to_bytes(ask(contents, vectors)) == many


def test_only_directions_count():
    contents, vectors = world(n=100, classes=3)
    lengths = np.random.default_rng(0).uniform(1, 300, (100, 1)).astype(np.float32)
    plain, scaled = (ask(contents, {0: rows}) for rows in (vectors[0], vectors[0] * lengths))
    assert plain.per_content["cluster"].tolist() == scaled.per_content["cluster"].tolist()


def test_zero_vectors_belong_to_no_cluster():
    contents, vectors = world(n=60, classes=3)
    vectors[0][[4, 9]] = 0
    finding = ask(contents, vectors)
    assert np.flatnonzero(finding.per_content["cluster"] < 0).tolist() == [4, 9]
    assert any("zeros" in note for note in finding.notes)
    vectors[0][:] = 0
    assert numbers(ask(contents, vectors))["k"].value is None


def test_clusters_are_numbered_from_the_largest():
    label = np.array([7, 7, 2, 5, 2, -1, 9, 9, 9])
    assert canonical(label).tolist() == [1, 1, 2, 3, 2, -1, 0, 0, 0]
    renamed = np.array([0, 0, 8, 1, 8, -1, 3, 3, 3])
    assert canonical(renamed).tolist() == canonical(label).tolist()


def test_sizes_and_purity_in_the_table_agree_with_counting():
    contents, vectors = world(n=120, classes=4, spread=2.0)
    finding = ask(contents, vectors)
    cluster, rows = finding.per_content["cluster"], finding.tables[0].columns
    assert rows["contents"] == np.bincount(cluster).tolist() == sorted(rows["contents"])[::-1]
    for c, (name, purity) in enumerate(zip(rows["majority label"], rows["purity"], strict=True)):
        counts = np.bincount(contents.label[cluster == c], minlength=4)
        assert counts[contents.label_names.index(name)] == counts.max()
        assert purity == pytest.approx(counts.max() / counts.sum(), abs=1e-6)


def test_the_heatmap_puts_agreement_on_the_diagonal():
    rng = np.random.default_rng(0)
    rows = rng.permutation(6)
    table = 50 * np.eye(6, dtype=np.int64)[rows] + rng.integers(0, 5, (6, 6))
    order, columns = ordered(table)
    assert columns == list(range(6))
    assert table[np.ix_(order, columns)].argmax(axis=1).tolist() == list(range(6))


def test_a_cluster_of_two_classes_stands_where_it_agrees_most_in_all():
    table = np.array([[40, 30], [50, 0], [9, 8]])
    assert ordered(table) == ([1, 0, 2], [0, 1])


@pytest.mark.parametrize("shape", [(3, 7), (9, 4), (1, 1), (80, 70)])
def test_the_heatmap_holds_each_row_once(shape):
    table = np.random.default_rng(1).integers(0, 9, shape)
    order, columns = ordered(table)
    assert len(order) == len(set(order)) == min(60, shape[0])
    assert len(columns) == len(set(columns)) == min(60, shape[1])


def test_evidence_shows_the_contents_nearest_to_the_centroid():
    contents, vectors = world(n=90, classes=3, spread=0.8)
    finding = ask(contents, vectors)
    first = finding.evidence[0]
    inside = np.flatnonzero(finding.per_content["cluster"] == 0)
    exact = vectors[0][inside].astype(np.float64)
    cosine = exact @ exact.sum(axis=0)
    assert set(first.content_ids) == set(contents.content_id[inside[np.argsort(-cosine)[:8]]])


def test_a_sample_that_does_not_fit_is_refused_with_the_estimate():
    contents, _ = world(n=100)
    with pytest.raises(UnitFailed, match=r"clusters: .* GB"):
        plan(contents, ClustersParams(memory_gb=0.001))


@pytest.mark.parametrize(
    "given", [{"k": -1}, {"restarts": 0}, {"ladder": ()}, {"ladder": (1, 2)}, {"memory_gb": 0}]
)
def test_impossible_parameters_are_refused(given):
    with pytest.raises(ConfigError, match=next(iter(given))):
        ClustersParams(**given)
