"""Topology against accuracy: planted, absent, driven by the level alone, and not answerable."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from clipbatch import config as configs
from clipbatch.errors import ConfigError
from clipbatch.measure import serial
from clipbatch.measure.accuracy import ANALYSIS as ACCURACY
from clipbatch.measure.accuracy_folds import AccuracyParams
from clipbatch.measure.association import ANALYSIS, AssociationParams
from clipbatch.measure.association_summary import HYPOTHESES
from clipbatch.measure.base import Finding, Number, Table
from clipbatch.measure.homology import ANALYSIS as HOMOLOGY
from clipbatch.measure.homology_scopes import HomologyParams
from clipbatch.measure.homology_summary import METRICS
from clipbatch.measure.store import finding_from_json, finding_to_json
from tests.unit.measure.worlds import contents_of, digest, unit, world

pytestmark = pytest.mark.quick

QUICK = AssociationParams(permutations=499, bootstraps=200)
VARIANTS = (500, 1000, 2000)
PRIMARY = "probe_wasserstein_h0"


def names_of(classes: int) -> list[str]:
    return [f"c{i:02}" for i in range(classes)]


def by_class(columns: dict[str, np.ndarray]) -> Table:
    """Lay out (L, C) arrays as the findings do: class by class, clean first."""
    _, classes = next(iter(columns.values())).shape
    cells = {
        "class": [name for name in names_of(classes) for _ in (0, *VARIANTS)],
        "level": [v / 1000 for _ in range(classes) for v in (0, *VARIANTS)],
    }
    for name, values in columns.items():
        cells[name] = np.vstack([np.zeros(classes), values]).T.ravel().tolist()
    return Table("by class", cells)


def homology(moved: np.ndarray, *, loops: bool = True) -> Finding:
    dims = (0, 1) if loops else (0,)
    columns = {f"h{dim}_{metric}_paired": moved for dim in dims for metric in METRICS}
    return Finding("h", (), tables=(by_class(columns),))


def accuracy(lost: np.ndarray, clean: float = 0.9, reliability: float = 0.8) -> Finding:
    """An accuracy finding of the probe alone, whose intervals are 0.04 wide."""
    chance = 1 / lost.shape[1]

    def number(name, value):
        return Number(name, value, low=value - 0.02, high=value + 0.02, interval="i")

    numbers = [Number("chance", chance), number("probe_clean", clean)]
    for v, level in zip(VARIANTS, lost.mean(axis=1), strict=True):
        numbers += [number(f"probe_{v}", clean - level), number(f"probe_lost_{v}", level)]
        numbers += [Number(f"{m}{end}_{v}", None, note="it did not answer")
                    for m in ("zero_shot", "centroid") for end in ("", "_lost")]  # fmt: skip
    numbers += [
        Number(f"{m}_clean", None, note="it did not answer") for m in ("zero_shot", "centroid")
    ]
    levels = Table(
        "levels",
        {
            "method": ["probe"] * 3,
            "level": [v / 1000 for v in VARIANTS],
            "loss_reliability": [reliability] * 3,
        },
    )
    return Finding("a", tuple(numbers), tables=(levels, by_class({"probe_lost": lost})))


def ask(homology: Finding, accuracy: Finding, params=QUICK, seed: int = 0) -> Finding:
    contents, vectors = world(n=12, classes=2, variants=(0, *VARIANTS), seed=seed)
    found = {"homology": homology, "accuracy": accuracy}
    return serial.run(ANALYSIS, dataclasses.replace(contents, found=found), vectors, params)


def values(finding):
    return {number.name: number.value for number in finding.numbers}


def notes(finding):
    return {number.name: number.note for number in finding.numbers}


def draw(seed: int, classes: int = 14) -> np.ndarray:
    """(L, C) between 0 and 1."""
    return np.random.default_rng(seed).random((3, classes))


def test_a_planted_relation_is_found():
    lost = 0.1 + 0.4 * draw(0)
    finding = ask(homology(np.sqrt(lost) + 0.05 * draw(1)), accuracy(lost))
    got = values(finding)
    assert got[f"rho_{PRIMARY}"] > 0.8
    assert got[f"p_{PRIMARY}"] == pytest.approx(1 / 500)
    assert got[f"p_corrected_{PRIMARY}"] <= 0.01
    assert "lose more accuracy" in finding.headline
    against = ask(homology(-lost), accuracy(lost))
    assert "lose less accuracy" in against.headline


def test_an_absent_relation_is_not():
    finding = ask(homology(draw(2)), accuracy(0.1 + 0.4 * draw(3)))
    got = {number.name: number for number in finding.numbers}[f"rho_{PRIMARY}"]
    assert got.low < 0 < got.high
    assert values(finding)[f"p_{PRIMARY}"] > 0.05
    assert "No relation shown" in finding.headline


def test_what_only_the_level_does_is_not_found():
    steps = np.array([[0.1], [0.4], [0.7]])
    finding = ask(homology(steps + 0.1 * draw(4)), accuracy(steps + 0.1 * draw(5)))
    got = values(finding)
    assert got[f"naive_{PRIMARY}"] > 0.8
    assert got[f"p_{PRIMARY}"] > 0.05
    assert got[f"p_corrected_{PRIMARY}"] > 0.05
    assert "No relation shown" in finding.headline


def test_clean_accuracy_near_chance_is_not_answerable():
    finding = ask(homology(draw(6)), accuracy(0.01 * draw(7), clean=1 / 14 + 0.04))
    assert finding.headline.startswith("Not answerable")
    assert "near chance" in finding.headline
    assert values(finding)["levels_probe"] == 0
    for number in finding.numbers:
        if number.name.startswith(("rho", "p_", "naive")):
            assert number.value is None
            assert number.note


def test_too_few_classes_are_not_answerable():
    lost = 0.1 + 0.4 * draw(8, classes=7)
    finding = ask(homology(lost), accuracy(lost))
    assert "8 classes" in finding.headline
    assert "got 7" in finding.headline
    enough = ask(homology(lost), accuracy(lost), dataclasses.replace(QUICK, min_classes=7))
    assert values(enough)[f"rho_{PRIMARY}"] == pytest.approx(1.0)


def test_levels_at_chance_and_levels_that_cost_nothing_are_left_out_and_said():
    lost = 0.2 + 0.2 * draw(9)
    lost[0] = 0.0
    lost[2] = 0.88
    finding = ask(homology(draw(10)), accuracy(lost))
    assert values(finding)["levels_probe"] == 1
    assert any("level 0.5: left out: no accuracy is lost" in note for note in finding.notes)
    assert any("level 2: left out: accuracy 0.02 is near chance" in note for note in finding.notes)
    levels = finding.tables[1].columns
    told = {
        (m, d, level): (rho, why) for m, d, level, rho, why in zip(*levels.values(), strict=True)
    }
    assert told["probe", "wasserstein, H0", 0.5][0] is None
    assert told["probe", "wasserstein, H0", 1.0] == (pytest.approx(values(finding)[f"rho_{PRIMARY}"], abs=1e-4), "")  # fmt: skip  # noqa: E501


def test_a_method_that_did_not_answer_says_so_and_the_others_are_asked():
    lost = 0.1 + 0.4 * draw(11)
    finding = ask(homology(lost), accuracy(lost))
    for method, metric, dim in HYPOTHESES:
        name = f"rho_{method}_{metric}_h{dim}"
        assert (values(finding)[name] is None) == (method != "probe")
        if method != "probe":
            assert "it did not answer" in notes(finding)[name]


def test_without_loops_or_distances_the_rest_is_asked():
    lost = 0.1 + 0.4 * draw(12)
    flat = ask(homology(lost, loops=False), accuracy(lost))
    assert values(flat)["rho_probe_wasserstein_h1"] is None
    assert values(flat)[f"rho_{PRIMARY}"] == pytest.approx(1.0)
    none = ask(Finding("h", ()), accuracy(lost))
    assert "no distances by class" in none.headline


def test_diagrams_that_all_move_alike_have_no_order():
    finding = ask(homology(np.ones((3, 14))), accuracy(0.1 + 0.4 * draw(13)))
    assert "move alike" in finding.headline


def test_noise_in_the_losses_bounds_what_could_be_seen():
    lost = 0.1 + 0.4 * draw(14)
    assert values(ask(homology(lost), accuracy(lost)))["highest_probe"] == pytest.approx(0.8**0.5)


def test_stored_findings_answer_alike():
    lost = 0.1 + 0.4 * draw(15)
    sides = homology(draw(16)), accuracy(lost)
    stored = [finding_from_json(finding_to_json(side)) for side in sides]
    assert finding_to_json(ask(*stored)) == finding_to_json(ask(*sides))


def test_classes_of_real_vectors_that_collapse_more_lose_more():
    """Ten classes drawn towards one point, each by its own share: diagrams shrink, answers fail."""
    classes, per, dim = 10, 24, 24
    rng = np.random.default_rng(0)
    label = np.tile(np.arange(classes), per)
    clean = unit(np.eye(dim)[label] + 0.12 * rng.standard_normal((len(label), dim)))
    towards = unit(np.eye(dim)[:classes].sum(axis=0))
    share = np.linspace(0.0, 0.95, classes)[label][:, None]
    jitter = 0.2 * share * rng.standard_normal(clean.shape) / np.sqrt(dim)
    vectors = {0: clean, 500: unit((1 - share) * clean + share * towards + jitter)}
    ids = np.sort(np.array([digest(i) for i in range(len(label))], dtype="U64"))
    ones = np.ones(len(label), int)
    contents = contents_of(
        ids, label, tuple(names_of(classes)), ones, dict.fromkeys(vectors, ones > 0)
    )
    vectors = {v: x.astype(np.float32) for v, x in vectors.items()}
    found = {
        "homology": serial.run(
            HOMOLOGY, contents, vectors, HomologyParams(sample=20, repeats=4, min_class=20)
        ),
        "accuracy": serial.run(
            ACCURACY, contents, vectors, AccuracyParams(shuffles=1, bootstraps=100)
        ),
    }
    finding = serial.run(ANALYSIS, dataclasses.replace(contents, found=found), vectors, QUICK)
    assert values(finding)["classes"] == classes
    assert values(finding)["rho_centroid_wasserstein_h0"] > 0.6
    assert values(finding)["p_centroid_wasserstein_h0"] < 0.05


@pytest.mark.parametrize(
    "wrong", [{"min_classes": 3}, {"margin": 1.0}, {"permutations": 10}, {"bootstraps": 10}]
)
def test_impossible_parameters_are_config_errors(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        AssociationParams(**wrong)


def test_the_study_asks_for_every_step(monkeypatch):
    monkeypatch.setenv("PICTURES", "anywhere")
    study = configs.load(Path(__file__).parents[3] / "jobs" / "configs" / "study-a.toml")
    assert {"angles", "homology", "accuracy", "association"} <= set(study.measure.analyses)
    assert study.embed.levels == (0.5, 1.0, 2.0)  # the published study's
