"""From the diagrams of all scopes to numbers, tables and figures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import repeats
from clipbatch.measure.base import Finding, Number, Table
from clipbatch.measure.homology_figures import figures
from clipbatch.measure.homology_summary import METRICS, NULL, Summary
from clipbatch.measure.repeats import CLEAN, rounded

Array = NDArray[np.float64]

MEANING: Final = (
    "H0 bars are components that merge, H1 bars loops that fill in; a bar's length is how long it "
    "lasts as the points grow. Read a distance between clean and noisy beside its floor, two "
    "disjoint clean subsamples: 'disjoint' compares with it; 'paired' (the same contents) may lie "
    "below it. The null is a Gaussian cloud of the same mean and shrunk covariance."
)
ENDLESS: Final = (
    "One H0 bar of every cloud never dies (the whole cloud); it is left out everywhere."
)
OFF: Final = "not computed: measure.homology.distances is off"


@dataclass(frozen=True)
class _Asked:
    """A number of the finding: how a summary gives it once a repeat, and what to read beside it."""

    name: str
    values: Callable[[Summary], Array]
    note: str
    unit: str = "distance"
    floor: Callable[[Summary], Array] | None = None


def tell(
    whole: Summary | None,
    classes: Sequence[Summary],
    asked: tuple[range, tuple[int, ...]],
    notes: tuple[str, ...],
) -> Finding:
    """Join everything into the finding.

    Args:
        whole: the whole collection; None where it is too small.
        classes: the classes that are large enough.
        asked: dimensions of homology and noisy variants: they name the numbers.
        notes: what was left out.
    """
    wanted = [number for dim in asked[0] for number in _asked(dim, asked[1])]
    if whole is None:
        why = "too few contents have every variant for two disjoint subsamples"
        names = {"points": "points", "classes": "classes"} | {one.name: one.unit for one in wanted}
        numbers = tuple(Number(name, None, unit, note=why) for name, unit in names.items())
        return Finding(f"Not answerable: {why}.", numbers, notes=notes)
    return Finding(
        headline=_headline(whole),
        numbers=(
            Number("points", whole.size, "points", note="of each subsample of the collection"),
            Number("classes", len(classes), "classes", note="large enough to be asked"),
            *(_number(one, whole) for one in wanted),
        ),
        meaning=MEANING,
        tables=(_whole_table(whole), *([_classes_table(classes)] if classes else [])),
        figures=figures(whole, classes),
        notes=(_metric_note(whole), ENDLESS, *notes),
    )


def _asked(dim: int, noisy: Sequence[int]) -> Iterator[_Asked]:
    """Yield the numbers of one dimension of homology."""
    clouds = {"clean": str(CLEAN), **{str(v): str(v) for v in noisy}, "null": NULL}
    for name, cloud in clouds.items():
        total, longest = methodcaller("total", dim, cloud), methodcaller("longest", dim, cloud)
        yield _Asked(f"h{dim}_total_{name}", total, "sum of lifetimes")
        yield _Asked(f"h{dim}_longest_{name}", longest, "longest lifetime")
    if dim:  # In many dimensions nearly every H0 bar is long: points hardly have neighbours.
        rule = "clean bars longer than twice the floor's bottleneck and than the null's longest"
        persistent = methodcaller("persistent", dim)
        yield _Asked(f"h{dim}_persistent", persistent, rule, unit="bars")
    rule = "longest clean bar less the null's; a spread around 0 is no difference"
    yield _Asked(f"h{dim}_longest_above_null", methodcaller("above_null", dim), rule)
    for metric in METRICS:
        floor, null = methodcaller("floor", metric, dim), methodcaller("null", metric, dim)
        yield _Asked(f"floor_{metric}_h{dim}", floor, "two disjoint clean subsamples")
        yield _Asked(f"null_{metric}_h{dim}", null, "clean and featureless cloud", floor=floor)
        for v in noisy:
            for kind, which in (("paired", "the same contents"), ("disjoint", "other contents")):
                values = methodcaller(kind, metric, dim, v)
                note = f"clean and level {v / 1000:g} of {which}"
                yield _Asked(f"{kind}_{metric}_h{dim}_{v}", values, note, floor=floor)


def _number(one: _Asked, whole: Summary) -> Number:
    note = one.note
    if one.floor is not None and whole.measured:
        _, low, high = repeats.spread(one.floor(whole))
        note = f"{note}; floor {low:.4g} to {high:.4g}"
    values = one.values(whole)
    known = bool(np.isfinite(values).any())
    return repeats.number(one.name, values, one.unit, note if known else OFF)


def _metric_note(whole: Summary) -> str:
    if whole.unit_length:
        return "Vectors have length 1: distances are chords, 2 sin(angle / 2)."
    return "Vectors are not of length 1: distances are Euclidean, in the vectors' own units."


def _headline(whole: Summary) -> str:
    if not whole.measured:
        return f"Diagrams of {whole.size} points; distances were not asked for."
    loops = ""
    if 1 in whole.dims:
        _, least, _ = repeats.spread(whole.persistent(1))
        count = int(least or 0)
        verb = "loops persist" if count > 1 else "loop persists"
        loops = f"{count or 'No'} {verb} above the floor and the null; "
    if not whole.noisy:
        return f"{loops}no noisy variant to compare with."
    beyond = whole.beyond_floor(0)
    if not beyond:
        return f"{loops}no noise level moves H0 beyond the sampling floor."
    return f"{loops}noise moves H0 beyond the sampling floor from level {beyond[0] / 1000:g} on."


def _row(columns: dict[str, list[Any]], one: Summary, variant: int) -> None:
    """Append the medians of one level, and the spread of the distance that has a floor."""

    def add(name: str, value: float | None) -> None:
        columns.setdefault(name, []).append(rounded(value))

    for dim in one.dims:
        add(f"h{dim}_total", repeats.spread(one.total(dim, str(variant)))[0])
        add(f"h{dim}_longest", repeats.spread(one.longest(dim, str(variant)))[0])
        for metric in METRICS if one.measured else ():
            add(f"h{dim}_{metric}_paired", repeats.spread(one.paired(metric, dim, variant))[0])
            values = repeats.spread(one.disjoint(metric, dim, variant))
            for end, value in zip(("", "_low", "_high"), values, strict=True):
                if not end or metric == "wasserstein":
                    add(f"h{dim}_{metric}_disjoint{end}", value)


def _whole_table(whole: Summary) -> Table:
    columns: dict[str, list[Any]] = {"level": [v / 1000 for v in (CLEAN, *whole.noisy)]}
    for v in (CLEAN, *whole.noisy):
        _row(columns, whole, v)
    title = f"Whole collection by level, {whole.size} points a cloud; level 0 is the floor"
    return Table(title, columns)


def _classes_table(classes: Sequence[Summary]) -> Table:
    columns: dict[str, list[Any]] = {"class": [], "level": []}
    for one in classes:
        for v in (CLEAN, *one.noisy):
            columns["class"].append(one.name)
            columns["level"].append(v / 1000)
            _row(columns, one, v)
    title = f"Classes by level, {classes[0].size} points a cloud; level 0 is the floor"
    return Table(title, columns)
