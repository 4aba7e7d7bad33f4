"""One drawing per kind of figure, as SVG that follows the page's light and dark themes."""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.errors import ContractBroken
from clipbatch.measure.base import Figure
from clipbatch.report import paper, svg
from clipbatch.report.text import number, shorten

Draw = Callable[[Any, Figure], None]


def draw(figure: Figure, prefix: str = "f") -> str:
    """Return an ``<svg>`` element; equal figures give equal text.

    Args:
        figure: what to draw; see ``measure.base.Figure`` for the data of each kind.
        prefix: of the ids inside, unique in the page.

    Raises:
        ContractBroken: an unknown kind, or data that the kind cannot read.
    """
    if figure.kind not in _KINDS:
        raise ContractBroken(
            f"figure {figure.title!r}: got kind {figure.kind!r}, expected one of: "
            f"{', '.join(sorted(_KINDS))}"
        )
    with paper.styled() as canvas:
        try:
            _KINDS[figure.kind](canvas, figure)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ContractBroken(
                f"figure {figure.title!r}: data of kind {figure.kind!r} cannot be read "
                f"({type(error).__name__}: {error}); see measure.base.Figure"
            ) from error
        paper.arrange(canvas)
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return svg.inline(buffer.getvalue(), prefix, shorten(figure.title, 200))


def _heatmap(canvas: Any, figure: Figure) -> None:
    z = np.atleast_2d(paper.floats(figure.data["z"]))
    rows, columns = paper.names(figure.data["rows"]), paper.names(figure.data["columns"])
    if np.isnan(z).all():
        return paper.nothing(canvas)
    if z.shape != (len(rows), len(columns)):
        raise ValueError(f"z has shape {z.shape}, names {(len(rows), len(columns))}")
    cell = float(np.clip(600 / max(z.shape), 6, 34))
    wide = max(map(len, rows)) * 6.5 + z.shape[1] * cell + 90
    canvas.set_size_inches(paper.inches(max(260, wide), max(170, 110 + z.shape[0] * cell)))
    axes = canvas.subplots()
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    image = axes.imshow(
        np.ma.masked_invalid(z), cmap="viridis", aspect="auto", interpolation="none"
    )
    step = math.ceil(11 / cell)
    axes.set_xticks(
        range(0, len(columns), step), columns[::step], rotation=90 if step > 1 else 45,
        ha="right", va="center" if step > 1 else "top", rotation_mode="anchor",
    )  # fmt: skip
    axes.set_yticks(range(0, len(rows), step), rows[::step])
    axes.tick_params(length=0, labelsize=8 if step > 1 else 11)
    paper.label(axes, figure)
    if max(z.shape) <= 16:
        _write_cells(axes, image, z)
    bar = canvas.colorbar(image, ax=axes, shrink=0.8, aspect=24, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=10)
    return None


def _write_cells(axes: Any, image: Any, z: NDArray[np.float64]) -> None:
    """Write each value into its cell, in black or white, whichever is read more easily."""
    whole = np.isnan(z) | (z == np.round(z))
    digits = 0 if whole.all() or np.nanmax(np.abs(z)) >= 10 else 2
    for (row, column), value in np.ndenumerate(z):
        if not np.isfinite(value):
            continue
        red, green, blue, _ = (channel**2.2 for channel in image.cmap(image.norm(value)))
        bright = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18  # equal contrast with both
        axes.text(
            column, row, f"{value:.{digits}f}", ha="center", va="center_baseline", fontsize=9,
            color="#0a0a0a" if bright else "#ffffff",
        )  # fmt: skip


def _bars(canvas: Any, figure: Figure) -> None:
    names, values = paper.names(figure.data["names"]), paper.floats(figure.data["values"])
    if len(names) != len(values):
        raise ValueError(f"{len(names)} names, {len(values)} values")
    if not len(values):
        return paper.nothing(canvas)
    each = float(np.clip(900 / len(values), 6, 22))
    canvas.set_size_inches(paper.inches(paper.WIDTH, 70 + each * len(values)))
    axes = canvas.subplots()
    at = np.arange(len(values))
    axes.barh(at, np.nan_to_num(values), height=0.72, color=svg.SERIES[0])
    low, high = (paper.floats(figure.data.get(end, values)) for end in ("low", "high"))
    if "low" in figure.data or "high" in figure.data:
        arms = np.nan_to_num([np.maximum(values - low, 0), np.maximum(high - values, 0)])
        axes.errorbar(
            np.nan_to_num(values), at, xerr=arms, fmt="none", ecolor=svg.INK, elinewidth=1.2,
            capsize=2.5,
        )  # fmt: skip
    step = math.ceil(11 / each)
    axes.set_yticks(at[::step], names[::step])
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(length=0, labelsize=8 if step > 1 else 11)
    if len(values) <= 40:
        reach = np.fmax(np.fmax(high, values), 0)
        for y, (value, x) in enumerate(zip(values, reach, strict=True)):
            shown = number(value) if np.isfinite(value) else "not known"
            axes.annotate(
                shown, (np.nan_to_num(x), y), xytext=(5, 0), textcoords="offset points",
                va="center", fontsize=10,
            )  # fmt: skip
        axes.margins(x=0.16)
    # The bars lie, so the y label tells the x axis; what the names are stands above them.
    paper.label(axes, replace(figure, x_label=figure.y_label, y_label=""))
    if figure.x_label:
        axes.set_title(shorten(figure.x_label, 50), loc="left", fontsize=11)
    return None


def _lines(canvas: Any, figure: Figure) -> None:
    series: Mapping[str, Any] = figure.data["series"]
    x, ticks = paper.positions(figure.data["x"])
    if not len(x) or not series:
        return paper.nothing(canvas)
    axes = canvas.subplots()
    ends = figure.data.get("low") or {}, figure.data.get("high") or {}
    for n, (name, values) in enumerate(series.items()):
        colour, marker = paper.look(n)
        axes.plot(
            x, paper.floats(values), paper.DASHES[n % 4], color=colour, marker=marker, markersize=4,
            linewidth=1.8, label=paper.legend_name(name, n, len(series)),
        )  # fmt: skip
        if all(name in end for end in ends):
            low, high = (paper.floats(end[name]) for end in ends)
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    if ticks:
        long = max(map(len, ticks)) > 5
        axes.set_xticks(
            x, ticks, rotation=30 if long else 0, ha="right" if long else "center",
            rotation_mode="anchor",
        )  # fmt: skip
    paper.label(axes, figure)
    paper.legend(canvas)
    return None


def _scatter(canvas: Any, figure: Figure) -> None:
    x, y = paper.floats(figure.data["x"]), paper.floats(figure.data["y"])
    group = [str(name) for name in figure.data.get("group", [""] * len(x))]
    if not len(x) == len(y) == len(group):
        raise ValueError(f"{len(x)} x, {len(y)} y, {len(group)} groups")
    if not len(x):
        return paper.nothing(canvas)
    kept = paper.evenly(len(x))
    canvas.set_size_inches(paper.inches(paper.WIDTH, 380))
    axes = canvas.subplots()
    names = sorted(set(group), key=paper.by_number)
    for n, name in enumerate(names):
        mine = kept[[group[i] == name for i in kept]]
        colour, marker = paper.look(n)
        axes.plot(
            x[mine], y[mine], marker, color=colour, markersize=4, alpha=0.75, markeredgewidth=0,
            label=paper.legend_name(name, n, len(names)) if name else paper.UNNAMED,
        )  # fmt: skip
    paper.label(axes, figure, drawn=(len(kept), len(x)))
    paper.legend(canvas)
    return None


def _histogram(canvas: Any, figure: Figure) -> None:
    edges, counts = paper.floats(figure.data["edges"]), paper.floats(figure.data["counts"])
    if not len(counts):
        return paper.nothing(canvas)
    if edges[0] == edges[-1]:  # all values are equal: one bar around them
        edges, counts = edges[0] + np.array([-0.5, 0.5]), counts.sum(keepdims=True)
    axes = canvas.subplots()
    axes.stairs(counts, edges, fill=True, color=svg.SERIES[0])
    positive = counts[counts > 0]
    note = ""
    # On a linear scale the tail, which is what one looks for, could not be seen.
    if len(positive) and positive.max() > 300 * np.median(positive):
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5)
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
        axes.yaxis.set_minor_formatter("")
        note = "logarithmic"
    else:
        axes.set_ylim(0, max(1.0, 1.05 * float(np.nanmax(counts))))
    axes.grid(visible=False, axis="x")
    paper.label(axes, figure, y_note=note)
    return None


def _diagram(canvas: Any, figure: Figure) -> None:
    births, deaths = figure.data["births"], figure.data["deaths"]
    points = {name: (paper.floats(births[name]), paper.floats(deaths[name])) for name in births}
    total = sum(len(birth) for birth, _ in points.values())
    if not total:
        return paper.nothing(canvas)
    canvas.set_size_inches(paper.inches(paper.WIDTH, 400))
    axes = canvas.subplots()
    known = np.concatenate([part[np.isfinite(part)] for pair in points.values() for part in pair])
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    pad = 0.05 * (high - low) or 0.5
    ends = (low - pad, high + pad)
    axes.plot(ends, ends, color=svg.INK, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.6)
    drawn = 0
    for n, (name, (birth, death)) in enumerate(points.items()):
        kept = np.argsort(birth - death, kind="stable")[: max(50, paper.POINTS // len(points))]
        colour, marker = paper.look(n)
        shown = np.where(np.isnan(death), ends[1], death)[kept]
        axes.plot(
            birth[kept], shown, marker, color=colour, markersize=4.5, alpha=0.7,
            markeredgewidth=0, label=paper.legend_name(name, n, len(points)),
        )  # fmt: skip
        drawn += len(kept)
    if any(not np.isfinite(death).all() for _, death in points.values()):
        axes.axhline(ends[1], color=svg.INK, linewidth=0.9, linestyle=":")
        axes.annotate("never dies", (ends[0], ends[1]), xytext=(3, -11), fontsize=9,
                      textcoords="offset points")  # fmt: skip
    axes.set_xlim(*ends)
    axes.set_ylim(ends[0], ends[1] + pad / 2)
    paper.label(axes, figure, drawn=(drawn, total))
    paper.legend(canvas)
    return None


_KINDS: Final[Mapping[str, Draw]] = {
    "heatmap": _heatmap,
    "bars": _bars,
    "lines": _lines,
    "scatter": _scatter,
    "histogram": _histogram,
    "diagram": _diagram,
}
