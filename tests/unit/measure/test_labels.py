"""Laws of label suspicion, on worlds where the wrong labels are known."""

from dataclasses import replace

import numpy as np
import pytest

from clipbatch.measure import labels, serial
from clipbatch.measure import labels_calibration as calibration
from clipbatch.measure import labels_votes as votes
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick


def numbers(finding):
    return {number.name: number for number in finding.numbers}


def swapped_world(n=400, classes=4, share=0.04, spread=0.8, seed=1):
    """A world in which the labels of some contents are wrong; returns which."""
    contents, vectors = world(n=n, dim=24, classes=classes, seed=seed, spread=spread)
    rng = np.random.default_rng(seed)
    wrong = rng.choice(n, round(share * n), replace=False)
    label = contents.label.copy()
    label[wrong] = (label[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return replace(contents, label=label), vectors, set(wrong.tolist())


def test_planted_wrong_labels_are_found_with_the_precision_that_was_promised():
    contents, vectors, wrong = swapped_world()
    finding = serial.run(labels.ANALYSIS, contents, vectors)
    told = set(np.flatnonzero(finding.per_content["suspect"]).tolist())
    assert len(told & wrong) >= 0.9 * len(wrong)
    found = numbers(finding)
    assert len(told & wrong) / len(told) >= found["planted_precision"].value - 0.1
    assert found["planted_recall"].value > 0.9
    assert found["planted_auc"].value > 0.95
    assert found["calibration_error"].value < 0.02


def test_labels_without_errors_give_hardly_a_suspect():
    contents, vectors = world(n=400, dim=24, classes=4, seed=2, spread=0.8)
    finding = serial.run(labels.ANALYSIS, contents, vectors)
    assert numbers(finding)["suspects"].value <= 4


def test_labels_that_mean_nothing_give_no_suspect():
    contents, vectors = world(n=400, dim=24, classes=4, seed=3)
    rng = np.random.default_rng(3)
    shuffled = replace(contents, label=rng.permutation(contents.label))
    found = numbers(serial.run(labels.ANALYSIS, shuffled, vectors))
    assert found["suspects"].value <= 4
    assert 0.4 < found["planted_auc"].value < 0.6
    assert found["neighbour_agreement"].value == pytest.approx(0.25, abs=0.05)


def test_copies_do_not_vote_for_each_other():
    """Wrong labels that were copied along with their pictures are found all the same."""
    contents, vectors, _ = swapped_world(n=300, share=0.0, spread=0.5)
    clean = vectors[0].copy()
    clean[1:21] = clean[0]  # twenty copies of one picture, all under its wrong label
    pixels = contents.facts["pixel_id"].copy()
    pixels[1:21] = pixels[0]
    label = contents.label.copy()
    label[:21] = (label[0] + 1) % 4
    copied = replace(contents, label=label, facts=contents.facts | {"pixel_id": pixels})
    finding = serial.run(labels.ANALYSIS, copied, {0: clean})
    assert finding.per_content["suspect"][:21].all()


def test_the_probability_is_the_share_of_planted_labels_at_its_score():
    contents, vectors, _ = swapped_world(n=1200, share=0.0, spread=1.6, seed=4)
    finding = serial.run(labels.ANALYSIS, contents, vectors, labels.LabelsParams(repeats=20))
    table = next(t for t in finding.tables if t.title.startswith("Reliability")).columns
    for scores, mean, share in zip(
        table["scores"], table["mean predicted"], table["share planted"], strict=True
    ):
        error = (mean * (1 - mean) / scores) ** 0.5
        assert abs(mean - share) < 6 * error + 0.05


def test_a_rare_class_is_not_suspect_because_it_is_rare():
    """Two neighbours of a class of 3 % outvote five of one of 97 %."""
    label = np.r_[np.zeros(97, np.int64), np.ones(3, np.int64)]
    neighbour = np.zeros((100, 7), np.int64)
    neighbour[97] = [98, 99, 0, 1, 2, 3, 4]
    cast = votes.cast(neighbour, np.ones_like(neighbour, bool), label, 2)
    assert cast.score[97] < 0
    assert (cast.own[97], cast.others[97], cast.voters[97]) == (2, 5, 7)


def test_votes_do_not_depend_on_the_chunk(monkeypatch):
    rng = np.random.default_rng(0)
    neighbour = rng.integers(0, 50, (50, 6))
    label, may = rng.integers(-1, 3, 50), rng.random((50, 6)) < 0.8
    whole = votes.cast(neighbour, may, label, 3)
    monkeypatch.setattr(votes, "_CHUNK", 7)
    cut = votes.cast(neighbour, may, label, 3)
    for name in ("score", "other", "own", "others", "voters"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(cut, name))


def test_the_curve_never_falls_and_tells_no_line_where_none_is_reached():
    rng = np.random.default_rng(0)
    score = rng.normal(size=2000)
    wrong = rng.random(2000) < 1 / (1 + np.exp(-3 * score))
    curve = calibration.curve([calibration.Planted(score, wrong)])
    assert (np.diff(curve.probability) >= 0).all()
    assert curve(np.array([3.0]))[0] > 0.9
    assert curve(np.array([np.nan]))[0] == 0.0
    nothing = calibration.curve([calibration.Planted(score, np.zeros(2000, bool))])
    assert nothing.line(0.5) == float("inf")


def test_the_area_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    score, wrong = rng.normal(size=300).round(1), rng.random(300) < 0.2
    assert calibration.Planted(score, wrong).auc == pytest.approx(roc_auc_score(wrong, score))


def test_too_few_labels_are_not_answered_and_say_why():
    contents, vectors = world(n=12, classes=2)
    finding = serial.run(labels.ANALYSIS, contents, vectors)
    assert {number.value for number in finding.numbers} == {None}
    assert "12 contents" in finding.headline
