"""Laws of what is said about groups of images: splits, labels, and which one to keep."""

from dataclasses import replace

import numpy as np
import pytest

from clipbatch.measure.copies import Images
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick


def images(split, label=None, content=None, sides=None):
    """One group of images a-, b-, c-...; sides are of the contents."""
    base, _ = world(n=4)
    m = len(split)
    facts = {"width": np.array(sides or [9] * 4), "height": np.array(sides or [9] * 4)}
    return Images(
        replace(
            base,
            image_content=np.array(content or [0] * m),
            image_uri=np.array([f"{c}.png" for c in "abcdefgh"[:m]]),
            image_split=np.array(split, np.int32),
            image_label=np.array(label or [0] * m, np.int32),
            split_names=("test", "train", "val"),
            facts=facts,
        )
    )


@pytest.mark.parametrize(
    ("split", "leak"),
    [([0, 0], False), ([0, 1], True), ([0, -1], False), ([-1, -1], False), ([2, -1, 1], True)],
)
def test_an_unknown_split_says_nothing(split, leak):
    group = np.zeros(len(split), np.int64)
    assert images(split).crossing(group, 1)[0].tolist() == [leak]


@pytest.mark.parametrize(("label", "conflict"), [([1, 1], False), ([0, 2], True), ([-1, 2], False)])
def test_an_unknown_label_says_nothing(label, conflict):
    assert images([0, 0], label).crossing(np.zeros(2, np.int64), 1)[1].tolist() == [conflict]


@pytest.mark.parametrize("seed", range(20))
def test_crossing_agrees_with_sets(seed):
    rng = np.random.default_rng(seed)
    contents, _ = world(n=30)
    m = len(contents.image_content)
    split = rng.integers(-1, 2, m).astype(np.int32)
    told = Images(replace(contents, image_split=split))
    group = rng.integers(-1, 6, m)
    of = [{s for s in split[group == g].tolist() if s >= 0} for g in range(6)]
    assert told.crossing(group, 6)[0].tolist() == [len(found) > 1 for found in of]
    held = [set(split[contents.image_content == c].tolist()) - {-1} for c in range(30)]
    a, b = np.triu_indices(30, 1)
    expected = [len(held[i] | held[j]) > 1 for i, j in zip(a, b, strict=True)]
    assert told.pairs_crossing(a, b)[0].tolist() == expected


def test_members_partition_the_grouped_images():
    contents, _ = world(n=40)
    told = Images(contents)
    group = np.random.default_rng(0).integers(-1, 9, len(contents.image_content))
    members = told.members(group, 9)
    assert [sorted(found.tolist()) for found in members] == [
        np.flatnonzero(group == g).tolist() for g in range(9)
    ]
    assert told.members(np.full(len(group), -1), 0) == []


def test_the_smallest_split_is_kept_first():
    """Four images in train, two in test: the test copies stay, whatever the pixels."""
    told = images([1, 1, 1, 1, 0, 0], content=[0, 0, 1, 1, 2, 2], sides=[99, 99, 5, 5])
    kept = told.members(np.array([0, -1, -1, -1, 0, -1]), 1)[0]
    assert told.uris(kept) == ["e.png", "a.png"]


def test_then_the_most_pixels_then_the_smallest_uri():
    told = images([0, 0, 0, 0], content=[0, 1, 2, 3], sides=[5, 8, 8, 2])
    kept = told.members(np.zeros(4, np.int64), 1)[0]
    assert told.uris(kept) == ["b.png", "c.png", "a.png", "d.png"]


def test_splits_are_counted_by_name():
    told = images([0, 1, 0, -1])
    assert told.splits(np.arange(4)) == "none x 1, test x 2, train x 1"


def test_the_worst_groups_come_first():
    told = images([0, 0, 0, 0, 0, 1, 0, 0], label=[0, 0, 0, 0, 0, 0, 1, 2])
    group = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    assert told.told(group, 4).worst_first == [2, 3, 0, 1]
