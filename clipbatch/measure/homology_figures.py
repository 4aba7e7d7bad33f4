"""Pictures of diagrams, and of how far noise moves them."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import diagrams, repeats
from clipbatch.measure.base import Figure
from clipbatch.measure.homology_summary import NULL, Summary
from clipbatch.measure.repeats import CLEAN

Array = NDArray[np.float64]

METRIC: Final = "wasserstein"  # drawn; the bottleneck distance is in the tables
BARS: Final = 60  # classes in a figure; more cannot be read
POINTS: Final = 500  # bars of a diagram in a figure: the longest


def figures(whole: Summary, classes: Sequence[Summary]) -> tuple[Figure, ...]:
    """Draw the diagrams of one repeat, and distances against level and class."""
    drawn = [_diagram(whole, dim) for dim in whole.dims]
    if whole.measured and whole.noisy:
        drawn += [_against_level(whole, dim) for dim in whole.dims]
        if classes:
            drawn += [_by_class(classes, dim) for dim in whole.dims]
    return tuple(drawn)


def _level(variant: int) -> str:
    return f"level {variant / 1000:g}" if variant else "clean"


def _diagram(whole: Summary, dim: int) -> Figure:
    clouds = {_level(v): str(v) for v in (CLEAN, *whole.noisy)} | {"featureless": NULL}
    births, deaths = {}, {}
    for name, cloud in clouds.items():
        bars = whole.diagram(dim, cloud)
        longest = np.sort(np.argsort(-diagrams.lifetimes(bars), kind="stable")[:POINTS])
        births[name], deaths[name] = np.round(bars[longest], 5).T.tolist()
    return Figure(
        "diagram",
        f"H{dim} of one subsample of {whole.size} points (at most {POINTS} longest bars a cloud)",
        {"births": births, "deaths": deaths},
        "birth (distance)",
        "death (distance)",
    )


def _against_level(whole: Summary, dim: int) -> Figure:
    variants = (CLEAN, *whole.noisy)
    floor, null = whole.floor(METRIC, dim), whole.null(METRIC, dim)
    lines: dict[str, list[Array]] = {
        "paired: the same contents": [whole.paired(METRIC, dim, v) for v in variants],
        "disjoint: other contents": [whole.disjoint(METRIC, dim, v) for v in variants],
        "floor: clean against clean": [floor] * len(variants),
        "null: clean against featureless": [null] * len(variants),
    }

    def at(percentile: float) -> dict[str, list[float]]:
        return {
            name: [round(float(np.percentile(v, percentile)), 5) for v in values]
            for name, values in lines.items()
        }

    return Figure(
        "lines",
        f"Wasserstein distance of H{dim}, clean against noisy, whole collection",
        {
            "x": [v / 1000 for v in variants],
            "series": at(50),
            "low": at(repeats.LOW),
            "high": at(repeats.HIGH),
        },
        "noise level",
        "Wasserstein distance (p = 1)",
    )


def _by_class(classes: Sequence[Summary], dim: int) -> Figure:
    variant = classes[0].noisy[-1]

    def median(one: Summary) -> float:
        return float(np.median(one.disjoint(METRIC, dim, variant)))

    order: Callable[[Summary], float] = median
    shown = sorted(classes, key=order, reverse=True)[:BARS]
    moved = np.stack([one.disjoint(METRIC, dim, variant) for one in shown])
    low, middle, high = np.percentile(moved, [repeats.LOW, 50, repeats.HIGH], axis=1)
    floor = np.median([one.floor(METRIC, dim) for one in shown])
    return Figure(
        "bars",
        f"How far {_level(variant)} moves H{dim} of each class (other contents; "
        f"median floor {floor:.3g})",
        {
            "names": [one.name for one in shown],
            "values": np.round(middle, 5).tolist(),
            "low": np.round(low, 5).tolist(),
            "high": np.round(high, 5).tolist(),
        },
        "class",
        "Wasserstein distance (p = 1)",
    )
