"""Laws of the rules for blank, dark, bright, blurred, small, large and misshapen pictures."""

from dataclasses import replace

import numpy as np
import pytest

from clipbatch.measure import pictures, serial
from clipbatch.measure.pictures_rules import RULES
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick
N = 300


def plain(seed=0):
    """Facts of ordinary pictures: nothing stands apart."""
    rng = np.random.default_rng(seed)
    light = np.clip(rng.normal(0.45, 0.08, N), 0.2, 0.75)
    contrast = np.clip(rng.normal(0.2, 0.03, N), 0.1, 0.3)
    return {
        "brightness": light.astype(np.float32),
        "contrast": contrast.astype(np.float32),
        "sharpness": (contrast**2 * np.exp(rng.normal(0, 0.3, N))).astype(np.float32),
        "width": np.full(N, 400, np.int32),
        "height": np.full(N, 300, np.int32),
    }


def told(facts, **more):
    """Return rule -> the pictures that it tells."""
    contents, vectors = world(n=N)
    contents = replace(contents, facts=facts)
    finding = serial.run(pictures.ANALYSIS, contents, vectors, pictures.PicturesParams(**more))
    bits = finding.per_content["picture_faults"]
    found = {rule: np.flatnonzero(bits >> i & 1).tolist() for i, rule in enumerate(RULES)}
    counts = {n.name: n.value for n in finding.numbers}
    assert all(counts[rule] == len(found[rule]) for rule in RULES)
    return found


def test_ordinary_pictures_do_not_stand_apart():
    for seed in range(5):
        assert not any(told(plain(seed)).values())


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("blank", {"contrast": 0.001, "sharpness": 0.0}),
        ("dark", {"brightness": 0.05, "contrast": 0.03, "sharpness": 0.0009}),
        ("bright", {"brightness": 0.95, "contrast": 0.03, "sharpness": 0.0009}),
        ("blurred", {"contrast": 0.2, "sharpness": 0.0005}),
        ("small", {"width": 100, "height": 75}),
        ("large", {"width": 1600, "height": 1200}),
        ("odd_shape", {"width": 400, "height": 50}),
    ],
)
def test_each_fault_is_told_by_its_rule_alone(rule, changes):
    facts = plain()
    for name, value in changes.items():
        facts[name][7] = value
    found = told(facts)
    assert found.pop(rule) == [7]
    assert not any(found.values())


def test_a_collection_that_is_dark_on_purpose_is_not_too_dark():
    facts = plain()
    facts["brightness"] = (facts["brightness"] / 4).astype(np.float32)
    found = told(facts)
    assert len(found.pop("dark")) <= 0.01 * N
    assert not any(found.values())


def test_a_difference_that_no_eye_sees_is_not_told():
    facts = plain()
    facts["brightness"][:] = 0.4
    facts["brightness"][3] = 0.39
    facts["width"][5] = 401
    assert not any(told(facts).values())


def test_a_product_on_white_paper_is_not_overexposed():
    facts = plain()
    thumbnail = np.full((N, 32, 32), 110, np.uint8)
    thumbnail[:, ::2] = 140
    facts["brightness"][7:9] = 0.93
    thumbnail[7] = 237
    thumbnail[8] = 250
    thumbnail[8, 10:20, 10:20] = 20  # dark tones: the exposure is right
    assert told(facts | {"thumbnail": thumbnail})["bright"] == [7]


def test_detail_is_compared_at_one_scale():
    """Small pictures have more detail a pixel; a blurred small one is found among small ones."""
    facts = plain()
    small = np.arange(N) < 100
    facts["width"][small], facts["height"][small] = 64, 48
    facts["sharpness"][small] *= 20
    facts["sharpness"][7] /= 40
    assert told(facts, size_factor=100.0)["blurred"] == [7]


def test_without_facts_nothing_is_answered():
    contents, vectors = world(n=30)
    finding = serial.run(pictures.ANALYSIS, replace(contents, facts={}), vectors)
    assert {number.value for number in finding.numbers} == {None}
    assert "brightness" in finding.headline
