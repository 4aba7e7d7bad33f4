"""Laws of what figures share: names that are told apart, gaps, and settings put back."""

import matplotlib as mpl
import numpy as np
import pytest

from clipbatch.report import paper, svg

pytestmark = pytest.mark.quick


def test_series_look_different_from_each_other():
    assert len({paper.look(n) for n in range(len(svg.SERIES) ** 2)}) == len(svg.SERIES) ** 2


def test_settings_are_ours_inside_and_put_back_outside():
    with mpl.rc_context({"font.size": 31.0}):
        before = dict(mpl.rcParams)
        with paper.styled():
            assert mpl.rcParams["font.size"] != 31.0
            assert mpl.rcParams["svg.fonttype"] == "none"
        assert dict(mpl.rcParams) == before


def test_settings_are_put_back_after_an_error():
    before = dict(mpl.rcParams)
    with pytest.raises(ZeroDivisionError), paper.styled():
        _ = 1 / 0
    assert dict(mpl.rcParams) == before


def test_what_is_not_finite_is_a_gap():
    assert np.isnan(paper.floats([None, float("inf"), float("nan")])).all()
    assert paper.floats([1, 2.5]).tolist() == [1, 2.5]


def test_points_are_taken_evenly_and_include_both_ends():
    kept = paper.evenly(100_000)
    assert len(kept) == paper.POINTS
    assert (kept[0], kept[-1]) == (0, 99_999)
    assert np.ptp(np.diff(kept)) <= 1
    assert paper.evenly(5).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", [1, paper.LEGEND, paper.LEGEND + 1, paper.LEGEND + 9])
def test_a_long_legend_counts_what_it_leaves_out(count):
    told = [paper.legend_name(f"class {n}", n, count) for n in range(count)]
    shown = [name for name in told if name != paper.UNNAMED]
    assert len(shown) <= paper.LEGEND + 1
    if len(shown) < count:
        assert shown[-1] == f"and {count - paper.LEGEND} more"
    else:
        assert shown == [f"class {n}" for n in range(count)]


def test_a_name_with_an_underscore_is_in_the_legend():
    assert paper.legend_name("_train", 0, 2) != paper.UNNAMED
    assert not paper.legend_name("_train", 0, 2).startswith("_")


def test_text_on_an_axis_becomes_names():
    at, names = paper.positions(["clean", "noise"])
    assert (at.tolist(), names) == ([0, 1], ["clean", "noise"])


def test_a_few_numbers_that_lie_apart_are_named_and_others_are_not():
    assert paper.positions([0, 0.5, 2])[1] == ["0", "0.5", "2"]
    for crowded in ([1], [1, 1], [1, 1.01, 5], list(range(40)), [1, None, 2]):
        assert paper.positions(crowded)[1] == []
