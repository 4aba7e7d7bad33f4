"""How well do clusters agree with labels? AMI, ARI, FMI and NMI from one table of counts.

The same numbers as scikit-learn's, from a sparse table that can be resampled a thousand times
without building label vectors. Capitals: N contents, E cells that are not empty.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

NAMES: Final = ("ami", "ari", "fmi", "nmi")

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """How many contents fall into each cluster and class.

    Attributes:
        row: (E,) cluster of a cell, from 0.
        column: (E,) class of a cell, from 0.
        count: (E,) contents in it.
    """

    row: Ints
    column: Ints
    count: Ints

    @cached_property
    def margins(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return contents per cluster and per class."""
        weights = self.count.astype(np.float64)
        rows, columns = (np.bincount(side, weights) for side in (self.row, self.column))
        return rows.astype(np.float64), columns.astype(np.float64)

    @cached_property
    def expected(self) -> float:
        """Mutual information that chance gives with these margins, nats (Vinh et al. 2010)."""
        from scipy.sparse import coo_matrix
        from sklearn.metrics.cluster import expected_mutual_information

        sides = (np.unique(side, return_inverse=True)[1] for side in (self.row, self.column))
        table = coo_matrix((self.count, tuple(sides))).tocsr()
        return float(expected_mutual_information(table, int(self.count.sum())))


def count(cluster: Ints, label: NDArray[np.integer]) -> Counts:
    """Count (cluster, label) pairs; both (N,), from 0."""
    width = int(label.max(initial=0)) + 1
    cells, counts = np.unique(cluster.astype(np.int64) * width + label, return_counts=True)
    row, column = np.divmod(cells, width)
    return Counts(row, column, counts.astype(np.int64))


def scores(table: Counts, expected: float) -> NDArray[np.float64]:
    """Return the scores of ``NAMES``, (4,), as scikit-learn defines them.

    Args:
        table: of at least one content.
        expected: mutual information by chance; ``table.expected`` for the table itself.
    """
    rows, columns = table.margins
    n = float(table.count.sum())
    information, mean_entropy = _information(table, rows, columns, n)
    together = float(np.square(table.count, dtype=np.float64).sum()) - n
    same_cluster, same_class = (float(np.square(side).sum()) - n for side in (rows, columns))
    fmi = _ratio(together, np.sqrt(same_cluster * same_class))
    by_chance = _ratio(same_cluster * same_class, n * (n - 1))
    most = (same_cluster + same_class) / 2
    if together == same_cluster == same_class:  # the same partition, however trivial
        return np.array([1.0, 1.0, fmi, 1.0])
    ami = _ratio(information - expected, mean_entropy - expected)
    ari = _ratio(together - by_chance, most - by_chance)
    return np.array([ami, ari, fmi, _ratio(information, mean_entropy)])


def bootstrap(table: Counts, rng: np.random.Generator, repeats: int) -> NDArray[np.float64]:
    """Score contents drawn again with replacement, (repeats, 4).

    Drawing N contents is drawing N cells. The clustering is held, and so is the information that
    chance gives, whose margins hardly move.
    """
    n = int(table.count.sum())
    draws = rng.multinomial(n, table.count / n, size=repeats)
    return np.array([scores(replace(table, count=drawn), table.expected) for drawn in draws])


def permuted(
    cluster: Ints, label: NDArray[np.integer], rng: np.random.Generator, repeats: int
) -> NDArray[np.float64]:
    """Score clusters against labels dealt out at random, (repeats, 4)."""
    expected = count(cluster, label).expected  # the margins stay
    return np.array(
        [scores(count(cluster, rng.permutation(label)), expected) for _ in range(repeats)]
    )


def interval(value: float, repeats: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % percentile interval, moved by the bootstrap's own bias."""
    low, high = np.percentile(repeats, [2.5, 97.5]) - (repeats.mean() - value)
    return float(low), min(float(high), 1.0)


def _information(
    table: Counts, rows: NDArray[np.float64], columns: NDArray[np.float64], n: float
) -> tuple[float, float]:
    """Return mutual information and the mean of the two entropies, nats."""
    there = table.count > 0
    joint = table.count[there] / n
    apart = rows[table.row[there]] * columns[table.column[there]] / n**2
    information = float((joint * np.log(joint / apart)).sum())
    entropies = [-float((p * np.log(p)).sum()) for p in (m[m > 0] / n for m in (rows, columns))]
    return max(information, 0.0), sum(entropies) / 2


def _ratio(part: float, whole: float) -> float:
    """Divide as the scores mean it: nothing of nothing is 0."""
    return float(part / whole) if abs(whole) > 1e-15 else 0.0
