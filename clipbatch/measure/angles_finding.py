"""From the angles of all repeats to numbers, tables and figures."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import repeats, subspaces
from clipbatch.measure.angles_summary import Summary
from clipbatch.measure.base import Evidence, Figure, Finding, Number, Result, Table
from clipbatch.measure.repeats import rounded

Array = NDArray[np.float64]

SUFFIX: Final = {"affine": "", "linear": "_linear"}  # of the numbers; affine is the main answer
TITLE: Final = {"affine": "affine, class mean removed", "linear": "linear, through the origin"}
PER_MODE: Final = {
    "smallest_pair_angle": "degrees",
    "median_pair_angle": "degrees",
    "median_floor_angle": "degrees",
    "median_shuffled_angle": "degrees",
    "smallest_pair_distance": "",
    "median_pair_distance": "",
    "median_floor_distance": "",
    "confusable_pairs": "pairs",
}
HEATMAP_CLASSES: Final = 60  # more cannot be read
SPECTRA: Final = 3  # closest pairs drawn
MEANING: Final = (
    "0 degrees: two classes share a direction of variation; 90: they share none. Read every angle "
    "beside its floor, two halves of one class: a pair at its floor varies as one class does. "
    "Shuffled labels show mixed classes; random subspaces are the ceiling."
)


def unanswerable(why: str, notes: tuple[str, ...]) -> Finding:
    """Say that there are no classes to compare."""
    units = {f"{name}{end}": unit for end in SUFFIX.values() for name, unit in PER_MODE.items()}
    units = {"k": "dimensions", "classes": "classes", **units, "median_ceiling_angle": "degrees"}
    numbers = tuple(Number(name, None, unit, note=why) for name, unit in units.items())
    return Finding(f"Not answerable: {why}.", numbers, notes=notes)


def tell(
    summary: Summary,
    shown: int,
    notes: tuple[str, ...],
    nearest: Sequence[tuple[tuple[str, str], Result]],
) -> Finding:
    """Join everything into the finding."""
    k = summary.ceiling.shape[2]
    numbers = (
        Number("k", k, "dimensions", note=f"every subspace is spanned by {summary.half} contents"),
        Number("classes", len(summary.names), "classes"),
        *(number for mode in SUFFIX for number in _numbers(summary, mode)),
        repeats.number(
            "median_ceiling_angle",
            np.median(summary.ceiling.mean(axis=2), axis=1),
            "degrees",
            f"random {k}-dimensional subspaces: nothing in common",
        ),
    )
    if summary.dropped:
        some = ", ".join(summary.dropped[:10])
        notes += (f"{len(summary.dropped)} classes do not span {k} directions, left out: {some}",)
    return Finding(
        headline=_headline(summary),
        numbers=numbers,
        meaning=MEANING,
        tables=(*(_pairs_table(summary, mode, shown) for mode in SUFFIX), _classes_table(summary)),
        figures=(
            *(_heatmap(summary, mode) for mode in SUFFIX),
            *(_spectra(summary, mode) for mode in SUFFIX),
        ),
        evidence=tuple(_evidence(pair, found) for pair, found in nearest),
        notes=notes,
    )


def _headline(summary: Summary) -> str:
    index = int(summary.closest("affine")[0])
    a, b = summary.pair(index)
    distance = float(np.median(summary.distances["affine"][:, index]))
    count = int(summary.confusable("affine").sum())
    alike = f"{count} of {summary.gap.shape[1]} pairs of classes are"
    return (
        f"{a} and {b} vary most alike (distance {distance:.2f}, floor "
        f"{summary.limits['affine'][index]:.2f}); {alike} as alike as two halves of one class."
    )


def _numbers(summary: Summary, mode: str) -> list[Number]:
    angles, distances = summary.pairs[mode], summary.distances[mode]
    smallest = int(np.argmin(np.median(angles[:, :, 0], axis=0)))
    nearest = int(summary.closest(mode)[0])
    floor, shuffled = summary.floor[mode], summary.shuffled[mode]
    first_floor = np.median(floor[:, :, 0])

    def together(pair: int) -> str:
        return " and ".join(summary.pair(pair))

    answers: dict[str, tuple[Array, str]] = {
        "smallest_pair_angle": (
            angles[:, smallest, 0],
            f"first angle of {together(smallest)}; halves of a class: {first_floor:.1f}",
        ),
        "median_pair_angle": (
            np.median(angles.mean(axis=2), axis=1),
            "mean of a pair's angles, median over pairs",
        ),
        "median_floor_angle": (np.median(floor.mean(axis=2), axis=1), "two halves of one class"),
        "median_shuffled_angle": (
            np.nanmedian(shuffled.mean(axis=2), axis=1),
            "labels that mean nothing; not a ceiling, since mixed classes share their directions",
        ),
        "smallest_pair_distance": (
            distances[:, nearest],
            f"{together(nearest)}; their floor reaches {summary.limits[mode][nearest]:.3f}",
        ),
        "median_pair_distance": (np.median(distances, axis=1), "0 the same, 1 orthogonal"),
        "median_floor_distance": (
            np.median(subspaces.distance(floor), axis=1),
            "two halves of one class",
        ),
    }
    end = SUFFIX[mode]
    numbers = [
        repeats.number(f"{name}{end}", values, PER_MODE[name], f"{TITLE[mode]}; {note}")
        for name, (values, note) in answers.items()
    ]
    rule = f"{TITLE[mode]}; distance not above the larger floor of its two classes"
    count = int(summary.confusable(mode).sum())
    return [*numbers, Number(f"confusable_pairs{end}", count, "pairs", note=rule)]


def _pairs_table(summary: Summary, mode: str, shown: int) -> Table:
    order = summary.closest(mode)[:shown]
    distances, angles = summary.distances[mode][:, order], summary.pairs[mode][:, order]
    low, high = np.percentile(distances, [repeats.LOW, repeats.HIGH], axis=0)
    first = np.percentile(angles[:, :, 0], [repeats.LOW, 50, repeats.HIGH], axis=0)
    a, b = (end[order] for end in summary.ends)
    gap_floor = np.percentile(summary.gap_floor, repeats.HIGH, axis=0)
    columns: dict[str, Sequence[Any]] = {
        "class_a": [summary.names[i] for i in a],
        "class_b": [summary.names[i] for i in b],
        "distance": _cells(np.median(distances, axis=0)),
        "low": _cells(low),
        "high": _cells(high),
        "floor": _cells(summary.limits[mode][order]),
        "confusable": ["yes" if c else "no" for c in summary.confusable(mode)[order]],
        "first_angle": _cells(first[1], 2),
        "first_low": _cells(first[0], 2),
        "first_high": _cells(first[2], 2),
        "spectrum": [" ".join(f"{v:.1f}" for v in np.median(s, axis=0)) for s in _by_pair(angles)],
        "means_apart": _cells(np.median(summary.gap[:, order], axis=0)),
        "means_floor": _cells(np.maximum(gap_floor[a], gap_floor[b])),
    }
    return Table(f"Closest pairs of classes ({TITLE[mode]})", columns)


def _by_pair(angles: Array) -> Array:
    return np.swapaxes(angles, 0, 1)


def _cells(values: Array, digits: int = 4) -> list[float | None]:
    return [rounded(value, digits) for value in values]


def _classes_table(summary: Summary) -> Table:
    columns: dict[str, Sequence[Any]] = {
        "class": list(summary.names),
        "contents": list(summary.contents),
    }
    for mode in SUFFIX:
        angles = summary.floor[mode]
        columns[f"floor_angle_{mode}"] = _cells(np.median(angles.mean(axis=2), axis=0), 2)
        columns[f"floor_distance_{mode}"] = _cells(np.median(subspaces.distance(angles), axis=0))
    return Table("Two halves of one class: the floor", columns)


def _heatmap(summary: Summary, mode: str) -> Figure:
    a, b = summary.ends
    count = len(summary.names)
    matrix = np.zeros((count, count))
    matrix[a, b] = matrix[b, a] = np.median(summary.distances[mode], axis=0)
    np.fill_diagonal(matrix, np.median(subspaces.distance(summary.floor[mode]), axis=0))
    kept = np.arange(count)
    if count > HEATMAP_CLASSES:
        order = summary.closest(mode)
        classes = np.stack([a[order], b[order]], axis=1).ravel()
        _, first = np.unique(classes, return_index=True)
        kept = np.sort(classes[np.sort(first)[:HEATMAP_CLASSES]])
    names = [summary.names[i] for i in kept]
    some = f", {len(kept)} of {count} classes in the closest pairs" if len(kept) < count else ""
    return Figure(
        "heatmap",
        f"Projection distance between classes ({TITLE[mode]}); diagonal: two halves{some}",
        {"z": np.round(matrix[np.ix_(kept, kept)], 4).tolist(), "rows": names, "columns": names},
    )


def _spectra(summary: Summary, mode: str) -> Figure:
    angles = summary.pairs[mode]
    lines = {
        " / ".join(summary.pair(i)): angles[:, i] for i in summary.closest(mode)[:SPECTRA].tolist()
    }
    lines |= {
        "all pairs (median)": np.median(angles, axis=1),
        "floor: halves of one class": np.median(summary.floor[mode], axis=1),
        "shuffled labels": np.nanmedian(summary.shuffled[mode], axis=1),
        "ceiling: random subspaces": np.median(summary.ceiling, axis=1),
    }

    def at(percentile: float) -> dict[str, list[float]]:
        return {
            n: np.round(np.percentile(v, percentile, axis=0), 3).tolist() for n, v in lines.items()
        }

    return Figure(
        "lines",
        f"Principal angles of the closest pairs ({TITLE[mode]})",
        {
            "x": list(range(1, angles.shape[2] + 1)),
            "series": at(50),
            "low": at(repeats.LOW),
            "high": at(repeats.HIGH),
        },
        "number of the principal angle",
        "degrees",
    )


def _evidence(pair: tuple[str, str], found: Result) -> Evidence:
    a, b = pair
    ids = [*found["ids_a"].tolist(), *found["ids_b"].tolist()]
    away = [*found["away_a"].tolist(), *found["away_b"].tolist()]
    names = [a] * len(found["ids_a"]) + [b] * len(found["ids_b"])
    return Evidence(
        f"{a} nearest to the subspace of {b}, and {b} nearest to that of {a}",
        tuple(ids),
        tuple(f"{name}, {value:.3f} away" for name, value in zip(names, away, strict=True)),
    )
