"""The tables, figures and thumbnails that stand behind the clusters."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import agreement
from clipbatch.measure.base import Evidence, Figure, Table
from clipbatch.measure.clusters_story import Ints, Story

LISTED: Final = 200  # clusters in the table
DRAWN: Final = 60  # clusters and classes in a figure: more cannot be read
SHOWN: Final = 8  # contents of a cluster as thumbnails
BIGGEST, MIXED = 3, 3  # clusters shown
SOME: Final = 5  # labelled contents below which a cluster is not called mixed


def tables(story: Story, restarts: NDArray[np.float64] | None) -> Iterator[Table]:
    """List the clusters, the starts, and what k was chosen from."""
    yield _clusters(story)
    starts: dict[str, list[Any]] = {
        "start": list(range(len(story.starts))),
        "told": ["yes" if r == story.best else "no" for r in range(len(story.starts))],
        "mean cosine": [round(float(start["objective"]), 6) for start in story.starts],
        "silhouette": [_mean(start["silhouette"]) for start in story.starts],
        "iterations": [int(start["iterations"]) for start in story.starts],
    }
    if restarts is not None:
        for name, column in zip(agreement.NAMES, restarts.T, strict=True):
            starts[name] = column.round(6).tolist()
    yield Table("Starts of k-means", starts)
    if story.chosen.ladder:
        ladder = story.chosen.ladder
        yield Table(
            "Silhouettes that k was chosen from",
            {
                "k": list(ladder),
                "mean": [_mean(np.array(values)) for values in ladder.values()],
                "lowest start": [round(min(values), 6) for values in ladder.values()],
                "highest start": [round(max(values), 6) for values in ladder.values()],
            },
        )


def _clusters(story: Story) -> Table:
    shown = min(LISTED, len(story.sizes))
    clusters = range(shown)
    columns: dict[str, list[Any]] = {
        "cluster": list(clusters),
        "contents": story.sizes[:shown].tolist(),
        "share": (story.sizes[:shown] / story.sizes.sum()).round(6).tolist(),
        "mean cosine": [
            round(float(story.cosine[story.best, story.cluster == c].mean()), 6) for c in clusters
        ],
    }
    if story.has_classes:
        names = story.contents.label_names
        order = np.argsort(-story.table[:shown], axis=1, kind="stable")
        totals = story.table[:shown].sum(axis=1)
        for rank, title in ((0, "majority label"), (1, "second label")):
            top = order[:, rank]
            counts = story.table[np.arange(shown), top]
            columns[title] = [names[c] if n else None for c, n in zip(top, counts, strict=True)]
            columns["purity" if rank == 0 else "second share"] = [
                round(float(n / total), 6) if total else None
                for n, total in zip(counts, totals, strict=True)
            ]
    several = f" (the {shown} largest of {len(story.sizes)})" if shown < len(story.sizes) else ""
    return Table(f"Clusters{several}", columns)


def figures(story: Story) -> Iterator[Figure]:
    """Draw clusters against classes, sizes, and what k was chosen from."""
    if story.has_classes:
        rows, columns = ordered(story.table)
        names = story.contents.label_names
        several = "" if story.table.shape == (len(rows), len(columns)) else ", the largest"
        yield Figure(
            "heatmap",
            f"Contents by cluster and class{several}",
            {
                "z": story.table[np.ix_(rows, columns)].tolist(),
                "rows": [f"cluster {c}" for c in rows],
                "columns": [names[c] for c in columns],
            },
            "class",
            "cluster",
        )
    sizes = story.sizes[:DRAWN].tolist()
    yield Figure(
        "bars",
        "Contents in each cluster",
        {"names": [str(c) for c in range(len(sizes))], "values": sizes},
        "cluster",
        "contents",
    )
    if story.chosen.ladder:
        values = list(story.chosen.ladder.values())
        yield Figure(
            "lines",
            "Silhouette against k; band: spread of starts",
            {
                "x": list(story.chosen.ladder),
                "series": {"silhouette": [_mean(np.array(v)) for v in values]},
                "low": {"silhouette": [min(v) for v in values]},
                "high": {"silhouette": [max(v) for v in values]},
            },
            "k",
            "silhouette",
        )


def ordered(table: Ints) -> tuple[list[int], list[int]]:
    """Order clusters so that their classes, by name, lie on the diagonal.

    Each class is paired with one cluster such that the paired counts are largest in all (Kuhn
    1955); clusters beyond that follow by their majority class. At most ``DRAWN`` of each, those
    with the most contents.

    Args:
        table: (K, C) counts.
    """
    from scipy.optimize import linear_sum_assignment

    columns = np.sort(np.argsort(-table.sum(axis=0), kind="stable")[:DRAWN])
    rows = np.sort(np.argsort(-table.sum(axis=1), kind="stable")[:DRAWN])
    counts = table[np.ix_(rows, columns)]
    cluster, column = linear_sum_assignment(-counts)
    place = counts.argmax(axis=1) + len(columns)  # after all that are paired
    place[cluster] = column
    return rows[np.argsort(place, kind="stable")].tolist(), columns.tolist()


def groups(story: Story) -> Iterator[Evidence]:
    """Show the contents nearest to the centroids of the biggest and the most mixed clusters."""
    told = dict.fromkeys(range(min(BIGGEST, len(story.sizes))), "the largest")
    if story.has_classes:
        totals = story.table.sum(axis=1)
        purity = story.table.max(axis=1) / np.maximum(totals, 1)
        mixed = np.flatnonzero((totals >= SOME) & (purity < 1))
        for c in mixed[np.argsort(purity[mixed], kind="stable")[:MIXED]].tolist():
            told[c] = f"mixed, purity {purity[c]:.2f}"
    names = (*story.contents.label_names, "no label")
    for c, why in told.items():
        rows = story.nearest(c, SHOWN)
        yield Evidence(
            f"cluster {c} ({why}): {story.sizes[c]:,} contents, nearest to the centroid first",
            tuple(story.contents.content_id[rows].tolist()),
            tuple(names[label] for label in story.contents.label[rows]),
        )


def _mean(values: NDArray[np.float64]) -> float | None:
    return round(float(values.mean()), 6) if len(values) else None
