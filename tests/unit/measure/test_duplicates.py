"""Laws of duplicates: planted copies are found, counted once, and told with splits and labels."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from clipbatch.errors import ConfigError, ContractBroken, UnitFailed
from clipbatch.measure import serial, store
from clipbatch.measure.duplicates import ANALYSIS, DuplicatesParams
from tests.unit.measure.worlds import unit, world

pytestmark = pytest.mark.quick


def ask(contents, vectors, **given):
    return serial.run(ANALYSIS, contents, vectors, DuplicatesParams(**given))


def numbers(finding):
    return {number.name: number.value for number in finding.numbers}


def table(finding, beginning):
    found = next(t for t in finding.tables if t.title.startswith(beginning))
    return [
        dict(zip(found.columns, row, strict=True))
        for row in zip(*found.columns.values(), strict=True)
    ]


def planted(n=60, copies=((3, 4), (10, 11, 12), (20, 30)), noise=0.01, **given):
    """A world of unlike contents, some of which are near copies of others."""
    contents, vectors = world(n=n, dim=64, spread=4.0, **given)
    rng = np.random.default_rng(9)
    for first, *others in copies:
        for other in others:
            extra = noise * unit(rng.normal(size=64))
            vectors[0][other] = unit(vectors[0][first] + extra).astype(np.float32)
    return contents, vectors


def test_exact_duplicates_agree_with_counting_by_hand():
    contents, vectors = world(n=50)
    held = Counter(contents.image_content.tolist())
    got = numbers(ask(contents, vectors))
    assert got["images"] == len(contents.image_uri)
    assert got["contents"] == 50
    assert got["exact_groups"] == sum(count > 1 for count in held.values()) > 0
    assert got["exact_extra_images"] == len(contents.image_uri) - 50
    splits = {c: set(contents.image_split[contents.image_content == c].tolist()) for c in held}
    assert got["exact_leaks"] == sum(len(found) > 1 for found in splits.values()) > 0
    assert got["exact_label_conflicts"] == 0


def test_every_exact_group_is_told_with_its_splits():
    contents, vectors = world(n=50)
    finding = ask(contents, vectors)
    by_split = table(finding, "Exact duplicates by the splits")
    assert sum(row["groups"] for row in by_split) == numbers(finding)["exact_groups"]
    assert sum(row["extra images"] for row in by_split) == numbers(finding)["exact_extra_images"]
    assert all((row["leak"] == "yes") == ("," in row["splits"]) for row in by_split)
    listed = table(finding, "Exact duplicates: the same bytes")
    uris = [uri for row in listed for uri in [row["keep"], *row["others"].split()]]
    repeated = np.bincount(contents.image_content)[contents.image_content] > 1
    assert sorted(uris) == contents.image_uri[repeated].tolist()


def test_a_changed_label_is_a_conflict():
    contents, vectors = world(n=10)
    label = contents.image_label.copy()
    twice = np.flatnonzero(np.bincount(contents.image_content) > 1)[0]
    label[np.flatnonzero(contents.image_content == twice)[0]] += 1
    contents = replace(contents, image_label=label % 3)
    assert numbers(ask(contents, vectors))["exact_label_conflicts"] == 1


def test_planted_near_duplicates_are_found_and_nothing_else():
    contents, vectors = planted()
    finding = ask(contents, vectors)
    pairs = set(zip(finding.pairs.a.tolist(), finding.pairs.b.tolist(), strict=True))
    assert pairs == {(3, 4), (10, 11), (10, 12), (11, 12), (20, 30)}
    group = finding.per_content["near_group"]
    assert [np.flatnonzero(group == g).tolist() for g in range(3)] == [
        [3, 4],
        [10, 11, 12],
        [20, 30],
    ]
    got = numbers(finding)
    assert (got["near_pairs"], got["near_groups"], got["near_extra_contents"]) == (5, 3, 4)


def test_near_leaks_and_conflicts_agree_with_sets():
    contents, vectors = planted()
    finding = ask(contents, vectors)
    leaks = conflicts = 0
    for g in range(3):
        inside = finding.per_content["near_group"][contents.image_content] == g
        leaks += len(set(contents.image_split[inside].tolist())) > 1
        conflicts += len(set(contents.image_label[inside].tolist())) > 1
    assert numbers(finding)["near_leaks"] == leaks > 0
    assert numbers(finding)["near_label_conflicts"] == conflicts > 0
    told = table(finding, "Similar pictures: groups")
    assert sum(row["leak"] == "yes" for row in told) == leaks


def test_a_leak_between_groups_is_not_lost():
    """A chain train-train-test is split; the pair that crosses is still counted."""
    contents, vectors = world(n=3, dim=8)
    angle = np.radians([0, 15, 33])  # neighbours above cosine 0.95, ends below
    vectors[0][:] = 0
    vectors[0][:, 0], vectors[0][:, 1] = np.cos(angle), np.sin(angle)
    contents = replace(
        contents,
        image_content=np.arange(3),
        image_uri=np.array(["a", "b", "c"]),
        image_label=np.zeros(3, np.int32),
        image_split=np.array([1, 1, 0], np.int32),
    )
    finding = ask(contents, vectors)
    assert finding.per_content["near_group"].tolist() == [0, 0, -1]
    got = numbers(finding)
    assert (got["near_pairs"], got["near_groups"], got["near_leaks"]) == (2, 1, 1)


def test_equal_thumbnails_verify_a_pair():
    contents, vectors = planted()
    thumbnail = contents.facts["thumbnail"].copy()
    thumbnail[4] = thumbnail[3]
    contents = replace(contents, facts={**contents.facts, "thumbnail": thumbnail})
    finding = ask(contents, vectors)
    assert numbers(finding)["near_verified_pairs"] == 1
    rows = table(finding, "Similar pictures: pairs")
    assert [r["thumbnail correlation"] for r in rows if r["verified"] == "yes"] == [1.0]
    assert len(rows) == 5


def test_same_pixels_under_other_bytes():
    contents, vectors = world(n=20)
    pixels = contents.facts["pixel_id"].copy()
    pixels[[4, 9]] = pixels[2]
    same = replace(contents, facts={**contents.facts, "pixel_id": pixels})
    assert numbers(ask(same, vectors))["same_pixels_groups"] == 1
    assert numbers(ask(contents, vectors))["same_pixels_groups"] == 0
    assert "same_pixels_groups" not in numbers(ask(replace(contents, facts={}), vectors))


def test_without_thumbnails_nothing_is_verified_and_the_finding_says_so():
    contents, vectors = planted()
    finding = ask(replace(contents, facts={}), vectors)
    assert numbers(finding)["near_verified_pairs"] is None
    assert numbers(finding)["near_pairs"] == 5


def test_without_splits_or_labels_the_question_is_not_answered():
    contents, vectors = planted(classes=0)
    contents = replace(contents, split_names=(), image_split=np.full_like(contents.image_split, -1))
    got = numbers(ask(contents, vectors))
    for name in ("exact_leaks", "near_leaks", "exact_label_conflicts", "near_label_conflicts"):
        assert got[name] is None


@pytest.mark.parametrize("block_rows", [1, 2, 5, 17, 40, 59, 60, 1000])
def test_the_cut_does_not_change_the_answer(block_rows):
    contents, vectors = planted()
    whole = ask(contents, vectors, threshold=0.2)
    assert numbers(whole)["near_pairs"] > 100
    cut = ask(contents, vectors, threshold=0.2, block_rows=block_rows)
    assert store.finding_to_bytes(cut) == store.finding_to_bytes(whole)


@pytest.mark.parametrize("scale", [0.001, 255.0])
def test_only_directions_count(scale):
    contents, vectors = planted()
    lengths = np.random.default_rng(0).uniform(0.5, 2, (60, 1)).astype(np.float32) * scale
    scaled = ask(contents, {0: vectors[0] * np.float32(lengths)}, threshold=0.3)
    plain = ask(contents, vectors, threshold=0.3)
    assert scaled.pairs.a.tolist() == plain.pairs.a.tolist()
    np.testing.assert_allclose(scaled.pairs.cosine, plain.pairs.cosine, atol=1e-6)


@pytest.mark.parametrize("max_pairs", [1, 10, 50])
def test_the_cap_keeps_the_most_similar_pairs_exactly(max_pairs):
    contents, vectors = planted()
    whole = ask(contents, vectors, threshold=0.2)
    capped = ask(contents, vectors, threshold=0.2, max_pairs=max_pairs)
    assert numbers(whole)["near_pairs"] > 3 * max_pairs
    assert capped.pairs.a.tolist() == whole.pairs.a[:max_pairs].tolist()
    assert capped.pairs.b.tolist() == whole.pairs.b[:max_pairs].tolist()
    assert numbers(capped)["near_threshold"] == pytest.approx(whole.pairs.cosine[max_pairs - 1])
    assert any("max_pairs" in note for note in capped.notes)


@pytest.mark.parametrize("n", [5, 6])
def test_equal_contents_that_are_more_than_the_cap_but_not_twice_as_many(n):
    """At the default cap these are 1,415 to 2,000 equal contents."""
    contents, vectors = world(n=n, dim=8)
    vectors[0][:] = vectors[0][0]
    found = numbers(ask(contents, vectors, max_pairs=9))
    assert found["near_pairs"] == 9


def test_a_raised_threshold_lists_every_pair_above_it():
    """Where the sample errs on the low side, the list is shorter than the cap but complete."""
    contents, vectors = planted()
    whole = ask(contents, vectors, threshold=0.1)
    for sample in (4, 10, 25):
        capped = ask(contents, vectors, threshold=0.1, max_pairs=60, sample=sample)
        down_to = numbers(capped)["near_threshold"]
        expected = int((whole.pairs.cosine > down_to).sum())
        assert expected <= numbers(capped)["near_pairs"] <= 60
        assert capped.pairs.a.tolist() == whole.pairs.a[: len(capped.pairs.a)].tolist()


def test_the_estimate_is_exact_when_the_sample_is_everything():
    contents, vectors = planted()
    unit_ = ANALYSIS.plan(contents, DuplicatesParams(threshold=0.3))[0]
    inputs = serial.inputs_for(ANALYSIS, unit_, contents, vectors)
    found = ANALYSIS.compute(inputs, unit_, DuplicatesParams(threshold=0.3))
    assert float(found["expected"]) == numbers(ask(contents, vectors, threshold=0.3))["near_pairs"]


def test_the_estimate_is_unbiased_over_samples():
    contents, vectors = planted(n=200)
    params = DuplicatesParams(threshold=0.2, sample=40)
    true = numbers(ask(contents, vectors, threshold=0.2))["near_pairs"]
    estimates = []
    for seed in range(60):
        seeded = replace(contents, seed=seed)
        unit_ = ANALYSIS.plan(seeded, params)[0]
        inputs = serial.inputs_for(ANALYSIS, unit_, seeded, vectors)
        estimates.append(float(ANALYSIS.compute(inputs, unit_, params)["expected"]))
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - true) < 4 * error


def test_zero_vectors_are_counted_and_have_no_pairs():
    contents, vectors = world(n=10)
    vectors[0][[2, 5]] = 0
    finding = ask(contents, vectors, threshold=0.1)
    assert not {2, 5} & {*finding.pairs.a.tolist(), *finding.pairs.b.tolist()}
    assert any("zeros" in note for note in finding.notes)


def test_damaged_vectors_are_refused():
    contents, vectors = world(n=10)
    vectors[0][3, 1] = np.nan
    with pytest.raises(ContractBroken, match="NaN"):
        ask(contents, vectors)


def test_blocks_shrink_until_they_fit_and_refuse_when_none_does():
    contents, vectors = planted()
    tight = ask(contents, vectors, threshold=0.3, memory_gb=0.0001, block_rows=60)
    roomy = ask(contents, vectors, threshold=0.3)
    assert store.finding_to_bytes(tight) == store.finding_to_bytes(roomy)
    with pytest.raises(UnitFailed, match="memory_gb"):
        ask(contents, vectors, threshold=0.3, memory_gb=1e-9)


@pytest.mark.parametrize(
    "given",
    [
        {"threshold": -0.1},
        {"threshold": 1.1},
        {"max_pairs": 0},
        {"block_rows": 0},
        {"memory_gb": 0},
    ],
)
def test_impossible_parameters_are_refused(given):
    with pytest.raises(ConfigError, match=next(iter(given))):
        DuplicatesParams(**given)
