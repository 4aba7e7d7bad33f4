"""Laws of figures: every kind draws anything its data may hold, the same every time, safely."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from clipbatch.errors import ContractBroken
from clipbatch.measure.base import Figure
from clipbatch.report import paper
from clipbatch.report.figures import draw
from tests.unit.report import examples

pytestmark = pytest.mark.quick

NAMES = [f"class {n:03}" for n in range(120)]
LABELS = list(examples.HOSTILE)
COUNT = len(LABELS)
NOTHING = "Nothing to draw: there are no values."
EMPTY = [
    ("heatmap", {"z": [], "rows": [], "columns": []}),
    ("heatmap", {"z": [[None, None]], "rows": ["a"], "columns": ["b", "c"]}),
    ("bars", {"names": [], "values": []}),
    ("lines", {"x": [], "series": {}}),
    ("lines", {"x": [1], "series": {}}),
    ("scatter", {"x": [], "y": []}),
    ("histogram", {"edges": [], "counts": []}),
    ("diagram", {"births": {}, "deaths": {}}),
    ("diagram", {"births": {"H1": []}, "deaths": {"H1": []}}),
]
FULL = [
    ("heatmap", {"z": [[1.0]], "rows": ["a"], "columns": ["b"]}),
    ("heatmap", {"z": [[5, 5], [5, 5]], "rows": ["a", "b"], "columns": ["c", "d"]}),
    ("heatmap", {"z": [[None, 1], [float("inf"), -2]], "rows": ["a", "b"], "columns": ["c", "d"]}),
    ("heatmap", {"z": np.eye(120).tolist(), "rows": NAMES, "columns": NAMES}),
    ("heatmap", {"z": np.ones((COUNT, 1)), "rows": LABELS, "columns": ["x"]}),
    ("bars", {"names": ["a"], "values": [0]}),
    ("bars", {"names": ["a", "b", "c"], "values": [-1, None, 2], "low": [-2, None, 1]}),
    ("bars", {"names": NAMES, "values": list(range(120))}),
    ("bars", {"names": LABELS, "values": [3] * COUNT, "low": [2] * COUNT, "high": [4] * COUNT}),
    ("lines", {"x": [1], "series": {"a": [1]}}),
    ("lines", {"x": LABELS, "series": {"a": [1.0] * COUNT}}),
    ("lines", {"x": [1, 2], "series": {label: [1, None] for label in LABELS}}),
    ("lines", {"x": [1, 2], "series": {"a": [1, 2]}, "low": {"a": [0, 1]}, "high": {"a": [2, 3]}}),
    ("scatter", {"x": [1], "y": [1]}),
    ("scatter", {"x": [1] * COUNT, "y": [1] * COUNT, "group": LABELS}),
    ("scatter", {"x": [1, None], "y": [1, 2], "group": [0, 1]}),
    ("histogram", {"edges": [0, 1, 2], "counts": [0, 0]}),
    ("histogram", {"edges": [1, 1], "counts": [5]}),
    ("histogram", {"edges": list(range(11)), "counts": [90_000, 90, 9, 8, 7, 5, 3, 1, 1, 1]}),
    ("diagram", {"births": {"H0": [0]}, "deaths": {"H0": [0]}}),
    ("diagram", {"births": {"H0": [0, 0]}, "deaths": {"H0": [0.5, None]}}),
    ("diagram", {"births": {"H0": [0]}, "deaths": {"H0": [None]}}),
]
MALFORMED = [
    ("pie", {}),
    ("heatmap", {}),
    ("heatmap", {"z": [[1, 2]], "rows": ["a"], "columns": ["b"]}),
    ("heatmap", {"z": [[1], [1, 2]], "rows": ["a", "b"], "columns": ["c"]}),
    ("bars", {"names": ["a"], "values": [1, 2]}),
    ("bars", {"names": ["a"], "values": ["high"]}),
    ("lines", {"x": [1, 2], "series": {"a": [1]}}),
    ("lines", {"x": [1, 2], "series": [1, 2]}),
    ("scatter", {"x": [1], "y": [1, 2]}),
    ("scatter", {"x": [1], "y": [1], "group": ["a", "b"]}),
    ("histogram", {"edges": [0, 1], "counts": [1, 2]}),
    ("diagram", {"births": {"H0": [1]}, "deaths": {}}),
    ("diagram", {"births": {"H0": [1]}, "deaths": {"H0": [1, 2]}}),
]


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter("text")]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("kind", "data"), FULL, ids=[kind for kind, _ in FULL])
def test_every_kind_draws(kind, data):
    svg = draw(Figure(kind, "title", data, "x", "y"))
    assert NOTHING not in texts(svg)
    assert not re.search("<script|<style|<img|javascript:|http", svg)
    for link in re.findall(r'href="([^"]*)"', svg):
        assert link.startswith(("#", "data:image/png;base64,"))
    for element in ET.fromstring(svg).iter():
        assert not any(name.startswith("on") for name in element.attrib)
        assert "nan" not in element.get("d", "") + element.get("x", "") + element.get("y", "")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("kind", "data"), EMPTY)
def test_nothing_is_said_to_be_nothing(kind, data):
    assert texts(draw(Figure(kind, "title", data))) == [NOTHING]


@pytest.mark.parametrize(("kind", "data"), MALFORMED)
def test_data_of_another_shape_is_refused_by_title(kind, data):
    with pytest.raises(ContractBroken, match="'the title'"):
        draw(Figure(kind, "the title", data))


def test_equal_figures_give_equal_text():
    figures = {f.kind: f for finding in examples.findings().values() for f in finding.figures}
    assert len(figures) == 6
    for figure in figures.values():
        assert draw(figure) == draw(figure)


def test_ids_of_two_figures_in_one_page_differ():
    figure = Figure("scatter", "t", {"x": [1], "y": [1]})
    first, second = (set(re.findall(r' id="([^"]*)"', draw(figure, p))) for p in ("a-", "b-"))
    assert first
    assert not first & second


def test_labels_are_shown_as_they_are():
    labels = ["<b>bold</b>", "$x^2$", "R&D", "_hidden", "日本語"]
    bars = draw(Figure("bars", "t", {"names": labels, "values": [1] * 5}))
    assert set(labels) <= set(texts(bars))
    lines = draw(Figure("lines", "t", {"x": [1], "series": {label: [1] for label in labels}}))
    assert set(labels) <= {text.strip("\u200a") for text in texts(lines)}


def test_lying_bars_keep_their_labels_with_their_axes():
    figure = Figure("bars", "t", {"names": ["a"], "values": [7]}, x_label="class", y_label="size")
    places = {e.text: e for e in ET.fromstring(draw(figure)).iter("text")}
    top, bottom = (float(places[text].get("y")) for text in ("class", "size"))
    assert top < float(places["a"].get("y")) < bottom
    assert float(places["a"].get("x")) < float(places["7"].get("x"))


def test_a_logarithmic_axis_is_told_and_readable():
    data = {"edges": [0, 1, 2, 3], "counts": [100_000, 10, 1]}
    shown = texts(draw(Figure("histogram", "t", data, "cosine", "pairs")))
    assert "pairs (logarithmic)" in shown
    assert "10,000" in shown
    assert not [text for text in shown if "$" in text]


def test_points_left_out_are_counted():
    many = np.linspace(0, 1, 4 * paper.POINTS).tolist()
    scatter = draw(Figure("scatter", "t", {"x": many, "y": many}))
    assert scatter.count("<use") < 1.2 * paper.POINTS
    assert f"{paper.POINTS:,} of {4 * paper.POINTS:,} points are drawn" in texts(scatter)
    diagram = draw(Figure("diagram", "t", {"births": {"H1": many}, "deaths": {"H1": many}}))
    assert f"{paper.POINTS:,} of {4 * paper.POINTS:,} points are drawn" in texts(diagram)


def test_a_diagram_keeps_the_longest_lived():
    births = np.zeros(3 * paper.POINTS)
    deaths = np.full(3 * paper.POINTS, 0.01)
    deaths[-1] = 1.0
    with_it = draw(Figure("diagram", "t", {"births": {"H": births}, "deaths": {"H": deaths}}))
    heights = {use.get("y") for use in ET.fromstring(with_it).iter("use") if use.get("y")}
    deaths[-1] = 0.01
    without = draw(Figure("diagram", "t", {"births": {"H": births}, "deaths": {"H": deaths}}))
    assert heights - {use.get("y") for use in ET.fromstring(without).iter("use")}


def test_no_window_system_and_no_global_figures():
    program = (
        "import sys; from clipbatch.report import audit, gate, junit, page; "
        "heavy = {'matplotlib', 'jinja2', 'PIL', 'ray', 'torch', 'lance'} & set(sys.modules); "
        "assert not heavy, heavy; "
        "from clipbatch.report.figures import draw; from clipbatch.measure.base import Figure; "
        "draw(Figure('bars', 't', {'names': ['a'], 'values': [1]})); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_groups_stand_in_the_order_of_their_numbers():
    group = [f"cluster {n}" for n in (10, 9, 2, 10)]
    figure = Figure("scatter", "t", {"x": [1, 2, 3, 4], "y": [1, 2, 3, 4], "group": group})
    named = [text for text in texts(draw(figure)) if text.startswith("cluster")]
    assert named == ["cluster 2", "cluster 9", "cluster 10"]


def test_any_names_have_one_order():
    names = ["9" * 5000, "10", "9", "09", "a1", "a01", "1a", "", "-3", "\u0663"]
    backwards = names[::-1]
    assert sorted(names, key=paper.by_number) == sorted(backwards, key=paper.by_number)
    figure = Figure("scatter", "t", {"x": [1] * 10, "y": [1] * 10, "group": names})
    assert draw(figure)
