"""Laws of reuse: equal fingerprints mean equal answers, and what an answer sees is in its hash."""

import importlib.metadata
from dataclasses import replace

import numpy as np
import pytest

from clipbatch.errors import ConfigError, ContractBroken
from clipbatch.measure import ANALYSES, accuracy, fingerprint, serial, store
from clipbatch.measure.base import Unit
from tests.unit.measure.test_contract import VARIANTS, normal, params
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick

ACCURACY = accuracy.ANALYSIS
ANGLES = next(analysis for analysis in ANALYSES if analysis.name == "angles")
each = pytest.mark.parametrize("analysis", ANALYSES, ids=lambda analysis: analysis.name)


def relabelled(contents, shift=1, rows=slice(0, 9)):
    """Give some pictures another label."""
    label = contents.label.copy()
    label[rows] = (label[rows] + shift) % len(contents.label_names)
    return replace(contents, label=label, image_label=label[contents.image_content])


def of_finding(analysis, contents, needed=None):
    facts = fingerprint.of_facts(contents)
    return fingerprint.of_finding(
        analysis, contents, params(analysis.name), "noise", needed or {}, facts
    )


def with_fact(contents, name):
    values = contents.facts[name].copy()
    values[3] = values[4]
    return replace(contents, facts=dict(contents.facts) | {name: values})


def changes():
    """Everything of a collection that a person may change without another picture, by name."""
    contents, _ = normal()
    image_split, exists = contents.image_split.copy(), contents.variants[500].copy()
    image_split[0], exists[0] = 1 - image_split[0], not exists[0]
    uris = contents.image_uri.copy()
    uris[0] = "another.png"
    yield "a label", relabelled(contents, rows=slice(0, 1))
    yield "a label of one image", replace(contents, image_label=np.roll(contents.image_label, 1))
    yield "a label's name", replace(contents, label_names=("x", *contents.label_names[1:]))
    yield "a split", replace(contents, image_split=image_split)
    yield "a name", replace(contents, image_uri=uris)
    yield "a noisy vector", replace(contents, variants=dict(contents.variants) | {500: exists})
    yield "the seed", replace(contents, seed=6)
    yield "the encoder", replace(contents, encoder="another")
    for name in contents.facts:
        yield f"the fact {name}", with_fact(contents, name)


@each
def test_a_finding_is_not_reused_when_anything_it_may_see_has_changed(analysis):
    contents, _ = normal()
    before = of_finding(analysis, contents)
    assert before == of_finding(analysis, replace(contents))
    for what, changed in changes():
        assert of_finding(analysis, changed) != before, what


@each
def test_a_finding_is_not_reused_when_one_that_it_needs_has_changed(analysis):
    contents, _ = normal()
    first, second = (of_finding(analysis, contents, {"neighbours": key}) for key in "ab")
    assert first != second


def results(analysis, contents, vectors):
    """Fingerprint -> stored result, of every unit of all rounds."""
    found = {}
    given, contents = params(analysis.name), serial.with_needed(analysis, contents, vectors)

    def compute(_, units):
        answers = {}
        for unit in units:
            inputs = serial.inputs_for(analysis, unit, contents, vectors)
            answers[unit.key] = analysis.compute(inputs, unit, given)
            key = fingerprint.of_unit(analysis, unit, contents, given, "")
            assert key not in found
            found[key] = store.result_to_bytes(answers[unit.key])
        return answers

    serial.run_rounds(analysis, contents, given, compute)
    return found


@each
def test_units_of_one_fingerprint_have_one_answer_before_and_after_relabelling(analysis):
    contents, vectors = normal()
    before = results(analysis, contents, vectors)
    after = results(analysis, relabelled(contents), vectors)
    shared = before.keys() & after.keys()
    assert {key: before[key] for key in shared} == {key: after[key] for key in shared}


@each
def test_units_of_one_fingerprint_have_one_answer_with_another_picture(analysis):
    contents, vectors = normal()
    more = world(n=61, dim=12, classes=3, variants=VARIANTS, seed=5, missing=0.2)
    before, after = results(analysis, contents, vectors), results(analysis, *more)
    shared = before.keys() & after.keys()
    assert {key: before[key] for key in shared} == {key: after[key] for key in shared}


@pytest.mark.parametrize("name", ["neighbours", "clusters", "homology", "outliers"])
def test_relabelling_costs_no_unit_whose_rows_do_not_follow_the_labels(name):
    analysis = next(a for a in ANALYSES if a.name == name)
    contents, vectors = normal()
    before = results(analysis, contents, vectors)
    after = results(analysis, relabelled(contents), vectors)
    of_classes = 3 if name == "homology" else 0  # its units of single classes draw other rows
    assert len(before.keys() - after.keys()) <= of_classes
    assert before.keys() & after.keys() or not before


def test_only_who_declares_it_sees_labels():
    contents, _ = normal()
    unit = Unit("u", np.arange(10))
    for analysis in ANALYSES:
        seen = serial.labels_for(analysis, unit, contents)
        expected = contents.label[:10] if analysis.reads_labels else np.full(10, -1)
        np.testing.assert_array_equal(seen, expected)
    keys = [
        {
            fingerprint.of_unit(analysis, unit, c, params(analysis.name), "")
            for c in (contents, relabelled(contents))
        }
        for analysis in (ACCURACY, ANGLES)
    ]
    assert [len(found) for found in keys] == [2, 1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["a", "bc"], ["ab", "c"]),
        (np.array(["a\x1eb"]), np.array(["a", "b"])),
        (np.array(["a\x1f", "b"]), np.array(["a", "\x1fb"])),
        (np.zeros(2, np.int32), np.zeros(1, np.int64)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        ([np.arange(2000)], [np.where(np.arange(2000) == 1000, 7, np.arange(2000))]),
        ({"a": 1, "b": 2}, {"a": 12, "b": 2}),
        ([1, [2]], [[1], 2]),
        ("1", 1),
    ],
)
def test_different_arguments_never_look_alike(one, other):
    contents, _ = normal()
    keys = {
        fingerprint.of_unit(
            ANGLES, Unit("u", np.arange(3), arguments={"x": x}), contents, params("angles"), ""
        )
        for x in (one, other)
    }
    assert len(keys) == 2


def test_what_cannot_be_seen_through_is_refused():
    contents, _ = normal()
    unit = Unit("u", np.arange(3), arguments={"x": object()})
    with pytest.raises(ContractBroken, match="expected numbers"):
        fingerprint.of_unit(ANGLES, unit, contents, params("angles"), "")


@pytest.mark.parametrize(("library", "redone"), [("numpy", ANGLES), ("transformers", ACCURACY)])
def test_another_version_of_a_library_is_another_answer(monkeypatch, library, redone):
    contents, _ = normal()
    before = {a.name: of_finding(a, contents) for a in (ANGLES, ACCURACY)}
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "99" if name == library else version(name)
    )
    fingerprint._versions.cache_clear()
    after = {a.name: of_finding(a, contents) for a in (ANGLES, ACCURACY)}
    fingerprint._versions.cache_clear()
    assert after[redone.name] != before[redone.name]
    if library == "transformers":
        assert after["angles"] == before["angles"]


def test_a_text_tower_that_cannot_be_loaded_is_asked_again_tomorrow(monkeypatch):
    from clipbatch.runtime import measure

    class Refusing:
        def encode_text(self, prompts):
            raise ConfigError("no tokenizer")

    text = measure._Text(None)
    monkeypatch.setattr(measure._Text, "_encoder", Refusing())
    contents, vectors = normal()
    finding = serial.run(ACCURACY, replace(contents, text=text), vectors, params("accuracy"))
    assert text.refused
    assert any("no tokenizer" in number.note for number in finding.numbers)
    assert fingerprint.for_now("key") not in ("key", fingerprint.for_now("other"))
