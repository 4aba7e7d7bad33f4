"""The laws that every registered analysis must pass; its line in the list holds it to them."""

import importlib
import math
import pkgutil
import subprocess
import sys
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import clipbatch.measure
from clipbatch.errors import ClipbatchError, ContractBroken
from clipbatch.measure import ANALYSES, fingerprint, serial, store
from clipbatch.measure.base import Analysis, Finding, NextRound
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick

REPOSITORY = Path(__file__).parents[3]
BY_NAME = {analysis.name: analysis for analysis in ANALYSES}
VARIANTS = (0, 500, 1000)

# So that the laws are quick; an analysis without a line here runs with its defaults.
QUICK = {
    "accuracy": {"min_class": 8, "folds": 2, "shuffles": 1, "bootstraps": 20},
    "angles": {"repeats": 4, "min_class": 8},
    "arrivals": {"permutations": 99, "bootstraps": 20},
    "association": {"permutations": 99, "bootstraps": 99},
    "clusters": {"restarts": 2, "bootstraps": 20, "permutations": 5},
    "drift": {"min_contents": 4, "bootstraps": 20, "permutations": 19},
    "homology": {"repeats": 4},
    "maps": {"dims": (2,), "noise_sample": 10},
}
# Answered without a vector: from the catalog, the facts of the decode, or earlier findings.
NO_UNITS = {"balance", "labels", "pictures"}
# Parameters that only cut the work, with values to try.
CUTS = {"block_rows": (1, 7, 40, 10**6)}
HEAVY = ("ray", "sklearn", "torch", "ripser", "persim", "matplotlib", "umap", "open_clip", "lance")

each = pytest.mark.parametrize("name", BY_NAME)


def params(name, **more):
    analysis = BY_NAME[name]
    known = {field.name for field in fields(analysis.params)}
    quick = {key: value for key, value in QUICK.get(name, {}).items() if key in known}
    return analysis.params(**(quick | more))


@cache
def normal():
    """A world with labels, splits, several images a content, and some noisy vectors missing."""
    return world(n=60, dim=12, classes=3, variants=VARIANTS, seed=5, missing=0.2)


@cache
def answered(name):
    contents, vectors = normal()
    return serial.run(BY_NAME[name], contents, vectors, params(name))


def asked_by_ray(name, contents, vectors, backwards=False):
    """Run as another process would: results as bytes, in any order, in rounds."""
    analysis, given, keys = BY_NAME[name], params(name), []
    contents = serial.with_needed(analysis, contents, vectors)

    def compute(_, units):
        keys.extend(unit.key for unit in units)
        units = list(units)[::-1] if backwards else units
        return {
            unit.key: store.result_from_bytes(
                store.result_to_bytes(
                    analysis.compute(
                        serial.inputs_for(analysis, unit, contents, vectors), unit, given
                    )
                )
            )
            for unit in units
        }

    return serial.run_rounds(analysis, contents, given, compute), keys


@each
def test_the_same_finding_twice(name):
    contents, vectors = normal()
    again = serial.run(BY_NAME[name], contents, vectors, params(name))
    assert store.finding_to_bytes(again) == store.finding_to_bytes(answered(name))


@each
def test_the_order_of_table_rows_and_units_does_not_matter(name):
    shuffled = world(n=60, dim=12, classes=3, variants=VARIANTS, seed=5, missing=0.2, shuffle=3)
    finding, _ = asked_by_ray(name, *shuffled, backwards=True)
    assert store.finding_to_bytes(finding) == store.finding_to_bytes(answered(name))


def cuts():
    """Every (analysis, parameter that only cuts its work, value)."""
    for name, analysis in BY_NAME.items():
        for field in fields(analysis.params):
            for value in CUTS.get(field.name, ()):
                yield name, field.name, value


@pytest.mark.parametrize(("name", "cut", "value"), list(cuts()))
def test_the_cut_does_not_change_the_answer(name, cut, value):
    contents, vectors = normal()
    finding = serial.run(BY_NAME[name], contents, vectors, params(name, **{cut: value}))
    assert store.finding_to_bytes(finding) == store.finding_to_bytes(answered(name))


@each
def test_another_seed_answers_too(name):
    contents, vectors = normal()
    finding = serial.run(BY_NAME[name], replace(contents, seed=77), vectors, params(name))
    known = [number.name for number in answered(name).numbers]
    assert [number.name for number in finding.numbers] == known


@each
@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("classes", [0, 1, 2])
def test_small_collections_are_answered_or_refused_by_name(name, n, classes):
    contents, vectors = world(n=n, dim=12, classes=classes, variants=VARIANTS)
    check_or_refusal(name, contents, vectors)


@each
def test_a_collection_without_labels_splits_or_facts_is_answered_or_refused(name):
    contents, vectors = world(n=40, dim=12, classes=0, variants=(0,))
    bare = replace(
        contents,
        split_names=(),
        image_split=np.full_like(contents.image_split, -1),
        facts={},
    )
    check_or_refusal(name, bare, vectors)


@each
def test_equal_vectors_are_answered_or_refused(name):
    contents, vectors = normal()
    equal = {v: np.where(np.isnan(rows), rows, vectors[0][:1]) for v, rows in vectors.items()}
    check_or_refusal(name, contents, equal)


@each
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("variant", VARIANTS)
def test_vectors_that_are_not_finite_are_refused_if_they_are_looked_at(name, variant, value):
    """A vector declared missing is NaN and no error: the normal world has such."""
    contents, vectors = normal()
    damaged = {v: rows.copy() for v, rows in vectors.items()}
    damaged[variant][contents.variants[variant], 2] = value
    asked = serial.with_needed(BY_NAME[name], contents, vectors)
    if any(variant in unit.variants for unit in BY_NAME[name].plan(asked, params(name))):
        with pytest.raises(ContractBroken):
            serial.run(BY_NAME[name], contents, damaged, params(name))
    else:
        finding = serial.run(BY_NAME[name], asked, damaged, params(name))
        assert store.finding_to_bytes(finding) == store.finding_to_bytes(answered(name))


@each
def test_the_finding_is_well_formed(name):
    check(answered(name), normal()[0])


@each
def test_unit_keys_are_unique_and_stable(name):
    contents, vectors = normal()
    _, keys = asked_by_ray(name, contents, vectors)
    assert len(keys) == len(set(keys))
    assert bool(keys) == (name not in NO_UNITS)
    assert asked_by_ray(name, contents, vectors)[1] == keys


@each
def test_units_and_their_fingerprints_do_not_change_from_night_to_night(name):
    analysis = BY_NAME[name]
    contents = serial.with_needed(analysis, *normal())

    def prints():
        units = analysis.plan(contents, params(name))
        return {u.key: fingerprint.of_unit(analysis, u, contents, params(name), "") for u in units}

    assert prints() == prints()


@pytest.mark.parametrize("name", [a.name for a in ANALYSES if not a.needs_labels])
def test_what_does_not_need_labels_answers_without(name):
    contents, vectors = world(n=60, dim=12, classes=0, variants=VARIANTS)
    check(serial.run(BY_NAME[name], contents, vectors, params(name)), contents)


def check_or_refusal(name, contents, vectors):
    """An analysis answers, or says with an error of its own why it does not."""
    try:
        finding = serial.run(BY_NAME[name], contents, vectors, params(name))
    except ClipbatchError as error:
        refusal = str(error)
        assert refusal.startswith(f"{name}: ")
        return
    check(finding, contents)


def check(finding, contents):
    """Hold a finding to the contract."""
    assert isinstance(finding, Finding)
    assert not isinstance(finding, NextRound)
    assert finding.headline
    assert finding.numbers
    for number in finding.numbers:
        if number.value is None:
            assert number.note, f"{number.name} is not answered and does not say why"
            continue
        assert math.isfinite(number.value)
        if number.low is not None:
            assert number.low <= number.high
            assert number.interval, f"{number.name} has ends of an unnamed interval"
    for found in finding.tables:
        lengths = {len(column) for column in found.columns.values()}
        assert len(lengths) == 1, f"{found.title}: columns of lengths {lengths}"
    for array in finding.per_content.values():
        assert len(array) == len(contents)
        assert array.dtype != object
    known = set(contents.content_id.tolist())
    for shown in finding.evidence:
        assert set(shown.content_ids) <= known
        assert 0 < len(shown.content_ids) <= 12
        assert len(shown.captions) in (0, len(shown.content_ids))
    if finding.pairs is not None:
        assert (finding.pairs.a < finding.pairs.b).all()
        assert len(finding.pairs.a) == len(finding.pairs.b) == len(finding.pairs.cosine)
    data = store.finding_to_bytes(finding)  # refuses what JSON or npz cannot hold
    assert store.finding_to_bytes(store.finding_from_bytes(data)) == data
    assert {figure.kind for figure in finding.figures} <= FIGURES.keys()
    for figure in finding.figures:
        assert FIGURES[figure.kind] <= figure.data.keys(), figure.title


FIGURES = {
    "heatmap": {"z", "rows", "columns"},
    "bars": {"names", "values"},
    "lines": {"x", "series"},
    "scatter": {"x", "y"},
    "histogram": {"edges", "counts"},
    "diagram": {"births", "deaths"},
}


def modules():
    """Every module of the folder that defines an analysis."""
    found = {}
    for module in pkgutil.iter_modules(clipbatch.measure.__path__):
        loaded = importlib.import_module(f"clipbatch.measure.{module.name}")
        if isinstance(getattr(loaded, "ANALYSIS", None), Analysis):
            found[module.name] = loaded.ANALYSIS
    return found


def test_every_analysis_is_registered_once_under_its_modules_name():
    assert {name: analysis.name for name, analysis in modules().items()} == {
        analysis.name: analysis.name for analysis in ANALYSES
    }
    assert len(BY_NAME) == len(ANALYSES)


@each
def test_every_analysis_has_a_page_and_a_test(name):
    page = REPOSITORY / "docs" / "analyses" / f"{name}.md"
    assert len(page.read_text(encoding="utf-8")) > 500
    assert (REPOSITORY / "tests" / "unit" / "measure" / f"test_{name}.py").exists()


def test_importing_the_list_loads_nothing_heavy():
    code = f"import sys, clipbatch.measure; print([m for m in {HEAVY} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
