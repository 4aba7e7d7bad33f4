"""Two plain classifiers of vectors: nearest centroid and linear probe.

Capitals: N training contents, M others, D numbers a vector. Classes are numbered from 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.floating[Any]]
Classes = NDArray[np.integer[Any]]


def nearest_centroid(train: Vectors, label: Classes, vectors: Vectors) -> NDArray[np.int64]:
    """Which class mean lies nearest? Euclidean; nothing is fitted but the means.

    Args:
        train: (N, D), at least one.
        label: (N,) classes of them.
        vectors: (M, D).

    Returns:
        (M,) classes, of those that ``label`` holds.
    """
    from sklearn.neighbors import NearestCentroid

    known = np.unique(label)
    if len(known) == 1:  # scikit-learn asks for two
        return np.full(len(vectors), known[0], np.int64)
    exact = train.astype(np.float64)
    if np.ptp(exact, axis=0).max() == 0:  # nor does it take copies of one vector
        return np.full(len(vectors), np.bincount(label).argmax(), np.int64)
    fitted = NearestCentroid().fit(exact, label)
    return np.asarray(fitted.predict(vectors.astype(np.float64)), np.int64)


@dataclass(frozen=True)
class Probe:
    """A fitted linear probe.

    Attributes:
        mean: (D,) of the training vectors. scale: their root mean square distance from it.
        model: the logistic regression, or the one class there was.
        converged: whether fitting ended before its limit of steps.
    """

    mean: NDArray[np.float64]
    scale: float
    model: Any
    converged: bool

    def predict(self, vectors: Vectors) -> NDArray[np.int64]:
        """Return classes, (M,), of vectors, (M, D)."""
        if isinstance(self.model, int):
            return np.full(len(vectors), self.model, np.int64)
        moved = (vectors.astype(np.float64) - self.mean) / self.scale
        return np.asarray(self.model.predict(moved), np.int64)


def fit_probe(train: Vectors, label: Classes, strength: float, steps: int = 1000) -> Probe:
    """Which hyperplanes part the classes? Multinomial logistic regression, L2-penalised, L-BFGS.

    The vectors are moved to mean 0 and scaled, all numbers alike, to a mean square length of 1, so
    that one strength means the same for every encoder (Alain & Bengio 2016 name such probes).

    Args:
        train: (N, D), at least one.
        label: (N,) classes of them.
        strength: scikit-learn's C: the larger, the weaker the penalty.
        steps: of L-BFGS at most.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    exact = train.astype(np.float64)
    mean = exact.mean(axis=0)
    scale = float(np.sqrt(np.square(exact - mean).sum(axis=1).mean())) or 1.0
    if len(known := np.unique(label)) == 1:
        return Probe(mean, scale, int(known[0]), True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model = LogisticRegression(C=strength, max_iter=steps).fit((exact - mean) / scale, label)
    converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
    return Probe(mean, scale, model, converged)


def choose_strength(
    vectors: Vectors, label: Classes, held: NDArray[np.bool_], strengths: Sequence[float]
) -> float:
    """Which strength of the probe serves best on contents held back from fitting?

    Args:
        vectors: (N, D).
        label: (N,) classes of them.
        held: (N,) which are held back.
        strengths: ascending; of equals the first, which has the strongest penalty.
    """
    if len(strengths) == 1 or held.all() or not held.any():
        return strengths[0]
    right = [
        (fit_probe(vectors[~held], label[~held], s).predict(vectors[held]) == label[held]).mean()
        for s in strengths
    ]
    return strengths[int(np.argmax(right))]
