"""Laws of outliers, on clouds whose outliers are known or that have none."""

from dataclasses import replace

import numpy as np
import pytest

from clipbatch.measure import outliers, outliers_null, serial
from tests.unit.measure.worlds import unit, world

pytestmark = pytest.mark.quick


def numbers(finding):
    return {number.name: number for number in finding.numbers}


def blobs(n=600, dim=24, classes=3, seed=0, spread=0.6):
    contents, vectors = world(n=n, dim=dim, classes=classes, seed=seed, spread=spread)
    return contents, vectors[0].copy()


def test_pictures_of_no_group_are_found_and_little_else():
    contents, clean = blobs()
    rng = np.random.default_rng(1)
    clean[:6] = unit(rng.normal(size=(6, clean.shape[1])))
    finding = serial.run(outliers.ANALYSIS, contents, {0: clean})
    told = np.flatnonzero(finding.per_content["outlier"] & 1)
    assert set(range(6)) <= set(told.tolist())
    assert len(told) <= 8


def test_a_cloud_without_structure_has_no_more_outliers_than_the_rate():
    params = outliers.OutliersParams(rate=0.01)
    shares = []
    for seed in range(4):
        contents, vectors = world(n=500, dim=12, classes=0, seed=seed, spread=1.5)
        finding = serial.run(outliers.ANALYSIS, contents, vectors, params)
        shares.append(numbers(finding)["outlier_share"].value)
    assert np.mean(shares) < 0.03


def test_classes_without_structure_have_no_more_outliers_than_the_rate():
    contents, clean = blobs(n=900)
    finding = serial.run(outliers.ANALYSIS, contents, {0: clean})
    assert numbers(finding)["class_outlier_share"].value < 0.01


def test_an_outlier_of_its_class_need_not_be_one_of_the_collection():
    contents, clean = blobs()
    other = np.flatnonzero(contents.label != contents.label[0])[:1]
    rng = np.random.default_rng(2)
    near = unit(clean[other] + 0.05 * rng.normal(size=clean[other].shape))
    clean[0] = near[0]  # lies amid another class
    finding = serial.run(outliers.ANALYSIS, contents, {0: clean})
    assert finding.per_content["outlier"][0] == 2


def test_distances_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    x = unit(rng.normal(size=(40, 8))).astype(np.float32)
    every = np.sqrt(np.maximum(2 - 2 * x.astype(float) @ x.T, 0))
    np.fill_diagonal(every, np.inf)
    found = outliers_null.nearest(x, x, 5, among=40)
    np.testing.assert_allclose(found, np.sort(every, axis=1)[:, :5], atol=2e-3)


def test_the_cloud_has_the_mean_and_no_group():
    _, clean = blobs()
    cloud = outliers_null.cloud(clean, 2000, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(cloud, axis=1), 1, atol=1e-5)
    mean = unit(clean.mean(axis=0)[None])[0]
    assert unit(cloud.mean(axis=0)[None])[0] @ mean > 0.95


def test_so_few_contents_have_no_outliers():
    contents, vectors = world(n=20)
    finding = serial.run(outliers.ANALYSIS, contents, vectors)
    assert {number.value for number in finding.numbers} == {None}


def test_without_classes_the_collection_is_answered_and_classes_are_not():
    contents, vectors = world(n=80, classes=0)
    found = numbers(serial.run(outliers.ANALYSIS, contents, vectors))
    assert found["outliers"].value is not None
    assert found["class_outliers"].value is None
    small = replace(contents, label=np.zeros(80, np.int32), label_names=("one",))
    found = numbers(serial.run(outliers.ANALYSIS, small, vectors))
    assert found["class_outliers"].value is not None
