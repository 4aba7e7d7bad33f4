"""Do two samples come from one distribution? By a classifier, and by kernel means (MMD).

Both tests are linear in the labels of the samples once a matrix is known, so a permutation costs
one product. Capitals: n points of both samples, P permutations, B bootstrap draws, F folds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 2.5, 97.5  # ends of an interval, percent
AT_ONCE = 512  # draws for which a matrix of (draws, n) is held

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Answer:
    """One statistic with its interval and what chance gives.

    Attributes:
        value: of the samples.
        bootstrap: (B,) of samples drawn again.
        permuted: (P,) of samples whose points were dealt out at random.
    """

    value: float
    bootstrap: Floats
    permuted: Floats

    @property
    def p(self) -> float:
        """(1 + as large by chance) / (1 + P) (Phipson and Smyth 2010)."""
        return float((1 + (self.permuted >= self.value - 1e-12).sum()) / (1 + len(self.permuted)))

    def interval(self, tails: float = 1.0) -> tuple[float, float]:
        """Return the percentile interval, moved by the bootstrap's bias; holds the value.

        Args:
            tails: number of intervals that shall hold together (Bonferroni).
        """
        ends = np.percentile(self.bootstrap, [LOW / tails, 100 - (100 - HIGH) / tails])
        low, high = ends - (self.bootstrap.mean() - self.value)
        return min(float(low), self.value), max(float(high), self.value)


def shuffled(second: NDArray[np.bool_], stratum: Ints, rng: np.random.Generator) -> Floats:
    """Deal out the membership within each stratum, (n,): class shares stay as they are."""
    found = second.astype(np.float64)
    for value in np.unique(stratum):
        rows = np.flatnonzero(stratum == value)
        found[rows] = found[rng.permutation(rows)]
    return found


def scorer(x: Floats, fold: Ints, ridge: float) -> Floats:
    """Return the (n, n) matrix that turns labels into out-of-fold scores of a linear classifier.

    Least squares on -1 and +1 with a ridge penalty: the direction of a regularised linear
    discriminant. Row i holds only points outside the fold of i.

    Args:
        x: (n, D).
        fold: (n,).
        ridge: penalty, in units of the mean squared length of the centred points.
    """
    centred = x - x.mean(axis=0)
    kernel = centred @ centred.T
    penalty = ridge * max(float(np.trace(kernel)) / len(x), 1e-12)
    found = np.zeros((len(x), len(x)))
    for value in np.unique(fold):
        here, rest = np.flatnonzero(fold == value), np.flatnonzero(fold != value)
        inner = kernel[np.ix_(rest, rest)] + penalty * np.eye(len(rest))
        found[np.ix_(here, rest)] = np.linalg.solve(inner, kernel[np.ix_(rest, here)]).T
    return found


def auc(score: Floats, second: NDArray[np.bool_], fold: Ints) -> float:
    """Return the chance that a point of the second sample scores above one of the first.

    Pairs are of one fold each, since every fold has a classifier of its own. NaN without a pair.
    """
    return float(aucs(score[:, None], second[:, None], fold)[0])


def aucs(score: Floats, second: NDArray[np.bool_], fold: Ints) -> Floats:
    """Return ``auc`` of each column of score (n, P) and second (n, P), all at once."""
    from scipy.stats import rankdata

    above, count = np.zeros(score.shape[1]), np.zeros(score.shape[1])
    for value in np.unique(fold):
        here = fold == value
        high = second[here].sum(axis=0)
        low = here.sum() - high
        ranks = rankdata(score[here].round(9), axis=0)
        above += (ranks * second[here]).sum(axis=0) - high * (high + 1) / 2
        count += high * low
    found: Floats = np.divide(above, count, out=np.full(len(count), np.nan), where=count > 0)
    return found


def classifier(
    x: Floats,
    second: NDArray[np.bool_],
    groups: tuple[Ints, Ints],
    ridge: float,
    draws: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[Answer, Floats]:
    """Can a linear classifier tell the samples apart?

    The classifier two-sample test (Lopez-Paz and Oquab 2017), with a permutation p-value.

    Args:
        x: (n, D).
        second: (n,) which sample a point is of.
        groups: stratum (n,) within which labels are permuted, and fold (n,).
        ridge: see ``scorer``.
        draws: bootstraps and permutations.
        rng: of all draws.

    Returns:
        The area under its ROC curve, and its score of every point (n,), out of fold.
    """
    stratum, fold = groups
    matrix = scorer(x, fold, ridge)
    score = matrix @ np.where(second, 1.0, -1.0)
    permuted = np.empty(draws[1])
    for start in range(0, draws[1], AT_ONCE):
        here = range(start, min(start + AT_ONCE, draws[1]))
        dealt = np.stack([shuffled(second, stratum, rng) for _ in here], axis=1)
        scores = matrix @ (2 * dealt - 1)
        permuted[here] = aucs(scores, dealt > 0, fold)
    bootstrap = _bootstrap_auc(score, second, fold, draws[0], rng)
    return Answer(auc(score, second, fold), bootstrap, permuted), score


def _bootstrap_auc(
    score: Floats, second: NDArray[np.bool_], fold: Ints, draws: int, rng: np.random.Generator
) -> Floats:
    """Draw the points of each fold and sample again; the classifier is held."""
    above, count = np.zeros(draws), 0.0
    for value in np.unique(fold):
        low, high = score[(fold == value) & ~second], score[(fold == value) & second]
        if not len(low) or not len(high):
            continue
        wins = (high[:, None] > low[None, :]) + 0.5 * (high[:, None] == low[None, :])
        a = rng.multinomial(len(high), np.full(len(high), 1 / len(high)), draws)
        b = rng.multinomial(len(low), np.full(len(low), 1 / len(low)), draws)
        above += ((a @ wins) * b).sum(axis=1)
        count += len(high) * len(low)
    return above / max(count, 1.0)


def kernel(x: Floats) -> Floats:
    """Return a Gaussian kernel (n, n) whose width is the median distance (Gretton et al. 2012)."""
    squares = (x * x).sum(axis=1)
    distance = np.maximum(squares[:, None] + squares[None, :] - 2 * x @ x.T, 0.0)
    middle = float(np.median(distance[np.triu_indices(len(x), 1)]))
    found: Floats = np.exp(-distance / (2 * max(middle / 2, 1e-12)))
    return found


def mmd(
    x: Floats,
    second: NDArray[np.bool_],
    stratum: Ints,
    draws: tuple[int, int],
    rng: np.random.Generator,
) -> Answer:
    """How far apart are the kernel means? Unbiased squared MMD (Gretton et al. 2012, lemma 6).

    Arguments as for ``classifier``. The bootstrap leaves out pairs of a point with itself, which
    drawing again would otherwise count as close.
    """
    matrix = kernel(x)
    high = second.astype(np.float64)
    permuted, drawn = np.empty(draws[1]), np.empty(draws[0])
    for start in range(0, draws[1], AT_ONCE):
        here = range(start, min(start + AT_ONCE, draws[1]))
        dealt = np.stack([shuffled(second, stratum, rng) for _ in here])
        permuted[here] = _mmd(matrix, 1 - dealt, dealt)
    for start in range(0, draws[0], AT_ONCE):
        here = range(start, min(start + AT_ONCE, draws[0]))
        again = np.zeros((2, len(here), len(x)))
        for side, members in enumerate((np.flatnonzero(~second), np.flatnonzero(second))):
            shares = np.full(len(members), 1 / len(members))
            again[side][:, members] = rng.multinomial(len(members), shares, len(here))
        drawn[here] = _mmd(matrix, again[0], again[1])
    return Answer(float(_mmd(matrix, 1 - high[None], high[None])[0]), drawn, permuted)


def _mmd(matrix: Floats, a: Floats, b: Floats) -> Floats:
    """Return squared MMD of weighted samples a and b, (W, n) each; pairs i = i left out."""
    ka, kb = a @ matrix, b @ matrix
    diagonal = np.diagonal(matrix)

    def within(weight: Floats, product: Floats) -> Floats:
        own = (weight**2 * diagonal).sum(axis=1)
        pairs = weight.sum(axis=1) ** 2 - (weight**2).sum(axis=1)
        inner: Floats = ((product * weight).sum(axis=1) - own) / np.maximum(pairs, 1.0)
        return inner

    between = (ka * b).sum(axis=1) / (a.sum(axis=1) * b.sum(axis=1))
    found: Floats = within(a, ka) + within(b, kb) - 2 * between
    return found.round(12)


def holm(p: Floats) -> Floats:
    """Return p-values corrected for their number (Holm 1979), (T,)."""
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty(len(p))
    found[order] = np.minimum(raised, 1.0)
    return found
