"""Spherical k-means: groups of directions around unit centroids.

scikit-learn's KMeans minimises distances to means, which lie inside the sphere; here centroids stay
on it, so that a content belongs to the centroid of the largest cosine (Dhillon & Modha 2001).
Capitals: N contents, D numbers a vector, K clusters.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

FAR: Final = 1e-6  # 1 - cosine above which a content may found a cluster of its own
_CHUNK: Final = 1 << 22  # numbers taken in float64 at once
_DECIMALS: Final = 12  # of a cosine; what is left does not depend on how a product was summed

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Fit:
    """One local optimum.

    Attributes:
        centroids: (K', D) float32, unit; K' <= K, since clusters that stay empty are dropped.
        label: (N,) centroid of each content.
        objective: mean cosine of a content to its centroid, [-1, 1].
        iterations: until nothing moved.
        converged: False where ``max_iterations`` came first.
    """

    centroids: Floats
    label: Labels
    objective: float
    iterations: int
    converged: bool


def fit(x: Floats, k: int, rng: np.random.Generator, max_iterations: int) -> Fit:
    """Which k directions do these contents gather around?

    Args:
        x: (N, D) unit rows, N >= 1.
        k: clusters wanted.
        rng: for the seeding.
        max_iterations: of assigning and averaging.
    """
    centroids = seeding(x, min(k, len(x)), rng)
    label = np.full(len(x), -1, np.int64)
    iterations, converged = 0, False
    while not converged and iterations < max_iterations:
        iterations += 1
        cosine = x @ centroids.T
        new = cosine.argmax(axis=1)
        _refill(new, cosine[np.arange(len(x)), new], len(centroids))
        converged = bool((new == label).all())
        label = new
        centroids = _means(x, label, centroids)
    used, label = np.unique(label, return_inverse=True)
    centroids = centroids[used]
    own = np.einsum("nd,nd->n", x, centroids[label], dtype=np.float64)
    return Fit(centroids, label, float(own.mean()), iterations, converged)


def seeding(x: Floats, k: int, rng: np.random.Generator) -> Floats:
    """Choose k contents as first centroids: greedy k-means++ with 1 - cosine as the weight.

    1 - cosine is half the squared chord, so this is D^2 sampling (Arthur & Vassilvitskii 2007); of
    2 + log k candidates a step, the one that helps most is taken, as scikit-learn does.
    """
    candidates = 2 + int(np.log(k))
    chosen = [int(rng.integers(len(x)))]
    apart = 1.0 - x @ x[chosen[0]]
    while len(chosen) < k:
        weight = np.cumsum(apart.clip(0.0), dtype=np.float64)
        if weight[-1] <= FAR:  # fewer than k different directions
            break
        drawn = np.searchsorted(weight, rng.random(candidates) * weight[-1], side="right")
        drawn = drawn.clip(max=len(x) - 1)
        options = np.minimum(apart[:, None], 1.0 - x @ x[drawn].T)
        best = int(options.clip(0.0).sum(axis=0, dtype=np.float64).argmin())
        chosen.append(int(drawn[best]))
        apart = options[:, best]
    return x[chosen]


def assign(x: Floats, centroids: Floats) -> tuple[Labels, NDArray[np.float64]]:
    """Which centroid is each content nearest to, and at what cosine?

    In float64 and rounded, so that the answer is the same however the contents were cut.

    Args:
        x: (N, D) unit rows; a row of zeros belongs to no centroid.
        centroids: (K, D).

    Returns:
        (N,) label, the lowest of equals, -1 for a row of zeros; (N,) cosine.
    """
    label = np.full(len(x), -1, np.int64)
    own = np.zeros(len(x))
    exact = centroids.astype(np.float64).T
    step = max(1, _CHUNK // max(x.shape[1], 1))
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        cosine = (x[part].astype(np.float64) @ exact).round(_DECIMALS)
        label[part] = cosine.argmax(axis=1)
        own[part] = cosine.max(axis=1)
    label[~x.any(axis=1)] = -1
    return label, own


def silhouettes(x: Floats, label: Labels) -> NDArray[np.float64]:
    """How much nearer is each content to its own cluster than to the next one?

    (b - a) / max(a, b) of mean distances 1 - cosine, a to its own cluster and b to the nearest
    other one (Rousseeuw 1987).

    Args:
        x: (N, D) unit rows; N^2 numbers are held.
        label: (N,).

    Returns:
        (N,) in [-1, 1], 0 for the only content of a cluster; (0,) where there are fewer than two
        clusters, or as many as contents.
    """
    from sklearn.metrics import silhouette_samples

    if not 2 <= len(np.unique(label)) < len(x):
        return np.empty(0)
    exact = x.astype(np.float64)
    apart = (1.0 - exact @ exact.T).clip(0.0)
    np.fill_diagonal(apart, 0.0)
    found: NDArray[np.float64] = silhouette_samples(apart, label, metric="precomputed")
    return found


def _refill(label: Labels, own: Floats, k: int) -> None:
    """Give every empty cluster the content that fits its own the worst, in place."""
    sizes = np.bincount(label, minlength=k)
    empty = np.flatnonzero(sizes == 0)
    if not len(empty):
        return
    for content in np.argsort(own, kind="stable"):
        if not len(empty) or 1.0 - own[content] <= FAR:
            return
        if sizes[label[content]] > 1:
            sizes[label[content]] -= 1
            label[content], empty = empty[0], empty[1:]


def _means(x: Floats, label: Labels, before: Floats) -> Floats:
    """Return the direction of each cluster's mean; the one before where there is none."""
    order = np.argsort(label, kind="stable")
    ends = np.searchsorted(label[order], np.arange(len(before) + 1))
    centroids = before.copy()
    for c in range(len(before)):
        total = x[order[ends[c] : ends[c + 1]]].sum(axis=0, dtype=np.float64)
        length = np.linalg.norm(total)
        if length > FAR:
            centroids[c] = total / length
    return centroids
