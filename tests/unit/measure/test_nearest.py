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


def silenced(contents, vectors, *, group=None):
    """Return pairs (content, neighbour) that do not vote, of a collection with a graph."""
    contents = serial.with_needed(labels.ANALYSIS, contents, vectors)
    if group is not None:
        duplicates = contents.found["duplicates"]
        told = replace(duplicates, per_content=dict(duplicates.per_content, copy_group=group))
        contents = replace(contents, found=dict(contents.found, duplicates=told))
    near = nearest.of(contents)
    silent = near.there & ~nearest.voters(contents, near, 0.999)
    return near, {(i, int(near.neighbour[i, j])) for i, j in zip(*np.nonzero(silent), strict=True)}


def test_a_picture_is_no_witness_of_itself():
    contents, vectors = world(n=40, dim=8)
    vectors[0][3] = vectors[0][2]
    _, silent = silenced(contents, vectors, group=np.arange(40))
    assert {(2, 3), (3, 2)} == silent


@pytest.mark.parametrize("told_by", ["pixels", "duplicates"])
def test_copies_have_one_vote_and_none_about_themselves(told_by):
    contents, vectors = world(n=40, dim=8)
    group = np.arange(40)
    if told_by == "pixels":
        pixels = contents.facts["pixel_id"].copy()
        pixels[1] = pixels[0]
        contents = replace(contents, facts=contents.facts | {"pixel_id": pixels})
    else:
        group[1] = 0
    near, silent = silenced(contents, vectors, group=group)
    assert {(0, 1), (1, 0)} <= silent
    rest = silent - {(0, 1), (1, 0)}
    assert len(rest) == 38  # everybody else hears one of the two, and does not hear the other
    for content, copy in rest:
        order = near.neighbour[content].tolist()
        assert copy in (0, 1)
        assert order.index(1 - copy) < order.index(copy)
