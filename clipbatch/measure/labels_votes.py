"""Do the neighbours of a picture carry its label? A score of suspicion from their votes.

Capitals: N contents, K neighbours, C classes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_CHUNK: Final = 4096  # rows whose K x K comparisons are held at once

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Votes:
    """What the neighbours say of each content that has a label.

    Attributes:
        score: (N,) log of the best other class's corrected votes by those of its own label, to
            nine decimals: 0 is a tie, above it the neighbours prefer another class. NaN without a
            label or without a voter.
        other: (N,) that other class; -1 where no neighbour has another.
        own: (N,) votes for its own label.
        others: (N,) votes for ``other``.
        voters: (N,) neighbours that vote.
    """

    score: Floats
    other: Ints
    own: Ints
    others: Ints
    voters: Ints


def cast(neighbour: Ints, votes: NDArray[np.bool_], label: Ints, classes: int) -> Votes:
    """Count votes, each divided by the share of its class among the labelled.

    Corrected for the prior, a picture of a rare class is not suspect because its class is rare.
    One vote is spread over all classes by their shares, so that no score is infinite: with n_c
    votes and share q_c, class c has n_c / q_c + 1. No content votes on itself, so every score is
    out of sample.

    Args:
        neighbour: (N, K) positions.
        votes: (N, K) whether a neighbour may vote; those without a label never do.
        label: (N,) from 0; -1 for none.
        classes: C.
    """
    share = np.bincount(label[label >= 0], minlength=classes) / max(int((label >= 0).sum()), 1)
    weight = np.divide(1.0, share, out=np.zeros(classes), where=share > 0)
    n = len(label)
    score, other = np.full(n, np.nan), np.full(n, -1, np.int64)
    own, others, voters = (np.zeros(n, np.int64) for _ in range(3))
    for start in range(0, n, _CHUNK):
        part = slice(start, start + _CHUNK)
        near = np.where(votes[part], label[neighbour[part]], -1)
        mine = label[part]
        counts = (near[:, :, None] == near[:, None, :]).sum(axis=2)
        worth = np.where(near >= 0, counts * weight[near] + 1.0, 0.0)
        rival = np.where(near != mine[:, None], worth, 0.0)
        best = np.argmax(rival.round(9), axis=1)  # the nearest of equals
        rows = np.arange(len(near))
        some = rival[rows, best] > 0
        own[part] = (near == mine[:, None]).sum(axis=1) * (mine >= 0)
        voters[part] = (near >= 0).sum(axis=1)
        other[part] = np.where(some, near[rows, best], -1)
        others[part] = np.where(some, counts[rows, best], 0)
        ratio = np.maximum(rival[rows, best], 1.0) / (own[part] * weight[mine] + 1.0)
        known = (mine >= 0) & (voters[part] > 0)
        score[part] = np.where(known, np.log(ratio).round(9), np.nan)
    return Votes(score, other, own, others, voters)


def confused_with(neighbour: Ints, votes: NDArray[np.bool_], label: Ints, classes: int) -> Ints:
    """Return the class most often among the neighbours of each class, itself apart, (C,)."""
    near = np.where(votes, label[neighbour], -1)
    own = np.broadcast_to(label[:, None], near.shape)
    known = (near >= 0) & (own >= 0)
    cells = np.bincount(own[known] * classes + near[known], minlength=classes * classes)
    table = cells.reshape(classes, classes)
    np.fill_diagonal(table, -1)
    found: Ints = table.argmax(axis=1)
    return found


def swapped(label: Ints, rows: Ints, classes: int, rng: np.random.Generator) -> Ints:
    """Give some rows a label of another class, any with the same chance; returns all labels."""
    found = label.copy()
    found[rows] = (label[rows] + rng.integers(1, classes, len(rows))) % classes
    return found
