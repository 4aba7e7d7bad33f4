"""Are rows and columns of a table of counts independent? Test, effect size, and what chance gives.

Capitals: R rows, C columns, P random tables.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SMALL: Final = 5.0  # expected count below which the chi-square distribution is not trusted
_TABLES: Final = 1 << 22  # cells of random tables held at once

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Chance:
    """What tables with the same margins and no dependence give.

    Attributes:
        g: (P,) G statistics.
        v: (P,) Cramer's V.
        empty: (P,) empty cells.
    """

    g: Floats
    v: Floats
    empty: Floats


def expected(table: Floats) -> Floats:
    """Return the counts that independence would give, (..., R, C)."""
    total = table.sum(axis=(-2, -1), keepdims=True)
    rows, columns = table.sum(axis=-1, keepdims=True), table.sum(axis=-2, keepdims=True)
    found: Floats = rows * columns / np.maximum(total, 1)
    return found


def g_statistic(table: Floats) -> Floats:
    """Return G = 2 sum O ln(O / E), (...,); chi-square with (R - 1)(C - 1) degrees of freedom."""
    ratio = np.divide(table, expected(table), out=np.ones_like(table), where=table > 0)
    found: Floats = 2.0 * (table * np.log(ratio)).sum(axis=(-2, -1))
    return np.maximum(found, 0.0)


def cramers_v(table: Floats, noise: int = 1) -> Floats:
    """How strongly do rows and columns depend? 0 not at all, 1 wholly.

    Bias-corrected (Bergsma, "A bias-correction for Cramer's V and Tschuprow's T", 2013), so that
    independence gives about 0 whatever the size of the table.

    Args:
        table: (..., R, C) counts; empty rows and columns do not count.
        noise: how often chance had its part in them: twice in a table drawn from a table.
    """
    total = table.sum(axis=(-2, -1))
    even = expected(table)
    square = np.divide((table - even) ** 2, even, out=np.zeros_like(table), where=even > 0)
    rows = (table.sum(axis=-1) > 0).sum(axis=-1)
    columns = (table.sum(axis=-2) > 0).sum(axis=-1)
    n = np.maximum(total, 2)
    freedom = (rows - 1) * (columns - 1) / (n - 1)
    phi = np.maximum(square.sum(axis=(-2, -1)) / n - noise * freedom, 0.0)
    narrow = np.minimum(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1))
    found: Floats = np.sqrt(np.divide(phi, narrow - 1, out=np.zeros_like(phi), where=narrow > 1))
    return np.minimum(found, 1.0)


def residuals(table: Floats) -> Floats:
    """Return adjusted residuals, (R, C): about standard normal under independence (Agresti)."""
    total = max(float(table.sum()), 1.0)
    even = expected(table)
    rows, columns = table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    variance = even * (1 - rows / total) * (1 - columns / total)
    scale = np.sqrt(variance)
    found: Floats = np.divide(table - even, scale, out=np.zeros_like(table), where=scale > 0)
    return found


def chance(table: Ints, permutations: int, rng: np.random.Generator) -> Chance:
    """Draw tables with the margins of ``table`` (Patefield 1981), as if labels were dealt out."""
    from scipy.stats import random_table

    margins = random_table(table.sum(axis=1), table.sum(axis=0))
    step = max(1, _TABLES // max(table.size, 1))
    parts: list[tuple[Floats, Floats, Floats]] = []
    for start in range(0, permutations, step):
        drawn = margins.rvs(size=min(step, permutations - start), random_state=rng)
        drawn = drawn.reshape(-1, *table.shape).astype(np.float64)
        empty = (drawn == 0).sum(axis=(1, 2)).astype(np.float64)
        parts.append((g_statistic(drawn), cramers_v(drawn), empty))
    return Chance(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def p_value(table: Ints, by_chance: Chance) -> tuple[float, str]:
    """Return the p-value of independence and how it was found.

    Of the chi-square distribution where every expected count is at least 5, else of the random
    tables, (1 + as extreme) / (1 + P) (Phipson and Smyth 2010).
    """
    from scipy.stats import chi2

    exact = table.astype(np.float64)
    g = float(g_statistic(exact))
    smallest = float(expected(exact).min())
    if smallest >= SMALL:
        freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
        return float(chi2.sf(g, freedom)), f"G-test, G = {g:.1f}, {freedom} degrees of freedom"
    extreme = int((by_chance.g >= g * (1 - 1e-12)).sum())
    why = f"an expected count is {smallest:.2g}, below {SMALL:g}"
    return (1 + extreme) / (1 + len(by_chance.g)), (
        f"{len(by_chance.g)} random tables with the same margins, as {why}"
    )


def bootstrap_v(table: Ints, draws: int, rng: np.random.Generator) -> Floats:
    """Return Cramer's V of contents drawn again with replacement, (draws,)."""
    n = int(table.sum())
    shares = table.ravel() / n
    parts = [
        cramers_v(rng.multinomial(n, shares).reshape(table.shape).astype(np.float64), noise=2)
        for _ in range(draws)
    ]
    return np.array(parts)
