import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipbatch import seeds

pytestmark = pytest.mark.quick


@given(st.integers(0, 2**31), st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_the_same_keys_give_the_same_numbers(seed, keys):
    first = seeds.generator(seed, *keys).normal(size=4)
    assert np.array_equal(first, seeds.generator(seed, *keys).normal(size=4))
    assert seeds.derive(seed, *keys) == seeds.derive(seed, *keys)
    assert seeds.derive(seed, *keys) != seeds.derive(seed + 1, *keys)


def test_keys_do_not_run_together():
    assert seeds.derive(0, "ab", "c") != seeds.derive(0, "a", "bc")


@given(st.sets(st.text(max_size=6), min_size=1, max_size=40), st.integers(1, 20))
def test_a_sample_does_not_depend_on_the_order_of_rows(ids, size):
    ids = sorted(ids)
    forth = [ids[i] for i in seeds.sample(1, "r", ids, size)]
    back = [ids[::-1][i] for i in seeds.sample(1, "r", ids[::-1], size)]
    assert forth == back
    assert len(forth) == min(size, len(ids))


def test_a_sample_moves_little_when_the_collection_grows():
    before = [f"{i}" for i in range(1000)]
    after = before + [f"new{i}" for i in range(20)]
    first = {before[i] for i in seeds.sample(0, 0, before, 100)}
    second = {after[i] for i in seeds.sample(0, 0, after, 100)}
    assert len(first & second) >= 90


def test_another_repeat_is_another_sample():
    ids = [f"{i}" for i in range(1000)]
    overlap = len(set(seeds.sample(0, 0, ids, 100)) & set(seeds.sample(0, 1, ids, 100)))
    assert overlap < 30
