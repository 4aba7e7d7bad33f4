"""Tables of diagrams: their shapes and distances by level and by class, and back to arrays."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import repeats
from clipbatch.measure.base import Finding, Table
from clipbatch.measure.homology_summary import METRICS, NULL, SHAPES, Summary
from clipbatch.measure.repeats import CLEAN, rounded

Columns = dict[str, list[Any]]

DIGITS: Final = 6  # ranks are taken of these cells: rounding must not tie them


def tables(whole: Summary, classes: Sequence[Summary]) -> tuple[Table, ...]:
    """Tell the shapes of the whole collection, its distances, and both for every class."""
    found = [_shape(whole, dim) for dim in whole.dims]
    if whole.measured:
        columns: Columns = {"level": [v / 1000 for v in (CLEAN, *whole.noisy)]}
        for v in (CLEAN, *whole.noisy):
            _distances(columns, whole, v)
        found.append(
            Table("Distance from clean, whole collection, by level; level 0 is the floor", columns)
        )
    return (*found, *([_classes(classes)] if classes else []))


def _shape(whole: Summary, dim: int) -> Table:
    columns: Columns = {"level": []}
    for cloud in (*map(str, (CLEAN, *whole.noisy)), NULL):
        columns["level"].append("featureless" if cloud == NULL else f"{int(cloud) / 1000:g}")
        for name in SHAPES:
            _add(columns, name, repeats.spread(whole.shape(name, dim, cloud))[0])
        _add(columns, "scale", repeats.spread(whole.scale(cloud))[0])
    return Table(f"H{dim} of the whole collection, {whole.size} points a cloud: medians", columns)


def _add(columns: Columns, name: str, value: float | None) -> None:
    columns.setdefault(name, []).append(rounded(value, DIGITS))


def _distances(columns: Columns, one: Summary, variant: int) -> None:
    """Append the medians of one level, and the spread of the distance that has a floor."""
    for dim in one.dims:
        for metric in METRICS:
            paired = repeats.spread(one.paired(metric, dim, variant))[0]
            _add(columns, f"h{dim}_{metric}_paired", paired)
            values = repeats.spread(one.disjoint(metric, dim, variant))
            for end, value in zip(("", "_low", "_high"), values, strict=True):
                if not end or metric == "wasserstein":
                    _add(columns, f"h{dim}_{metric}_disjoint{end}", value)


def _classes(classes: Sequence[Summary]) -> Table:
    columns: Columns = {"class": [], "level": []}
    for one in classes:
        for v in (CLEAN, *one.noisy):
            columns["class"].append(one.name)
            columns["level"].append(v / 1000)
            for dim in one.dims:
                for name in ("total", "longest", "entropy"):
                    median = repeats.spread(one.shape(name, dim, str(v)))[0]
                    _add(columns, f"h{dim}_{name}", median)
            if one.measured:
                _distances(columns, one, v)
    title = f"Classes by level, {classes[0].size} points a cloud; level 0 is the floor"
    return Table(title, columns)


def paired_by_class(finding: Finding, metric: str, dim: int) -> dict[tuple[str, int], float]:
    """How far does noise move the diagram of each class? (class, variant) -> distance.

    Args:
        finding: of the homology analysis.
        metric: one of ``METRICS``.
        dim: of homology.

    Returns:
        Medians over the repeats, clean against noisy of the same contents; empty where classes or
        distances were not asked for.
    """
    column = f"h{dim}_{metric}_paired"
    for table in finding.tables:
        if {"class", "level", column} <= table.columns.keys():
            variants: NDArray[np.float64] = np.round(1000 * np.array(table.columns["level"], float))
            cells = zip(table.columns["class"], variants, table.columns[column], strict=True)
            return {(name, int(v)): value for name, v, value in cells if v and value is not None}
    return {}
