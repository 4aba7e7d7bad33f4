"""From the diagrams of all scopes to numbers, tables and figures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import homology_tables, repeats
from clipbatch.measure.base import Finding, Number
from clipbatch.measure.homology_figures import figures
from clipbatch.measure.homology_summary import METRICS, NULL, Summary
from clipbatch.measure.repeats import CLEAN

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
NO_BARS: Final = "no bars in any repeat"
TOLD: Final = {  # of every cloud: shape -> unit, what it is; the last two of loops alone
    "total": ("distance", "sum of lifetimes"),
    "longest": ("distance", "longest lifetime"),
    "entropy": ("nats", "persistent entropy: high where all bars last alike"),
    "death": ("distance", "median death"),
    "scatter": ("distance", "how far bars lie apart in the diagram, root mean square"),
}
CHANGES: Final = ("death", "scatter")


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
    wanted = [*_scales(asked[1])]
    wanted += [number for dim in asked[0] for number in _asked(dim, asked[1])]
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
        tables=homology_tables.tables(whole, classes),
        figures=figures(whole, classes),
        notes=(_metric_note(whole), ENDLESS, *notes),
    )


def _scales(noisy: Sequence[int]) -> Iterator[_Asked]:
    clouds = {"clean": str(CLEAN), **{str(v): str(v) for v in noisy}, "null": NULL}
    for name, cloud in clouds.items():
        yield _Asked(f"scale_{name}", methodcaller("scale", cloud), "median distance of two points")


def _asked(dim: int, noisy: Sequence[int]) -> Iterator[_Asked]:
    """Yield the numbers of one dimension of homology."""
    clouds = {"clean": str(CLEAN), **{str(v): str(v) for v in noisy}, "null": NULL}
    told = TOLD if dim else {name: TOLD[name] for name in ("total", "longest", "entropy")}
    for name, cloud in clouds.items():
        for shape, (unit, note) in told.items():
            values = methodcaller("shape", shape, dim, cloud)
            yield _Asked(f"h{dim}_{shape}_{name}", values, note, unit)
    if dim:  # In many dimensions nearly every H0 bar is long: points hardly have neighbours.
        yield from _of_loops(dim, noisy)
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


def _of_loops(dim: int, noisy: Sequence[int]) -> Iterator[_Asked]:
    """Yield which loops last, and whether noise makes them die sooner and draw together."""
    rule = "bars longer than twice the clean floor's bottleneck and than the clean null's longest"
    yield _Asked(f"h{dim}_persistent", methodcaller("persistent", dim), rule, "bars")
    for v in noisy:
        last = methodcaller("persistent", dim, str(v))
        yield _Asked(f"h{dim}_persistent_{v}", last, rule, "bars")
        for shape in CHANGES:
            note = f"{TOLD[shape][1]}: level {v / 1000:g} less clean, the same contents"
            change = methodcaller("change", shape, dim, v)
            yield _Asked(f"h{dim}_{shape}_change_{v}", change, note)
            scaled = methodcaller("change", shape, dim, v, scaled=True)
            note += "; each in units of its cloud's scale, so shrinking alone is no change"
            yield _Asked(f"h{dim}_scaled_{shape}_change_{v}", scaled, note, "scales")


def _number(one: _Asked, whole: Summary) -> Number:
    note = one.note
    missing = NO_BARS if one.floor is None and whole.measured else OFF
    if one.floor is not None and whole.measured:
        _, low, high = repeats.spread(one.floor(whole))
        note = f"{note}; floor {low:.4g} to {high:.4g}"
    values = one.values(whole)
    known = bool(np.isfinite(values).any())
    return repeats.number(one.name, values, one.unit, note if known else missing)


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
