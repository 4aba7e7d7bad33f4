"""Persistence diagrams of point clouds, the distances between diagrams, and a featureless null.

A diagram is (B, 2) float64: the birth and death of each bar, in units of distance (the filtration
is by diameter: an edge enters at its length). Bars that never die are left out.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Diagram = NDArray[np.float64]

UNIT_TOLERANCE: Final = 1e-3  # of a norm; float16 vectors are off by up to 5e-4
ASSUMED_DIM: Final = 2048  # numbers a vector, for the estimate only: plans do not see vectors


def estimate(points: int, clouds: int, dims: int, pairs: int) -> tuple[int, float]:
    """Return the bytes and the seconds of one core that some clouds and distances need.

    Both on the large side, fitted to one core: ripser with H0 and H1 on 512-d took 0.4 s at 500
    points, 1.4 s at 1,000, 8 s and 0.57 GB at 2,000; a Wasserstein distance 0.15 s between 500
    bars and 1.5 s between 1,200, in a dense matrix of all bars and their places on the diagonal; a
    bottleneck distance 0.06 s and 0.28 s.

    Args:
        points: in each cloud.
        clouds: diagrams computed, one after the other.
        dims: dimensions of homology, 1 or 2.
        pairs: diagrams compared, by both distances.
    """
    square, cube = points**2, points**3
    memory = 200 * square + (clouds + 4) * points * ASSUMED_DIM * 8
    seconds = clouds * (0.8e-6 * square + 0.6e-9 * cube)
    return memory, seconds + pairs * dims * (1.5e-9 * cube + 0.3e-6 * square)


def is_unit(vectors: NDArray[np.floating]) -> bool:
    """Do all vectors, (N, D), have length 1?"""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    return bool(np.all(np.abs(norms - 1.0) <= UNIT_TOLERANCE))


def distances(vectors: NDArray[np.floating]) -> Array:
    """How far apart are the points? Euclidean; on unit vectors that is the chord, 2 sin(angle/2).

    Args:
        vectors: (N, D).

    Returns:
        (N, N), symmetric, zeros on the diagonal.
    """
    exact = vectors.astype(np.float64)  # float32 products would part copies by some 3e-4
    gram = exact @ exact.T
    squares = np.diagonal(gram)
    result = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2.0 * gram, 0.0))
    result = (result + result.T) / 2.0
    np.fill_diagonal(result, 0.0)
    return result


def persistence(matrix: Array, maxdim: int = 1) -> list[Diagram]:
    """Which components (H0), loops (H1), ... appear and vanish as the points grow together?

    Vietoris-Rips persistence over Z/2 by ripser (Bauer 2021), all dimensions from one matrix.

    Args:
        matrix: (N, N) distances.
        maxdim: highest dimension.

    Returns:
        A diagram per dimension, sorted by birth and death. H0 has one bar that never dies: the
        whole cloud; it is left out. Bars of length 0 (copies of a point) are not listed.
    """
    from ripser import ripser

    found = ripser(matrix, maxdim=maxdim, distance_matrix=True)["dgms"]
    diagrams = []
    for bars in found:
        finite = np.asarray(bars, np.float64).reshape(-1, 2)
        finite = finite[np.isfinite(finite[:, 1])]
        diagrams.append(finite[np.lexsort((finite[:, 1], finite[:, 0]))])
    return diagrams


def lifetimes(diagram: Diagram) -> Array:
    """How long does each bar last? (B,)."""
    return diagram[:, 1] - diagram[:, 0]


def entropy(diagram: Diagram) -> float:
    """Do all bars last alike, or do few last and the others vanish?

    Persistent entropy (Chintakunta et al. 2015): Shannon's, of lifetimes as shares of their sum.

    Returns:
        Nats: log(bars) where all last alike, 0 for one bar or none.
    """
    from scipy.stats import entropy as of_shares

    lives = lifetimes(diagram)
    return float(of_shares(lives)) if lives.any() else 0.0


def median_death(diagram: Diagram) -> float:
    """At what size has half of the bars died? NaN without bars."""
    return float(np.median(diagram[:, 1])) if len(diagram) else float("nan")


def scatter(diagram: Diagram) -> float:
    """How far do the bars lie apart in the diagram? Root mean square from their mean; 0 for one."""
    if not len(diagram):
        return 0.0
    return float(np.sqrt(np.square(diagram - diagram.mean(axis=0)).sum(axis=1).mean()))


def wasserstein(first: Diagram, second: Diagram) -> float:
    """How much must all bars move to turn one diagram into the other?

    The least sum of Euclidean (L2) moves in the birth-death plane, p = 1, where a bar may also
    move to its nearest point on the diagonal, lifetime / sqrt(2) away. That is what persim 0.4
    computes: its ground distance is L2 for pairs and for the diagonal alike.
    """
    from persim import wasserstein as of_persim

    if not len(first) and not len(second):
        return 0.0
    return float(of_persim(first, second))


def bottleneck(first: Diagram, second: Diagram) -> float:
    """What is the largest move of a bar needed to turn one diagram into the other?

    The least, over all matchings, of the largest L-infinity move; the diagonal is lifetime / 2
    away. Moving every point by at most e moves diagrams by at most 2 e (Cohen-Steiner, Edelsbrunner
    & Harer 2007; Chazal, de Silva & Oudot 2014).

    A move d suffices when the bars of each diagram that are too long for the diagonal
    (lifetime / 2 > d) can be matched within d into the other: two one-sided matchings join into
    one (Mendelsohn & Dulmage 1958). Only long bars enter the search, so it stays far below the
    dense (M + N)^2 graph of persim 0.4, which took 94 s on 1,241 and 1,226 bars where this takes
    0.2 s; the values agree.
    """
    halves = lifetimes(first) / 2.0, lifetimes(second) / 2.0
    largest = max((float(h.max()) for h in halves if len(h)), default=0.0)
    moves = np.abs(first[:, None, :] - second[None, :, :]).max(axis=2)
    candidates = np.concatenate([[0.0], moves[moves <= largest], *halves])
    candidates = np.unique(candidates)
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        within = moves <= candidates[middle]
        left, right = (h > candidates[middle] for h in halves)
        if _covers(within[left]) and _covers(within[:, right].T):
            high = middle
        else:
            low = middle + 1
    return float(candidates[low])


def _covers(edges: NDArray[np.bool_]) -> bool:
    """Can every row be matched to a column of its own?"""
    from scipy.optimize import linear_sum_assignment

    if not len(edges):
        return True
    if len(edges) > edges.shape[1] or not edges.any(axis=1).all():
        return False
    # SciPy's maximum_bipartite_matching did not end in minutes on 800 bars of one birth.
    rows, columns = linear_sum_assignment(~edges)
    return bool(edges[rows, columns].all())


def featureless(
    vectors: NDArray[np.floating], size: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Draw a cloud that has the mean and covariance of the vectors, and no other shape.

    Gaussian, covariance shrunk towards a multiple of the identity (Ledoit & Wolf 2004); brought
    back to the sphere where the vectors are unit. Drawn as a random mixture of the centred
    vectors plus white noise, which has that covariance without a (D, D) matrix.

    Args:
        vectors: (N, D), N of 2 or more.
        size: points wanted.
        generator: source of randomness.

    Returns:
        (size, D).
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    exact = vectors.astype(np.float64)
    mean = exact.mean(axis=0)
    centred = exact - mean
    if not centred.any():
        return np.repeat(mean[None], size, axis=0)
    count, dim = centred.shape
    shrinkage = float(ledoit_wolf_shrinkage(centred, assume_centered=True))
    mixture = generator.standard_normal((size, count)) @ centred / np.sqrt(count)
    white = generator.standard_normal((size, dim)) * np.sqrt(np.square(centred).sum() / count / dim)
    cloud = mean + np.sqrt(1.0 - shrinkage) * mixture + np.sqrt(shrinkage) * white
    if is_unit(vectors):
        cloud /= np.linalg.norm(cloud, axis=1, keepdims=True)
    return np.asarray(cloud, np.float64)
