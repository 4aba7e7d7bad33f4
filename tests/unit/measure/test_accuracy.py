"""Accuracy against noise: classes that collapse, chance, copies, splits, prompts."""

import dataclasses
import re

import numpy as np
import pytest

from clipbatch.errors import ConfigError, ContractBroken, UnitFailed
from clipbatch.measure import accuracy_tables, serial
from clipbatch.measure.accuracy import ANALYSIS
from clipbatch.measure.accuracy_folds import AccuracyParams, choose
from clipbatch.measure.store import finding_to_json
from tests.unit.measure.worlds import contents_of, digest, unit

pytestmark = pytest.mark.quick

QUICK = AccuracyParams(bootstraps=200)
DIM = 16


def collection(vectors, label, pixels=None, seed: int = 0):
    """Contents and vectors, variant -> (n, D); ``pixels`` names what each content shows."""
    n = len(label)
    ids = np.array([digest(seed, i) for i in range(n)], dtype="U64")
    order = np.argsort(ids)
    names = tuple(f"c{i}" for i in range(max(label) + 1))
    there = {v: np.ones(n, bool) for v in vectors}
    made = contents_of(ids[order], np.asarray(label)[order], names, np.ones(n, int), there, seed)
    if pixels is not None:
        shown = np.array([digest("shows", p) for p in pixels], dtype="U64")
        made = dataclasses.replace(made, facts=made.facts | {"pixel_id": shown[order]})
    return made, {v: x[order].astype(np.float32) for v, x in vectors.items()}


def apart(classes: int = 3, per: int = 40, seed: int = 0):
    """Classes that any classifier parts, (N, D), and their labels."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(classes), per)
    return unit(np.eye(DIM)[label] + 0.1 * rng.standard_normal((len(label), DIM))), label


def blank(n: int, seed: int = 0, dim: int = DIM) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((n, dim)))


def collapsing():
    """Class c2 is anywhere at level 0.5, all classes are at level 1."""
    clean, label = apart()
    half = np.where((label == 2)[:, None], blank(120, 1), clean)
    return collection({0: clean, 500: half, 1000: blank(120, 2)}, label)


@pytest.fixture(scope="module")
def found():
    return serial.run(ANALYSIS, *collapsing(), QUICK)


def values(finding):
    return {number.name: number.value for number in finding.numbers}


@pytest.mark.parametrize("method", ["centroid", "probe"])
def test_what_collapses_is_lost_and_nothing_else(found, method):
    got = values(found)
    assert got[f"{method}_clean"] == got[f"{method}_of_contents_clean"] == 1.0
    lost = accuracy_tables.lost_by_class(found, method)
    assert [lost[name, 500] for name in ("c0", "c1")] == [0.0, 0.0]
    assert lost["c2", 500] == pytest.approx(2 / 3, abs=0.2)
    assert got[f"{method}_lost_500"] == pytest.approx(lost["c2", 500] / 3)
    assert got[f"{method}_1000"] == pytest.approx(got["chance"], abs=0.12)
    assert got[f"{method}_kept_1000"] == pytest.approx(0.0, abs=0.2)
    assert got["chance"] == pytest.approx(1 / 3) == got["majority"]


def test_a_class_that_all_are_taken_for_is_named():
    clean, label = apart()
    drawn = unit(clean + 4 * np.eye(DIM)[1])
    finding = serial.run(ANALYSIS, *collection({0: clean, 500: drawn}, label), QUICK)
    numbers = {number.name: number for number in finding.numbers}
    assert numbers["probe_most_named_clean"].value == pytest.approx(1 / 3)
    assert numbers["probe_most_named_500"].value == 1.0
    assert "taken for c1" in numbers["probe_most_named_500"].note
    assert accuracy_tables.lost_by_class(finding, "probe")["c1", 500] == 0.0


def test_the_control_knows_nothing(found):
    got = values(found)
    assert abs(got["shuffled_probe"] - got["chance"]) < 0.25
    assert got["shuffled_probe"] < got["probe_clean"] - 0.4


def test_every_share_has_an_interval_that_holds_it(found):
    for number in found.numbers:
        if number.name.startswith(("probe", "centroid")) and "most_named" not in number.name:
            assert number.low <= number.value <= number.high
            assert "bootstrap" in number.interval
    table = found.tables[1].columns
    for method in ("probe", "centroid"):
        ends = (np.array(table[f"{method}{end}"]) for end in ("_low", "", "_high"))
        low, value, high = ends
        assert ((low <= value) & (value <= high)).all()
        assert (low < high).all()  # also where all 40 are right


def test_labels_that_mean_nothing_are_at_chance():
    label = np.repeat(np.arange(3), 60)
    finding = serial.run(ANALYSIS, *collection({0: blank(180)}, label), QUICK)
    numbers = {number.name: number for number in finding.numbers}
    for method in ("probe", "centroid"):
        clean = numbers[f"{method}_clean"]
        assert clean.low <= 1 / 3 + 0.05
        assert clean.high >= 1 / 3 - 0.05
    assert "do not tell these classes apart" in finding.headline


def test_unequal_classes_count_alike_beside_all_contents_alike():
    clean, label = apart()
    few = np.concatenate([np.flatnonzero(label == c)[:n] for c, n in enumerate((40, 20, 20))])
    noisy = np.where((label == 0)[:, None], np.roll(clean, 40, axis=0)[::-1], clean)
    got = values(
        serial.run(ANALYSIS, *collection({0: clean[few], 500: noisy[few]}, label[few]), QUICK)
    )
    assert got["majority"] == pytest.approx(0.5)
    assert got["probe_500"] == pytest.approx(2 / 3)  # c0 looks like another class
    assert got["probe_of_contents_500"] == pytest.approx(0.5)


def twins(same_pixels: bool):
    """Vectors that say nothing, except that every content has a twin."""
    vectors = np.repeat(blank(120, dim=256), 2, axis=0)
    label = np.repeat(np.random.default_rng(3).integers(0, 3, 120), 2)
    shows = np.arange(240) // 2 if same_pixels else np.arange(240)
    return collection({0: vectors}, label, pixels=shows)


def test_copies_do_not_straddle():
    alike = values(serial.run(ANALYSIS, *twins(same_pixels=True), QUICK))
    other = values(serial.run(ANALYSIS, *twins(same_pixels=False), QUICK))
    assert alike["probe_clean"] < 0.5
    assert other["probe_clean"] > 0.7  # what a copy in training would be worth
    contents, _ = twins(same_pixels=True)
    chosen = choose(contents, QUICK)
    shown = contents.facts["pixel_id"][chosen.rows]
    assert len(chosen.folds) == 5
    for fold in chosen.folds:
        assert not set(shown[fold.train]) & set(shown[fold.test])
        assert not set(shown[fold.held]) & set(shown[fold.train & ~fold.held])
    assert (np.sum([fold.test for fold in chosen.folds], axis=0) == 1).all()


def test_a_new_content_moves_no_other_to_another_fold():
    clean, label = apart(per=40)
    before, _ = collection({0: clean[1:]}, label[1:], pixels=range(1, 120))
    after, _ = collection({0: clean}, label, pixels=range(120))

    def folds(contents):
        chosen = choose(contents, QUICK)
        shown = contents.facts["pixel_id"][chosen.rows]
        return {s: k for k, fold in enumerate(chosen.folds) for s in shown[fold.test]}

    assert folds(before).items() <= folds(after).items()


def split(contents, test: np.ndarray):
    """Put every content's one image into test or train."""
    return dataclasses.replace(
        contents, image_split=np.where(test, 0, 1).astype(np.int32), split_names=("test", "train")
    )


def test_given_splits_train_and_test_and_leaks_are_not_tested():
    clean, label = apart()
    contents, vectors = collection({0: clean}, label, pixels=[*range(118), 0, 1])
    test = np.arange(120) % 2 == 0
    params = dataclasses.replace(QUICK, train=("train",), test=("test",))
    contents = split(contents, test)
    chosen = choose(contents, params)
    (fold,) = chosen.folds
    assert fold.key == "given"
    shown = contents.facts["pixel_id"][chosen.rows]
    assert not set(shown[fold.train]) & set(shown[fold.test])
    leaks = int((np.isin(shown, shown[~test]) & test).sum())
    assert fold.test.sum() == test.sum() - leaks
    finding = serial.run(ANALYSIS, contents, vectors, params)
    assert values(finding)["contents"] == fold.test.sum()
    assert values(finding)["probe_clean"] == 1.0
    assert any(f"{leaks} contents of the latter also train" in note for note in finding.notes)


def test_a_split_that_is_not_there_is_refused():
    contents, vectors = collapsing()
    params = dataclasses.replace(QUICK, train=("learn",), test=("test",))
    with pytest.raises(UnitFailed, match=r"no split is named 'learn'.*test, train"):
        serial.run(ANALYSIS, contents, vectors, params)


def reader(seen: list[str]):
    """An encoder's text side that knows where each class lies, and puts other words anywhere."""

    def text(prompts):
        seen.extend(prompts)
        known = [re.search(r"\bc(\d)\b", prompt) for prompt in prompts]
        anywhere = 0.2 * blank(len(prompts), 9)
        return np.stack(
            [np.eye(DIM)[int(k[1])] if k else a for k, a in zip(known, anywhere, strict=True)]
        ).astype(np.float32)

    return text


def test_zero_shot_asks_for_every_class_in_every_template():
    contents, vectors = collapsing()
    seen: list[str] = []
    params = dataclasses.replace(QUICK, templates=("a {}.", "the {}!"), words={"c2": "noisy c2"})
    asked = dataclasses.replace(contents, text=reader(seen))
    got = values(serial.run(ANALYSIS, asked, vectors, params))
    assert seen[:6] == ["a c0.", "the c0!", "a c1.", "the c1!", "a noisy c2.", "the noisy c2!"]
    assert len(seen) > 100  # made-up words, in the same templates
    assert got["zero_shot_clean"] == 1.0
    assert got["zero_shot_lost_500"] == pytest.approx(2 / 9, abs=0.07)
    assert got["zero_shot_low_clean"] < 0.1
    assert got["zero_shot_low_1000"] > 0.5


def no_tower(prompts):
    raise NotImplementedError


def no_files(prompts):
    raise ConfigError("no tokenizer in the cache")


@pytest.mark.parametrize(
    ("text", "why"),
    [(None, "need an encoder"), (no_tower, "need an encoder"), (no_files, "no tokenizer")],
)
def test_without_a_text_tower_zero_shot_says_why(text, why):
    contents, vectors = collapsing()
    finding = serial.run(ANALYSIS, dataclasses.replace(contents, text=text), vectors, QUICK)
    for number in finding.numbers:
        if number.name.startswith("zero_shot"):
            assert number.value is None
            assert why in number.note
    assert any("no zero-shot accuracy" in note for note in finding.notes)


def test_losses_that_differ_by_class_are_reliable_and_equal_ones_are_not():
    rng = np.random.default_rng(0)
    clean, label = apart(classes=8, per=40)

    def reliability(share_gone):
        gone = rng.random(len(label)) < share_gone[label]
        noisy = np.where(gone[:, None], blank(len(label), 5), clean)
        finding = serial.run(ANALYSIS, *collection({0: clean, 500: noisy}, label), QUICK)
        return accuracy_tables.loss_reliability(finding, "probe")[500]

    assert reliability(np.linspace(0, 1, 8)) > 0.9
    assert reliability(np.full(8, 0.5)) < 0.7


def test_confusions_are_shown_with_pictures():
    clean, label = apart()
    clean[label == 1] = unit(clean[label == 1] + 3 * np.eye(DIM)[0])
    contents, vectors = collection({0: clean + 0.25 * blank(120, 4)}, label)
    finding = serial.run(ANALYSIS, contents, vectors, QUICK)
    table = finding.tables[2].columns
    pairs = set(zip(table["class"], table["taken_for"], strict=True))
    assert pairs <= {("c0", "c1"), ("c1", "c0")}
    for shown in finding.evidence:
        name = shown.captions[0].partition(",")[0]
        places = np.isin(contents.content_id, shown.content_ids)
        assert {f"c{i}" for i in contents.label[places]} == {name}


def test_small_classes_are_named_and_large_ones_capped():
    clean, label = apart()
    kept = np.r_[0:80, 80:89]
    contents, vectors = collection({0: clean[kept]}, label[kept])
    params = dataclasses.replace(QUICK, sample=50)
    finding = serial.run(ANALYSIS, contents, vectors, params)
    assert values(finding)["classes"] == 2
    assert values(finding)["contents"] == 50
    assert any("c2 (9)" in note for note in finding.notes)
    assert any("capped at 25" in note for note in finding.notes)


def test_only_contents_with_every_level_are_asked():
    contents, vectors = collapsing()
    has = np.arange(120) % 3 > 0
    vectors[500][~has] = np.nan
    sampled = dataclasses.replace(contents, variants=contents.variants | {500: has})
    assert values(serial.run(ANALYSIS, sampled, vectors, QUICK))["contents"] == has.sum()
    clean_only = dataclasses.replace(QUICK, levels=(1.0,))
    assert values(serial.run(ANALYSIS, sampled, vectors, clean_only))["contents"] == 120


def test_without_noise_only_clean_is_told():
    clean, label = apart()
    finding = serial.run(ANALYSIS, *collection({0: clean}, label), QUICK)
    assert "no noisy variant" in finding.headline
    assert not any("lost" in number.name for number in finding.numbers)
    finding_to_json(finding)


@pytest.mark.parametrize("sizes", [[], [40], [40, 3]])
def test_without_two_classes_every_number_says_why(sizes, found):
    label = np.repeat(np.arange(len(sizes)), sizes) if sizes else np.empty(0, int)
    vectors = {v: blank(len(label)) for v in (0, 500, 1000)}
    names = tuple(f"c{i}" for i in range(len(sizes)))
    ids = np.sort(np.array([digest(i) for i in range(len(label))], dtype="U64"))
    there = {v: np.ones(len(label), bool) for v in vectors}
    contents = contents_of(ids, label, names, np.ones(len(label), int), there)
    finding = serial.run(ANALYSIS, contents, vectors, QUICK)
    if sizes:  # an empty collection has no noisy variant either
        assert [n.name for n in finding.numbers] == [n.name for n in found.numbers]
    assert all(number.value is None and number.note for number in finding.numbers)


def test_nan_is_refused():
    contents, vectors = collapsing()
    vectors[1000][5] = np.nan
    with pytest.raises(ContractBroken):
        serial.run(ANALYSIS, contents, vectors, QUICK)


def test_too_much_is_refused_with_the_estimate():
    contents, _ = collapsing()
    with pytest.raises(UnitFailed, match=r"120 contents needs about [\d.]+ GB"):
        ANALYSIS.plan(contents, dataclasses.replace(QUICK, memory_gb=1e-3))


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_class": 3},
        {"folds": 1},
        {"levels": (0.0,)},
        {"strengths": ()},
        {"strengths": (10.0, 1.0)},
        {"templates": ("a photo",)},
        {"train": ("train",)},
        {"train": ("a",), "test": ("a", "b")},
        {"memory_gb": 0.0},
    ],
)
def test_impossible_parameters_are_config_errors(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        AccuracyParams(**wrong)
