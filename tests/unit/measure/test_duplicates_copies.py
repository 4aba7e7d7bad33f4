"""Copies are found on pixels even where the encoder holds them for unlike."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from clipbatch.collect.facts import perceptual_hash
from clipbatch.measure import duplicates, duplicates_finding
from clipbatch.measure.base import Finding
from clipbatch.measure.components import near_groups
from clipbatch.measure.duplicates_story import Limits, Near
from tests.pictures import picture
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick
N = 12


def collection(images, **more):
    """A world of these pictures, one image each, in train and test in turn."""
    contents, vectors = world(n=N, dim=8, classes=2)
    small = [np.asarray(i.convert("L").resize((32, 32), Image.Resampling.LANCZOS)) for i in images]
    facts = contents.facts | {
        "thumbnail": np.array(small, np.uint8),
        "phash": np.array([perceptual_hash(s) for s in small]),
    }
    single = replace(
        contents,
        facts=facts | more,
        image_content=np.arange(N),
        image_uri=np.array([f"{i:02}.png" for i in range(N)]),
        image_label=contents.label,
        image_split=np.arange(N, dtype=np.int32) % 2,
    )
    return single, vectors


def told(contents, pairs=()):
    """Tell the finding of these near pairs (a, b, cosine)."""
    a, b, cosine = (np.array(column) for column in zip(*pairs, strict=True)) if pairs else (
        np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    )  # fmt: skip
    near = Near(a, b, cosine, len(a), 0.95, 0, near_groups(len(contents), a, b, cosine))
    limits = Limits(0.95, duplicates.DuplicatesParams().verify, 100)
    return duplicates_finding.tell(contents, near, None, limits)


def numbers(finding):
    return {number.name: number.value for number in finding.numbers}


def images(*special):
    return [*special, *(picture(seed, 96, 72) for seed in range(100, 100 + N - len(special)))]


def test_a_copy_that_the_encoder_does_not_list_is_found_by_its_hash():
    one = picture(1, 96, 72)
    contents, _ = collection(images(one, one.resize((60, 45))))
    finding = told(contents)
    found = numbers(finding)
    assert (found["copies"], found["copy_leaks"], found["near_recall"]) == (1, 1, 0)
    table = next(t for t in finding.tables if t.title.startswith("Copies")).columns
    assert (table["image"], table["other image"]) == (["00.png"], ["01.png"])
    assert (table["cosine"], table["leak"]) == ([None], ["yes"])


def test_precision_and_recall_rate_the_threshold():
    one = picture(1, 96, 72)
    contents, _ = collection(images(one, one.resize((60, 45))))
    found = numbers(told(contents, [(0, 1, 0.99), (2, 3, 0.97), (4, 5, 0.96)]))
    assert found["near_recall"] == 1
    assert found["near_precision"] == pytest.approx(1 / 3)
    assert found["copies"] == 1


def test_a_crop_is_found_as_its_originals_nearest_neighbour():
    one = picture(1, 320, 240)
    crop = one.crop((40, 10, 320, 220))
    contents, _ = collection(images(one, crop))
    assert numbers(told(contents))["copies"] == 0  # its hash is another
    near = np.roll(np.arange(N), -1)[:, None].astype(np.int32)
    graph = Finding("", (), per_content={"neighbour": near, "cosine": near * 0 + np.float32(0.7)})
    finding = told(replace(contents, found={"neighbours": graph}))
    assert numbers(finding)["copies"] == 1
    table = next(t for t in finding.tables if t.title.startswith("Copies")).columns
    assert (table["image"], table["cosine"]) == (["00.png"], [0.7])


def test_equal_pixels_in_two_splits_are_a_leak_without_any_encoder():
    pixels = np.array(["a", "a", "b", "b", *(f"own {i}" for i in range(4, N))])
    contents, _ = collection(images(), pixel_id=pixels)
    found = numbers(told(contents))
    assert (found["same_pixels_groups"], found["same_pixels_leaks"]) == (2, 2)
    assert found["same_pixels_label_conflicts"] == 2


def test_without_pixels_nothing_is_claimed():
    contents, _ = collection(images())
    bare = replace(contents, facts={})
    found = numbers(told(bare))
    for name in ("copies", "copy_leaks", "near_precision", "near_recall"):
        assert found[name] is None
