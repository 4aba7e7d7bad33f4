"""Where in the image tower's space would a meaning be that is not one of its classes?

Kriging (Gaussian process regression) of the classifier's rows over meanings, with a covariance
from WordNet, from the words and from the glosses. Its constants were chosen by leaving one class
out at a time and predicting its row from the others; no picture takes part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_TREE_POWER: Final = 3
_WORDS: Final = 0.25
_GLOSSES: Final = 0.75
_BOTH: Final = 0.5  # of the product of the tree with the texts
_NOISE: Final = 0.3


@dataclass(frozen=True)
class Meanings:
    """What kriging knows of N meanings.

    Attributes:
        tree: Lin's similarity to the C classes, (N, C).
        words: mean embedding of the words, (N, E).
        gloss: embedding of the gloss, (N, E).
    """

    tree: NDArray[np.float64]
    words: NDArray[np.float64]
    gloss: NDArray[np.float64]


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring every row to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: NDArray[np.float64] = vectors / np.maximum(lengths, 1e-12)
    return scaled


def krige(classes: Meanings, rows: NDArray[np.float64], wanted: Meanings) -> NDArray[np.float64]:
    """Predict the rows of the wanted meanings, (N, D).

    Args:
        classes: the C classes.
        rows: theirs, (C, D), centred, of length 1.
        wanted: N meanings.
    """
    within = covariance(classes, classes) + _NOISE * np.eye(len(rows))
    return covariance(wanted, classes) @ np.linalg.solve(within, rows)


def leave_one_out(classes: Meanings, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predict every class's row from the other classes, (C, D).

    The closed form of Rasmussen and Williams, "Gaussian Processes for Machine Learning", 5.4.2.
    """
    inverse = np.linalg.inv(covariance(classes, classes) + _NOISE * np.eye(len(rows)))
    return rows - inverse @ rows / np.diag(inverse)[:, None]


def covariance(left: Meanings, right: Meanings) -> NDArray[np.float64]:
    """Return how alike two sets of meanings look before any row is seen, (L, R).

    ``right`` are the classes, around whose mean embeddings are taken.
    """
    words = _near(left.words, right.words)
    gloss = _near(left.gloss, right.gloss)
    tree = left.tree
    own: NDArray[np.float64] = (
        tree**_TREE_POWER + _WORDS * words + _GLOSSES * gloss + _BOTH * tree * (words + gloss)
    )
    return own


def _near(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    centre = right.mean(axis=0)
    cosines = unit(left - centre) @ unit(right - centre).T
    near: NDArray[np.float64] = np.exp(-(2 - 2 * cosines))
    return near
