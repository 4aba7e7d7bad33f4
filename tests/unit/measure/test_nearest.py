"""The neighbours that analyses ask around are those of the shared graph."""

from dataclasses import replace

import numpy as np
import pytest

from clipbatch.measure import labels, nearest, serial
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick


def test_they_are_those_of_brute_force():
    contents, vectors = world(n=70, dim=8)
    cosine = vectors[0].astype(float) @ vectors[0].T
    np.fill_diagonal(cosine, -2)
    near = nearest.of(serial.with_needed(labels.ANALYSIS, contents, vectors), 5)
    np.testing.assert_array_equal(near.neighbour, np.argsort(-cosine, axis=1)[:, :5])
    np.testing.assert_allclose(near.cosine, -np.sort(-cosine, axis=1)[:, :5], atol=1e-6)


def test_without_a_graph_nobody_has_neighbours():
    contents, _ = world(n=5)
    assert nearest.shared(contents) is None
    assert nearest.of(contents, 3).neighbour.shape == (5, 0)


def test_copies_are_told_by_pixels_and_by_cosine():
    contents, vectors = world(n=40, dim=8)
    pixels = contents.facts["pixel_id"].copy()
    pixels[1] = pixels[0]
    contents = replace(contents, facts=contents.facts | {"pixel_id": pixels})
    vectors[0][3] = vectors[0][2]
    near = nearest.of(serial.with_needed(labels.ANALYSIS, contents, vectors))
    told = nearest.copies(contents, near, 0.999)
    pairs = {(i, int(near.neighbour[i, j])) for i, j in zip(*np.nonzero(told), strict=True)}
    assert pairs == {(0, 1), (1, 0), (2, 3), (3, 2)}
