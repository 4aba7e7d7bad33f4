"""A listing is counted as it passes, sampled fairly, and compared with the tables."""

import pytest

from clipbatch import embed
from clipbatch.collect import open_source
from clipbatch.collect.base import Entry
from clipbatch.plan.listing import Tally, look
from tests import pictures
from tests.ray import world

pytestmark = pytest.mark.quick


def entries(count, size=10):
    return iter([Entry(f"{n:05}.png", size, "s", label=f"{n % 3}") for n in range(count)])


def test_every_entry_is_as_likely_to_be_sampled():
    drawn = [0] * 20
    for seed in range(2000):
        tally = Tally(5, seed)
        assert len(list(tally.watch(entries(20)))) == 20
        for place in tally.sample:
            drawn[int(place.uri[:5])] += 1
    # 2,000 draws of 5 in 20: 500 each, binomial with a standard deviation of 19.4.
    assert max(abs(n - 500) for n in drawn) < 5 * 19.4


def test_a_sample_of_few_is_all_of_them():
    tally = Tally(64, 0)
    list(tally.watch(entries(7)))
    assert (tally.pictures, len(tally.sample), tally.bytes) == (7, 7, 70)


def test_labels_of_few_pictures_are_no_classes():
    tally = Tally(1, 0)
    list(tally.watch(entries(61)))  # 21, 20, 20
    assert tally.classes() == 3
    list(tally.watch(iter([Entry("a.png", 1, "s", label="rare")])))
    assert (tally.classes(), len(tally.labels)) == (3, 4)


def test_before_the_first_audit_everything_is_to_be_opened(tmp_path):
    pictures.write_folder(tmp_path / "pictures", pictures.collection(each=3))
    config = world.load(tmp_path)
    source = open_source(config.collect)
    todo, sample = look(config, embed.describe(config.embed), source, 5)
    assert (todo.pictures, todo.to_open, todo.known, todo.have) == (12, 12, 0, 0)
    assert todo.bytes == sum(p.stat().st_size for p in (tmp_path / "pictures").rglob("*.png"))
    assert [p.uri for p in sample] == sorted(p.uri for p in sample)
    assert len(sample) == 5
    assert not (tmp_path / "db").exists()


def test_sizes_that_a_listing_does_not_tell_are_not_guessed(tmp_path):
    pictures.write_parquet(tmp_path / "p.parquet", pictures.collection())
    config = world.load(tmp_path, f"collect.source={tmp_path / 'p.parquet'}")
    todo, _ = look(config, embed.describe(config.embed), open_source(config.collect), 5)
    assert (todo.pictures, todo.bytes) == (8, None)
