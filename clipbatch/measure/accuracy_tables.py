"""Tables of accuracy: by level and by class, what is taken for what, and back to numbers."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure.accuracy_summary import ENDS, Summary
from clipbatch.measure.base import Evidence, Finding, Table
from clipbatch.measure.repeats import rounded

Array = NDArray[np.float64]
Columns = dict[str, list[Any]]

DIGITS: Final = 6  # ranks are taken of these cells: rounding must not tie them
CONFUSIONS: Final = 10  # lines
SHOWN: Final = 3  # of these, with thumbnails
THUMBNAILS: Final = 6


def tables(summary: Summary) -> tuple[Table, ...]:
    """Tell accuracy by level, by class, and the classes that are taken for each other."""
    return _levels(summary), _classes(summary), _confusions(summary)


def _cells(values: Array) -> list[float | None]:
    return [rounded(value, DIGITS) for value in values]


def _levels(summary: Summary) -> Table:
    columns: Columns = {"method": [], "level": []}
    means, overalls = summary.mean(summary.draws), summary.overall(summary.draws)
    shares = summary.counts / summary.counts.sum()
    for m, method in enumerate(summary.methods):
        columns["method"] += [method] * len(summary.variants)
        columns["level"] += [v / 1000 for v in summary.variants]
        accuracy = summary.by_class[:, m]
        told = {
            "mean_of_classes": (accuracy.mean(axis=0), means[:, m]),
            "of_contents": (shares @ accuracy, overalls[:, m]),
        }
        for name, (value, draws) in told.items():
            low, high = np.percentile(draws, ENDS, axis=0)
            for end, cells in (("", value), ("_low", low), ("_high", high)):
                columns.setdefault(f"{name}{end}", []).extend(_cells(cells))
        columns.setdefault("loss_reliability", []).extend(_cells(summary.reliability[m]))
    title = f"Accuracy by level; chance {summary.chance:.3f}, majority {summary.majority:.3f}"
    return Table(title, columns)


def _classes(summary: Summary) -> Table:
    every = range(len(summary.variants))
    columns: Columns = {
        "class": [name for name in summary.names for _ in every],
        "contents": [int(n) for n in summary.counts for _ in every],
        "level": [v / 1000 for _ in summary.names for v in summary.variants],
    }
    low, high = summary.wilson
    lost = summary.draws[..., :1] - summary.draws
    lost_low, lost_high = np.percentile(lost, ENDS, axis=0)
    for m, method in enumerate(summary.methods):
        told = {
            method: summary.by_class,
            f"{method}_low": low,
            f"{method}_high": high,
            f"{method}_lost": summary.by_class[..., :1] - summary.by_class,
            f"{method}_lost_low": lost_low,
            f"{method}_lost_high": lost_high,
        }
        columns |= {name: _cells(values[:, m].ravel()) for name, values in told.items()}
    return Table("Accuracy of every class by level", columns)


def clean_answer(summary: Summary) -> NDArray[np.int64]:
    """Which class does the probe name for each clean content? (N,)."""
    return np.asarray(summary.answer[:, summary.methods.index("probe"), 0])


def _pairs(summary: Summary) -> list[tuple[int, int, int]]:
    """Which (class, taken for, contents) are most frequent, by the probe on clean vectors?"""
    taken = clean_answer(summary)
    wrong = (taken != summary.label) & (taken >= 0)
    count = len(summary.names)
    cells, found = np.unique(summary.label[wrong] * count + taken[wrong], return_counts=True)
    order = np.argsort(-found, kind="stable")[:CONFUSIONS]
    return [(*divmod(int(cells[i]), count), int(found[i])) for i in order]


def _confusions(summary: Summary) -> Table:
    pairs = _pairs(summary)
    columns: Columns = {
        "class": [summary.names[a] for a, _, _ in pairs],
        "taken_for": [summary.names[b] for _, b, _ in pairs],
        "contents": [n for _, _, n in pairs],
        "share_of_class": [rounded(n / summary.counts[a]) for a, _, n in pairs],
    }
    return Table("Classes that the probe takes for others, clean", columns)


def evidence(summary: Summary, content_id: NDArray[np.str_]) -> tuple[Evidence, ...]:
    """Show contents of the most frequent confusions.

    Args:
        summary: of all folds.
        content_id: (N,) of Contents.
    """
    found = []
    for a, b, n in _pairs(summary)[:SHOWN]:
        these = np.flatnonzero((summary.label == a) & (clean_answer(summary) == b))[:THUMBNAILS]
        mine, other = summary.names[a], summary.names[b]
        ids = tuple(content_id[summary.rows[these]].tolist())
        title = f"{n} of {summary.counts[a]} {mine} that the probe takes for {other}"
        found.append(Evidence(title, ids, (f"{mine}, taken for {other}",) * len(ids)))
    return tuple(found)


def lost_by_class(finding: Finding, method: str) -> dict[tuple[str, int], float]:
    """How much accuracy does noise take from each class? (class, variant) -> share.

    Args:
        finding: of the accuracy analysis.
        method: one of ``accuracy_summary.METHODS``.

    Returns:
        Clean less noisy accuracy; empty where the method did not answer.
    """
    column = f"{method}_lost"
    for table in finding.tables:
        if {"class", "level", column} <= table.columns.keys():
            variants: Array = np.round(1000 * np.array(table.columns["level"], float))
            cells = zip(table.columns["class"], variants, table.columns[column], strict=True)
            return {(name, int(v)): value for name, v, value in cells if v}
    return {}


def loss_reliability(finding: Finding, method: str) -> dict[int, float | None]:
    """How surely do the tested contents rank the classes by accuracy lost? variant -> reliability.

    Args:
        finding: of the accuracy analysis.
        method: one of ``accuracy_summary.METHODS``.
    """
    for table in finding.tables:
        if {"method", "level", "loss_reliability"} <= table.columns.keys():
            names, levels, cells = (
                table.columns[column] for column in ("method", "level", "loss_reliability")
            )
            rows = zip(names, levels, cells, strict=True)
            return {round(1000 * level): cell for name, level, cell in rows if name == method}
    return {}
