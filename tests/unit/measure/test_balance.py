"""Laws of class balance, and of tables of counts."""

from dataclasses import replace

import numpy as np
import pytest

from clipbatch.measure import balance, contingency, serial
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick
RNG = np.random.default_rng(0)


def collection(table):
    """One image a content: ``table[class][split]`` of them."""
    table = np.asarray(table)
    label = np.repeat(np.arange(table.shape[0]), table.sum(axis=1))
    split = np.concatenate([np.repeat(np.arange(table.shape[1]), row) for row in table])
    n = int(table.sum())
    contents, _ = world(n=n, classes=1)
    return replace(
        contents,
        label=label.astype(np.int32),
        label_names=tuple(f"c{i}" for i in range(table.shape[0])),
        image_content=np.arange(n),
        image_uri=np.array([f"{i}.png" for i in range(n)]),
        image_label=label.astype(np.int32),
        image_split=split.astype(np.int32),
        split_names=tuple(f"s{i}" for i in range(table.shape[1])),
    )


def numbers(contents):
    return {n.name: n for n in serial.run(balance.ANALYSIS, contents, {}).numbers}


def test_classes_are_counted_as_they_are():
    found = numbers(collection([[40, 10], [20, 5], [10, 0]]))
    assert found["classes"].value == 3
    assert found["smallest_class"].value == 10
    assert found["imbalance_ratio"].value == 5
    assert found["missing_classes"].value == 1
    shares = np.array([50, 25, 10]) / 85
    assert found["effective_classes"].value == pytest.approx(np.exp(-(shares @ np.log(shares))))


def test_a_content_counts_once_in_a_split_however_many_images_hold_it():
    contents = collection([[20, 20], [20, 20]])
    doubled = replace(
        contents,
        **{
            name: np.concatenate([getattr(contents, name), getattr(contents, name)[:15]])
            for name in ("image_content", "image_uri", "image_label", "image_split")
        },
    )
    assert numbers(doubled) == numbers(contents)


def test_equal_shares_have_no_effect_and_one_split_a_class_has_the_largest():
    even = numbers(collection([[60, 30], [40, 20], [20, 10]]))
    assert even["cramers_v"].value == 0
    assert even["independence_p"].value > 0.9
    apart = numbers(collection([[50, 0], [0, 50]]))
    assert apart["cramers_v"].value == pytest.approx(1, abs=0.02)
    assert apart["independence_p"].value < 0.001


def test_small_counts_are_tested_by_permutation():
    found = numbers(collection([[5, 1], [1, 5]]))
    assert "random tables" in found["independence_p"].note


def test_p_values_of_independent_tables_are_uniform():
    below = []
    for _ in range(200):
        table = RNG.multinomial(60, np.outer([0.5, 0.3, 0.2], [0.7, 0.3]).ravel()).reshape(3, 2)
        table = table[table.sum(axis=1) > 0]
        chance = contingency.chance(table, 99, RNG)
        below.append(contingency.p_value(table, chance)[0] <= 0.1)
    assert 0.03 < np.mean(below) < 0.18


def test_the_statistic_is_that_of_scipy():
    from scipy.stats import chi2_contingency

    table = RNG.integers(10, 60, (4, 3))
    expected = chi2_contingency(table, lambda_="log-likelihood", correction=False)
    assert contingency.g_statistic(table.astype(float)) == pytest.approx(expected.statistic)
    chance = contingency.chance(table, 19, RNG)
    assert contingency.p_value(table, chance)[0] == pytest.approx(expected.pvalue)


def test_independence_gives_no_effect_on_average():
    drawn = RNG.multinomial(200, np.full(12, 1 / 12), 300).reshape(-1, 4, 3).astype(float)
    assert contingency.cramers_v(drawn).mean() < 0.06


def test_without_splits_or_labels_it_says_so():
    contents = collection([[30], [20]])
    bare = replace(contents, image_split=np.full(50, -1, np.int32), split_names=())
    found = numbers(bare)
    assert found["imbalance_ratio"].value == 1.5
    assert found["cramers_v"].value is None
    assert "split" in found["cramers_v"].note
    none = replace(bare, image_label=np.full(50, -1, np.int32), label_names=())
    assert numbers(none)["imbalance_ratio"].value is None
