"""Which prompt fits a picture best, by how much, and does it fit better than a made-up word would?

Capitals: N pictures, C classes, T prompts a class, M made-up words, D numbers a vector.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds

Vectors = NDArray[np.floating]

MADE_UP: Final = 256  # words that the null is estimated from
LEVEL: Final = 0.05

_BLOCK: Final = 8192  # pictures at a time
_BEFORE: Final = "b br c ch d dr f fl g gr h j k l m n p pl qu r s sh st t tr v w z".split()  # noqa: SIM905
_VOWELS: Final = "a e i o u ai ea oo".split()  # noqa: SIM905
_AFTER: Final = ["", "", "", *"b ck d g l m n nd p r rt s st t x".split()]  # noqa: SIM905


@dataclass(frozen=True)
class Ranking:
    """The best class of every picture, and how far to believe it.

    Attributes:
        best: position of the class, (N,) int64.
        score: cosine of picture and class, (N,) float32.
        margin: score less that of the second class, (N,) float32, not negative; NaN for one class.
        low: whether the best of as many made-up words would score as high by chance, (N,) bool.
    """

    best: NDArray[np.int64]
    score: NDArray[np.float32]
    margin: NDArray[np.float32]
    low: NDArray[np.bool_]


def made_up_words(count: int = MADE_UP, seed: int = 0) -> list[str]:
    """Make distinct words that can be spoken and mean nothing, two or three syllables long.

    To be put into the same templates as the classes and encoded: the null that ``rank`` needs.
    """
    draws = seeds.generator(seed, "made-up words")
    words: dict[str, None] = {}
    while len(words) < count:
        parts = (_BEFORE, _VOWELS, _AFTER) * int(draws.integers(2, 4))
        words["".join(part[draws.integers(len(part))] for part in parts)] = None
    return list(words)


def ensemble(prompts: Vectors) -> NDArray[np.float64]:
    """Average each class's prompts, (C, T, D), to unit vectors (C, D).

    As open_clip does: unit vectors, their mean, brought back to length 1 (Radford et al. 2021).
    """
    return _unit(_unit(prompts.astype(np.float64)).mean(axis=1))


def rank(vectors: Vectors, classes: Vectors, null: Vectors, *, level: float = LEVEL) -> Ranking:
    """Find every picture's best class, its margin, and whether nonsense would do as well.

    A picture's scores with made-up words have a mean and a standard deviation; taken as normal,
    the best of C such scores stays below a bound with probability 1 - ``level``. A best class
    below that bound is marked low. So of classes that mean nothing to the encoder about 1 -
    ``level`` of the rankings are marked, whatever the pictures; no picture calibrates the rule.

    Args:
        vectors: of pictures, (N, D).
        classes: one vector a class, (C, D), C at least 1; see ``ensemble``.
        null: one vector a made-up word, in the classes' templates, (M, D), M at least 2.
        level: in (0, 1).

    Raises:
        ValueError: no class, or fewer than two made-up words.
    """
    if len(classes) < 1 or len(null) < 2:
        raise ValueError(
            f"rank: got {len(classes)} classes and {len(null)} made-up words, expected at least "
            "1 and 2; encode made_up_words() in the classes' templates"
        )
    sides = _unit(classes.astype(np.float64)), _unit(null.astype(np.float64))
    quantile = statistics.NormalDist().inv_cdf((1 - level) ** (1 / len(classes)))
    starts = range(0, max(len(vectors), 1), _BLOCK)
    parts = [_rank(vectors[start : start + _BLOCK], *sides, quantile) for start in starts]
    best, score, margin, low = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Ranking(best, score.astype(np.float32), margin.astype(np.float32), low)


def _rank(
    vectors: Vectors, classes: NDArray[np.float64], null: NDArray[np.float64], quantile: float
) -> tuple[NDArray[np.int64], Vectors, Vectors, NDArray[np.bool_]]:
    unit = _unit(vectors.astype(np.float64))
    scores, chance = unit @ classes.T, unit @ null.T
    best = scores.argmax(axis=1)
    top = scores[np.arange(len(scores)), best]
    rest = scores.copy()
    rest[np.arange(len(scores)), best] = -np.inf
    second = rest.max(axis=1)
    margin = np.where(np.isfinite(second), top - second, np.nan)
    return best, top, margin, top <= chance.mean(axis=1) + quantile * chance.std(axis=1, ddof=1)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: NDArray[np.float64] = vectors / np.maximum(lengths, 1e-12)
    return unit
