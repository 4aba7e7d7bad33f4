"""What is a score of suspicion worth? Measured by planting wrong labels in the collection itself.

At a known rate labels are swapped, everything is scored again, and the share of planted ones at
each score is the probability that a label with this score is wrong: at that rate, with errors of
that kind. Unplanted labels are taken for right, so real errors only lower the figures; the rate is
kept at twice what the collection may hold of its own, so that these cannot hide the planted ones.
Capitals: R repeats, B bins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure import labels_votes as votes
from clipbatch.measure.labels_votes import Floats, Ints

LEAST: Final = 50  # scores of a bin: five pictures, each seen in ten repeats
ABOVE: Final = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # planted shares that a bound is taken at
RELIABILITY: Final = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)  # edges of predicted probability


@dataclass(frozen=True)
class Ballot:
    """Who votes on whom, and the labels.

    Attributes:
        content_id: (N,) str.
        neighbour: (N, K) positions.
        may_vote: (N, K).
        label: (N,) int64, -1 for none.
        classes: C, those that have a content; labels are 0 to C - 1.
        seed: the collection's.
    """

    content_id: NDArray[np.str_]
    neighbour: Ints
    may_vote: NDArray[np.bool_]
    label: Ints
    classes: int
    seed: int

    def cast(self, label: Ints) -> votes.Votes:
        """Score these labels."""
        return votes.cast(self.neighbour, self.may_vote, label, self.classes)


@dataclass(frozen=True)
class Planted:
    """One repeat: the scores of all labelled contents, and which were planted.

    Attributes:
        score: (M,) of contents with a label and a voter.
        wrong: (M,) whether the label was swapped.
    """

    score: Floats
    wrong: NDArray[np.bool_]

    @property
    def auc(self) -> float:
        """Chance that a planted label scores above a right one; one half is no knowledge."""
        from scipy.stats import rankdata

        bad = int(self.wrong.sum())
        good = len(self.wrong) - bad
        if not bad or not good:
            return float("nan")
        ranks = rankdata(self.score)
        return float((ranks[self.wrong].sum() - bad * (bad + 1) / 2) / (bad * good))


@dataclass(frozen=True)
class Curve:
    """Score to probability: steps that only rise.

    Attributes:
        start: (B,) ascending; the lowest score of each step.
        probability: (B,) never falling.
    """

    start: Floats
    probability: Floats

    def __call__(self, score: Floats) -> Floats:
        """Return the probability that a label with this score is wrong; 0 where there is none."""
        if not len(self.start):
            return np.zeros(len(score))
        step = np.searchsorted(self.start, score, side="right") - 1
        return np.where(np.isnan(score), 0.0, self.probability[np.maximum(step, 0)])

    def line(self, probability: float) -> float:
        """Return the lowest score of at least this probability; infinity where there is none."""
        reached = self.probability >= probability
        return float(self.start[reached][0]) if reached.any() else float("inf")


def plant(ballot: Ballot, rate: float, repeats: int, *, similar: bool = False) -> list[Planted]:
    """Swap a share of the labels, several times over, and score everything anew.

    Args:
        ballot: the collection as it is.
        rate: share of the labelled contents that are swapped; at least one is.
        repeats: R.
        similar: swap to the class that is most often among the neighbours of a picture's own:
            the mistake that a person would make, and the hardest to see.
    """
    rows = np.flatnonzero(ballot.label >= 0)
    ids = ballot.content_id[rows].tolist()
    size = max(1, round(rate * len(rows)))
    confused = votes.confused_with(ballot.neighbour, ballot.may_vote, ballot.label, ballot.classes)
    found = []
    for repeat in range(repeats):
        name = f"labels;plant={repeat};similar={similar}"
        chosen = rows[seeds.sample(ballot.seed, name, ids, size)]
        label = ballot.label.copy()
        if similar:
            label[chosen] = confused[label[chosen]]
        else:
            rng = seeds.generator(ballot.seed, name)
            label = votes.swapped(label, chosen, ballot.classes, rng)
        score = ballot.cast(label).score
        known = np.isfinite(score)
        found.append(Planted(score[known], (label != ballot.label)[known]))
    return found


def at_most(repeat: Planted, score: Floats) -> float:
    """Which share of the labels as they are can be wrong, if wrong ones score as planted ones do?

    A share w of wrong labels puts at least w F(t) of all labels above a score t, of which F(t) is
    the planted share: so w is at most the least of G(t) / F(t), where G(t) is the share of all
    labels above t (Blanchard et al. 2010).
    """
    planted, known = repeat.score[repeat.wrong], score[np.isfinite(score)]
    if not len(planted) or not len(known):
        return float("nan")
    lines = np.quantile(planted, 1.0 - np.array(ABOVE), method="lower")
    ratios = [(known >= line).mean() / (planted >= line).mean() for line in lines]
    return float(min(1.0, *ratios))


def curve(repeats: Sequence[Planted]) -> Curve:
    """Fit probability to score: isotonic regression (Zadrozny and Elkan 2002) over bins."""
    from scipy.optimize import isotonic_regression

    score = np.concatenate([r.score for r in repeats]) if repeats else np.empty(0)
    if not len(score):
        return Curve(np.empty(0), np.empty(0))
    wrong = np.concatenate([r.wrong for r in repeats])
    values, step, counts = np.unique(score, return_inverse=True, return_counts=True)
    planted = np.bincount(step, weights=wrong)
    # From the top, so that the highest scores, which matter, are never a bin of a few.
    bins = np.array(list(_filled(counts[::-1].tolist())))[::-1]
    bins = bins.max() - bins
    total = np.bincount(bins, weights=counts)
    share = np.bincount(bins, weights=planted) / total
    fitted = isotonic_regression(share, weights=total).x
    return Curve(values[np.unique(bins, return_index=True)[1]], np.asarray(fitted, np.float64))


def _filled(counts: list[int]) -> Iterator[int]:
    """Number values so that every bin but the last holds at least LEAST scores."""
    number = held = 0
    for count in counts:
        if held >= LEAST:
            number, held = number + 1, 0
        held += count
        yield number


def precision_recall(repeat: Planted, line: float) -> tuple[float, float]:
    """Return the share of told labels that were planted, and of planted ones that were told."""
    told = repeat.score >= line
    hit = int((told & repeat.wrong).sum())
    precision = hit / told.sum() if told.any() else float("nan")
    return float(precision), hit / max(int(repeat.wrong.sum()), 1)


def reliability(fitted: Curve, unseen: Sequence[Planted]) -> tuple[float, list[list[float]]]:
    """Hold the probabilities against repeats that they were not fitted on.

    Returns:
        The expected calibration error (the mean gap, weighted by contents), and rows of
        (lowest predicted, highest predicted, contents, mean predicted, share planted).
    """
    predicted = np.concatenate([fitted(r.score) for r in unseen])
    wrong = np.concatenate([r.wrong for r in unseen])
    place = np.searchsorted(RELIABILITY[1:-1], predicted, side="right")
    rows, error = [], 0.0
    for b in range(len(RELIABILITY) - 1):
        here = place == b
        if here.any():
            mean, share = float(predicted[here].mean()), float(wrong[here].mean())
            error += abs(mean - share) * float(here.mean())
            rows.append([RELIABILITY[b], RELIABILITY[b + 1], int(here.sum()), mean, share])
    return error, rows
