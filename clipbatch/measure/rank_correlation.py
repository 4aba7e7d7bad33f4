"""Rank correlation across classes within levels: pooled, permuted, corrected, bootstrapped.

Capitals: C classes, L levels, H hypotheses (pairs of quantities that are correlated).
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def ranks(values: Array) -> Array:
    """Rank along the last axis, ties sharing their mean; centred, of length 1; NaN if all tie."""
    from scipy.stats import rankdata

    if not values.shape[-1]:
        return values
    found = rankdata(values, axis=-1).astype(np.float64)
    found -= found.mean(axis=-1, keepdims=True)
    length = np.sqrt(np.square(found).sum(axis=-1, keepdims=True))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(length > 1e-9, found / np.where(length > 0, length, 1), np.nan))


def spearman(first: Array, second: Array) -> Array:
    """Do two quantities rank the classes alike? Spearman's rho, ties at their mean rank.

    Args:
        first: (..., C).
        second: likewise.

    Returns:
        (...) from -1 to 1; NaN where either is the same for all classes.
    """
    known = first.shape[-1] > 0
    return np.asarray(np.where(known, (ranks(first) * ranks(second)).sum(axis=-1), np.nan))


def pooled(first: Array, second: Array) -> Array:
    """Do they rank the classes alike within levels? The mean of the levels' rho.

    Ranks are taken within a level, so that what only follows the level counts for nothing.

    Args:
        first: (..., L, C).
        second: likewise.

    Returns:
        (...) from -1 to 1; the mean of the levels that have a rho, NaN without one.
    """
    rho = spearman(first, second)
    known = np.isfinite(rho)
    count = known.sum(axis=-1)
    mean = np.where(known, rho, 0.0).sum(axis=-1) / np.maximum(count, 1)
    return np.asarray(np.where(count > 0, mean, np.nan))


def permuted(first: Array, second: Array, generator: np.random.Generator, draws: int) -> Array:
    """What would ``pooled`` be if the classes of the one had nothing to do with those of the other?

    The classes are dealt out anew, in all levels by the same permutation: a class that is high at
    one level is high at the next, and permuting every level for itself would call that evidence.

    Args:
        first: (H, L, C). All hypotheses are permuted alike.
        second: likewise.
        generator: source of randomness.
        draws: permutations.

    Returns:
        (draws, H); NaN where ``pooled`` is.
    """
    left, right = ranks(first), ranks(second)
    known = (np.isfinite(left) & np.isfinite(right)).any(axis=-1)  # all of a level, or none
    left, right = (np.nan_to_num(side) for side in (left, right))
    count = known.sum(axis=-1)
    found = np.empty((draws, len(first)))
    for draw in range(draws):
        order = generator.permutation(first.shape[-1])
        found[draw] = (left[..., order] * right).sum(axis=(1, 2))
    return np.where(count > 0, found / np.maximum(count, 1), np.nan)


def p_values(observed: Array, chance: Array) -> tuple[Array, Array]:
    """How often does chance give as much? Two-sided, each for itself and corrected for all.

    The corrected p compares with the largest of all hypotheses in each permutation (Westfall &
    Young 1993), which accounts for their dependence.

    Args:
        observed: (H,) pooled.
        chance: (draws, H) of ``permuted``.

    Returns:
        (H,) and (H,), (1 + as extreme) / (1 + draws); NaN where ``observed`` is.
    """
    size, null = np.abs(observed) - 1e-12, np.abs(chance)
    largest = np.where(np.isfinite(null), null, 0.0).max(axis=1, initial=0.0)
    with np.errstate(invalid="ignore"):
        own = (1 + (null >= size).sum(axis=0)) / (1 + len(null))
        among = (1 + (largest[:, None] >= size).sum(axis=0)) / (1 + len(null))
    unknown = ~np.isfinite(observed)
    return np.where(unknown, np.nan, own), np.where(unknown, np.nan, among)


def bootstrapped(first: Array, second: Array, generator: np.random.Generator, draws: int) -> Array:
    """What would ``pooled`` be with other classes of the same kind?

    Classes are drawn with replacement, the same in all levels and hypotheses.

    Args:
        first: (H, L, C).
        second: likewise.
        generator: source of randomness.
        draws: bootstrap draws.

    Returns:
        (draws, H); NaN where all drawn classes tie.
    """
    count = first.shape[-1]
    found = np.full((draws, len(first)), np.nan)
    for draw in range(draws if count else 0):
        drawn = generator.integers(0, count, count)
        found[draw] = pooled(first[..., drawn], second[..., drawn])
    return found


def interval(draws: Array) -> tuple[Array, Array]:
    """Return the ends of the 95 % percentile interval of each column, (H,); NaN without draws."""
    known = np.isfinite(draws).any(axis=0)
    ends = np.full((2, draws.shape[1]), np.nan)
    if known.any():
        ends[:, known] = np.nanpercentile(draws[:, known], [2.5, 97.5], axis=0)
    return ends[0], ends[1]


def naive(first: Array, second: Array) -> Array:
    """What does one get who ranks all cells of all levels together? Confounded by the level.

    Args:
        first: (H, L, C).
        second: likewise.

    Returns:
        (H,).
    """
    found = []
    for left, right in zip(first, second, strict=True):
        known = np.isfinite(left) & np.isfinite(right)
        found.append(spearman(left[known], right[known]) if known.any() else np.nan)
    return np.array(found, np.float64)
