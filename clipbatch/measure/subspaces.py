"""Subspaces of groups of vectors and the principal angles between them.

Columns are basis vectors in feature space: a basis is (D, K), never (contents, D). With the
transposed orientation any n < D contents span all of R^n, and every pair of classes is at 0.
Capitals: N contents, D numbers a vector, K dimensions a subspace, C classes, P pairs of classes.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DEFICIENT: Final = 1e-12  # share of all squares below which a direction is rounding
BLOCK: Final = 256  # pairs whose residuals are held at once


def _gram(samples: Array, centre: bool) -> tuple[Array, Array]:
    """Return the samples (mean removed if asked), (..., N, D), and their products, (..., N, N)."""
    if centre:
        samples = samples - samples.mean(axis=-2, keepdims=True)
    return samples, samples @ np.swapaxes(samples, -1, -2)


def dimension(samples: NDArray[np.floating], share: float) -> int:
    """How many principal directions hold ``share`` of the variance about the mean?

    Args:
        samples: (N, D).
        share: (0, 1].

    Returns:
        The smallest such number, 1 to N - 1; 0 where the samples do not vary.
    """
    exact = samples.astype(np.float64)
    _, gram = _gram(exact, centre=True)
    variances = np.linalg.eigvalsh(gram)[::-1]
    if variances[0] <= DEFICIENT * np.square(exact).sum():
        return 0
    shares = np.cumsum(np.maximum(variances, 0.0)) / np.maximum(variances, 0.0).sum()
    return min(int(np.searchsorted(shares, share - 1e-12)) + 1, len(samples) - 1)


def bases(samples: NDArray[np.floating], k: int, *, centre: bool) -> Array:
    """Which K directions hold most of each group of samples?

    Args:
        samples: (..., N, D), K < N.
        k: directions wanted.
        centre: True for the affine subspace (about the group's mean), False for the linear one
            (through the origin).

    Returns:
        (..., D, K) orthonormal columns; NaN where the samples do not span K directions.
    """
    exact = samples.astype(np.float64)
    total = np.square(exact).sum(axis=(-2, -1))
    exact, gram = _gram(exact, centre)
    variances, vectors = np.linalg.eigh(gram)
    spanning = np.swapaxes(exact, -1, -2) @ vectors[..., ::-1][..., :k]
    basis = np.linalg.qr(spanning).Q
    deficient = variances[..., -k] <= DEFICIENT * total
    return np.where(deficient[..., None, None], np.nan, basis)


def _angles(inner: Array) -> Array:
    """Turn products of bases, (P, K, K), into angles by the cosine, (P, K) degrees ascending."""
    unknown = np.asarray(np.isnan(inner).any(axis=(-2, -1)))
    known: Array = np.where(unknown[:, None, None], 0.0, inner)
    cosines = np.linalg.svd(known, compute_uv=False)
    angles = np.degrees(np.arccos(np.clip(cosines, 0.0, 1.0)))
    return np.where(unknown[:, None], np.nan, angles)


def principal_angles(first: Array, second: Array) -> Array:
    """How far must each subspace turn to lie in its partner?

    The i-th angle is the smallest one between a direction of the one subspace and a direction of
    the other, both orthogonal to the directions of the angles before it. Angles below one degree
    come from their sine, the singular values of ``second - first (first^T second)``, because the
    arccosine cannot tell small angles apart (Bjoerck & Golub 1973; Knyazev & Argentati 2002).

    Args:
        first: (P, D, K) orthonormal columns.
        second: (P, D, K) likewise.

    Returns:
        (P, K) degrees, ascending, [0, 90]; NaN where a basis is.
    """
    angles = _angles(np.swapaxes(first, -1, -2) @ second)
    _refine(angles, first, second, np.arange(len(first)), np.arange(len(second)))
    return angles


def all_pairs(stack: Array) -> Array:
    """What are the principal angles between every two of these subspaces?

    One matrix product and one batched SVD serve all pairs.

    Args:
        stack: (C, D, K) orthonormal columns.

    Returns:
        (P, K) degrees, ascending; pairs in the order of ``numpy.triu_indices(C, 1)``.
    """
    count, dim, k = stack.shape
    rows = np.swapaxes(stack, -1, -2).reshape(count * k, dim)
    a, b = np.triu_indices(count, 1)
    inner = (rows @ rows.T).reshape(count, k, count, k)[a, :, b, :]
    angles = _angles(inner)
    _refine(angles, stack, stack, a, b)
    return angles


def _refine(
    angles: Array, first: Array, second: Array, a: NDArray[np.intp], b: NDArray[np.intp]
) -> None:
    """Replace the angles below one degree by those that their sines give, in place."""
    small = np.flatnonzero(angles[:, 0] < 1.0)
    for start in range(0, len(small), BLOCK):
        block = small[start : start + BLOCK]
        left, right = first[a[block]], second[b[block]]
        residual = right - left @ (np.swapaxes(left, -1, -2) @ right)
        sines = np.linalg.svd(residual, compute_uv=False)[:, ::-1]
        precise = np.degrees(np.arcsin(np.clip(sines, 0.0, 1.0)))
        angles[block] = np.where(angles[block] < 1.0, precise, angles[block])


def distance(angles: Array) -> Array:
    """How far apart are two subspaces, over all their directions?

    The projection (chordal) distance divided by its largest value: sqrt(mean of sin^2), which is
    ||P - P'||_F / sqrt(2 K) for the projectors P, P' (Edelman, Arias & Smith 1998, section 4.3).

    Args:
        angles: (..., K) degrees.

    Returns:
        (...) from 0 (the same subspace) to 1 (orthogonal ones).
    """
    sines = np.sin(np.radians(angles))
    return np.asarray(np.sqrt(np.mean(np.square(sines), axis=-1)))
