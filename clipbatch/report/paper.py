"""What all figures share: the style, colours and markers, labels that fit, numbers with gaps."""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure.base import Figure
from clipbatch.report import svg
from clipbatch.report.text import number, shorten

POINTS: Final = 1_500  # drawn in one figure; beyond it, evenly chosen, and the axis says so
NAME: Final = 22  # characters of a name in a figure
LEGEND_NAME: Final = 40  # characters of a name in a legend
LEGEND: Final = 16  # names in a legend; the rest are counted
WIDTH: Final = 440  # pixels; two figures stand side by side on a screen
DPI: Final = 72  # of SVG, so that what was measured is what is drawn

UNNAMED: Final = "_"  # Matplotlib leaves it out of the legend

_DIGITS: Final = re.compile("([0-9]+)")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
DASHES: Final = ("-", "--", "-.", ":")
_STYLE: Final[dict[str, Any]] = {
    "svg.fonttype": "none",  # text stays text: selectable, and in the reader's fonts
    "svg.hashsalt": "clipbatch",  # ids depend on what is drawn, not on when
    "text.parse_math": False,  # a label may hold a dollar sign
    "font.size": 12,
    "text.color": svg.INK,
    "axes.edgecolor": svg.GRID,
    "axes.labelcolor": svg.INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": svg.GRID,
    "grid.linewidth": 0.7,
    "xtick.color": svg.GRID,
    "ytick.color": svg.GRID,
    "xtick.labelcolor": svg.INK,
    "ytick.labelcolor": svg.INK,
    "legend.frameon": False,
    "legend.fontsize": 11,
}


@contextmanager
def styled() -> Iterator[Any]:
    """Give an empty canvas; Matplotlib's settings are put back afterwards."""
    import warnings

    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context(), warnings.catch_warnings():
        # The reader's browser has the glyphs that Matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message=".*missing from font.*")
        mpl.rcdefaults()
        settings: Any = mpl.rcParams
        settings.update(_STYLE)
        yield Canvas(figsize=inches(WIDTH, 300), dpi=DPI, layout="constrained")


def arrange(canvas: Any) -> None:
    """Give everything its place, once: ``savefig`` with a layout engine would draw it all twice."""
    if canvas.axes:
        canvas.get_layout_engine().execute(canvas)
    canvas.set_layout_engine("none")


def nothing(canvas: Any) -> None:
    """Say that a figure has no values, instead of drawing empty axes."""
    canvas.set_size_inches(inches(WIDTH, 80))
    canvas.text(0.5, 0.5, "Nothing to draw: there are no values.", ha="center", va="center")


def label(axes: Any, figure: Figure, drawn: tuple[int, int] = (0, 0), y_note: str = "") -> None:
    """Name the axes; ``drawn`` = (points drawn, points there are) is told where they differ."""
    x_label = shorten(figure.x_label, 70)
    if drawn[0] < drawn[1]:
        x_label += f"\n{number(drawn[0])} of {number(drawn[1])} points are drawn"
    y_label = shorten(figure.y_label, 50)
    axes.set_xlabel(x_label.strip())
    axes.set_ylabel(f"{y_label} ({y_note})" if y_note else y_label)


def legend(canvas: Any) -> None:
    """Put the names of the series below the axes, in as many columns as fit."""
    told = canvas.axes[0].get_legend_handles_labels()[1]
    if told:
        fitting = int(WIDTH // (45 + 6.5 * max(map(len, told))))
        columns = min(max(1, fitting), len(told))
        width, height = canvas.get_size_inches()
        canvas.set_size_inches(width, height + inches(0, 17 * math.ceil(len(told) / columns))[1])
        canvas.legend(
            loc="outside lower center", ncols=columns, columnspacing=1.2,
            handlelength=1.8, markerscale=1.3,
        )  # fmt: skip


def legend_name(name: str, n: int, count: int) -> str:
    """Return the n-th of ``count`` names for the legend; beyond ``LEGEND`` they are counted."""
    if n >= LEGEND and count > LEGEND + 1:
        return f"and {count - LEGEND} more" if n == LEGEND else UNNAMED
    shown = shorten(name, LEGEND_NAME)
    # A hair space, since Matplotlib hides names that begin with an underscore.
    return f"\u200a{shown}" if shown.startswith("_") else shown


def by_number(name: str) -> list[Any]:
    """Return a key that sorts "cluster 9" before "cluster 10"; no two names have the same.

    Digits are compared as text, the shorter first: a label may hold more than ``int`` reads.
    """
    parts: list[Any] = _DIGITS.split(name)
    parts[1::2] = [(len(d.lstrip("0")), d.lstrip("0"), d) for d in parts[1::2]]
    return parts


def look(n: int) -> tuple[str, str]:
    """Colour and marker of the n-th series: no two of the first 49 share both."""
    colours = len(svg.SERIES)
    return svg.SERIES[n % colours], _MARKERS[(n + n // colours) % len(_MARKERS)]


def evenly(count: int) -> NDArray[np.int64]:
    """Return at most ``POINTS`` of ``count`` positions, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(np.int64))


def positions(x: Sequence[Any]) -> tuple[NDArray[np.float64], list[str]]:
    """Return positions on the x axis and their names; no names where ticks of any value will do.

    Text is named, and so are a few numbers that lie apart (noise levels, numbers of clusters).
    """
    if any(isinstance(value, str) for value in x):
        return np.arange(len(x), dtype=np.float64), names(x)
    at = floats(x)
    gaps = np.diff(np.unique(at[np.isfinite(at)]))
    few = len(gaps) == len(at) - 1 and len(gaps) > 0 and gaps.min() >= 0.06 * gaps.sum()
    return at, [number(value) for value in at.tolist()] if few else []


def floats(values: Any) -> NDArray[np.float64]:
    """Return numbers as an array; None and infinity become NaN, which is drawn as a gap."""
    found = np.array(values, dtype=np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def names(values: Sequence[Any]) -> list[str]:
    """Return names as they fit into a figure."""
    return [shorten(value, NAME) for value in values]


def inches(width: float, height: float) -> tuple[float, float]:
    """Return a size in pixels as Matplotlib wants it: one unit of the SVG is one pixel."""
    return width / DPI, height / DPI
