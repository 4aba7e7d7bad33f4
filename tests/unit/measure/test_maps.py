"""Maps come from the shared graph, say how faithful they are, and leave out what is too large."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from clipbatch.errors import ConfigError
from clipbatch.measure import maps, maps_finding, serial
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick


@cache
def ready(classes=3, n=120):
    """Make a world, with the graph and the clusters that maps need."""
    contents, vectors = world(n=n, dim=12, classes=classes, variants=(0, 500, 2000), spread=0.4)
    return serial.with_needed(maps.ANALYSIS, contents, vectors), vectors


@cache
def answered():
    return serial.run(maps.ANALYSIS, *ready(), maps.MapsParams(noise_sample=30))


def test_classes_that_lie_apart_lie_apart_on_every_map():
    contents, _ = ready()
    for name in ("umap_2", "umap_3", "tsne_2"):
        spots = answered().per_content[name]
        distance = np.linalg.norm(spots[:, None] - spots[None], axis=2)
        np.fill_diagonal(distance, np.inf)
        assert (contents.label[distance.argmin(axis=1)] == contents.label).mean() > 0.95


def test_every_map_says_how_faithful_it_is_and_prints_it():
    numbers = {number.name: number for number in answered().numbers}
    for name in ("umap_2", "umap_3", "tsne_2", "tsne_3", "noise_umap_2", "noise_tsne_3"):
        recall = numbers[f"{name}_recall"]
        assert 0 <= recall.low <= recall.value <= recall.high <= 1
        assert "by chance" in recall.note
        assert 0 < numbers[f"{name}_trustworthiness"].value <= 1
    assert all("neighbour recall" in figure.title for figure in answered().figures)


def test_no_distance_is_computed_again():
    """Another graph gives another map, though the vectors are the same."""
    contents, vectors = ready()
    unit = next(u for u in maps.plan(contents, maps.MapsParams()) if u.key == "umap;2")
    inputs = serial.inputs_for(maps.ANALYSIS, unit, contents, vectors)
    found = maps.compute(inputs, unit, maps.MapsParams())["coordinates"]
    shuffled = np.random.default_rng(1).permuted(unit.arguments["neighbour"], axis=0)
    other = replace(unit, arguments={**unit.arguments, "neighbour": shuffled})
    assert not np.allclose(maps.compute(inputs, other, maps.MapsParams())["coordinates"], found)


def test_views_are_class_split_cluster_and_noise():
    titles = [figure.title.partition(":")[0] for figure in answered().figures]
    for method in ("UMAP", "t-SNE"):
        views = [title for title in titles if title.startswith(f"{method} in 2 dimensions, by")]
        assert [title.rpartition("by ")[2] for title in views] == ["class", "split", "cluster"]
        deep = [t for t in titles if t.startswith(f"{method} in 3 dimensions, by ")]
        assert [title.rpartition("by ")[2] for title in deep] == ["class", "split", "cluster"]
        assert f"{method} in 3 dimensions, from the side, by class" in titles
    for noise in answered().figures[-4:]:
        assert sorted(set(noise.data["group"])) == ["clean", "noise 0.5", "noise 2"]


def test_a_place_on_a_noise_map_is_the_content_s_own():
    contents, vectors = ready()
    params = maps.MapsParams(methods=("umap",), dims=(2,))
    unit = next(u for u in maps.plan(contents, params) if u.key.startswith(maps.NOISE))
    inputs = serial.inputs_for(maps.ANALYSIS, unit, contents, vectors)
    laid = maps.compute(inputs, unit, params)["coordinates"]
    spots = serial.run(maps.ANALYSIS, contents, vectors, params).per_content["noise_umap_2"]
    for place, variant in enumerate(sorted(contents.variants)):
        start = place * len(unit.rows)
        here = laid[start : start + len(unit.rows)]
        assert np.array_equal(spots[unit.rows, place], here), variant


def test_no_more_classes_are_drawn_than_can_be_told_apart():
    contents, vectors = ready(classes=20)
    params = maps.MapsParams(methods=("tsne",), dims=(2,), noise_sample=0)
    finding = serial.run(maps.ANALYSIS, contents, vectors, params)
    by_class = next(f for f in finding.figures if "by class" in f.title)
    drawn = set(by_class.data["group"])
    assert len(drawn) == 15
    assert drawn == set(maps_finding.chosen_classes(contents, 15))
    assert any("15 of 20 classes" in note for note in finding.notes)


def test_a_collection_that_is_too_large_for_a_method_is_told():
    contents, vectors = ready()
    finding = serial.run(
        maps.ANALYSIS, contents, vectors, maps.MapsParams(tsne_rows=100, noise_sample=10)
    )
    assert "tsne_2" not in finding.per_content
    assert {"umap_2", "umap_3", "noise_tsne_2"} <= set(finding.per_content)
    assert any("tsne_rows = 100" in note for note in finding.notes)


def test_a_graph_of_few_neighbours_lowers_the_perplexity_and_says_so():
    contents, vectors = ready(n=40)
    params = maps.MapsParams(methods=("tsne",), dims=(2,), noise_sample=0)
    assert any(
        "perplexity" in n for n in serial.run(maps.ANALYSIS, contents, vectors, params).notes
    )


def test_a_zero_vector_has_no_place_and_the_others_have():
    contents, vectors = world(n=60, dim=12, classes=3, variants=(0,), spread=0.4)
    vectors[0][[5, 40]] = 0
    finding = serial.run(maps.ANALYSIS, contents, vectors, maps.MapsParams(dims=(2,)))
    for spots in finding.per_content.values():
        assert np.flatnonzero(np.isnan(spots).any(axis=1)).tolist() == [5, 40]
    assert any("2 contents whose vectors are zero" in note for note in finding.notes)


def test_lengths_of_vectors_do_not_move_the_map_of_noise():
    contents, vectors = ready()
    params = maps.MapsParams(methods=("umap",), dims=(2,))
    unit = next(unit for unit in maps.plan(contents, params) if unit.key.startswith(maps.NOISE))
    inputs = serial.inputs_for(maps.ANALYSIS, unit, contents, vectors)
    length = np.random.default_rng(0).uniform(1, 9, (len(unit.rows), 1)).astype(np.float32)
    longer = replace(inputs, vectors={v: rows * length for v, rows in inputs.vectors.items()})
    kept = [maps.compute(given, unit, params)["recall"].mean() for given in (inputs, longer)]
    assert kept[1] > 0.7 * kept[0]


@pytest.mark.parametrize(
    "wrong",
    [{"methods": ()}, {"methods": ("pca",)}, {"dims": (4,)}, {"nearest": 1}, {"judged": 3}],
)
def test_parameters_without_sense_are_refused(wrong):
    with pytest.raises(ConfigError, match=r"measure\.maps"):
        maps.MapsParams(**wrong)
