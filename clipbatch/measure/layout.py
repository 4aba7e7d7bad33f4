"""Maps of a neighbour graph, and how faithful a map is: arrays in, arrays out."""

from __future__ import annotations

import math
import warnings
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Graph = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Neighbours (N, k) and chords (N, k), nearest first, without the row itself."""

_TSNE_START: Final = 1e-4  # standard deviation of the first axis; Kobak & Berens 2019
_UMAP_START: Final = 10.0  # largest coordinate
# How coarsely far points are summed (0 exact). An octree has many more cells than a quadtree: on
# 1,393 photographs 0.8 takes 0.6 of the time of 0.5, with trustworthiness 0.988 (0.987) and
# neighbour recall 0.607 (0.610).
_ANGLES: Final = {2: 0.5, 3: 0.8}


def graph_of(neighbour: NDArray[np.int32], cosine: NDArray[np.float32]) -> Graph:
    """Turn cosines of unit vectors into chords, sqrt(2 - 2 cosine); -1 pads stay."""
    return neighbour, np.sqrt(np.maximum(2 - 2 * cosine, 0)).astype(np.float32)


def principal(vectors: NDArray[np.float32], dims: int) -> NDArray[np.float64]:
    """Return the leading principal coordinates, (N, dims), of one sign on every machine.

    A map that starts from them keeps the large-scale order and does not hang on chance (Kobak &
    Berens 2019). Axes that the vectors do not have are 0.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, np.argsort(-values, kind="stable")[:dims]]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    found = centred @ (axes * np.where(largest < 0, -1.0, 1.0))
    return np.pad(found, ((0, 0), (0, dims - found.shape[1])))


def tsne(graph: Graph, start: NDArray[np.float64], perplexity: float, seed: int) -> NDArray[Any]:
    """Lay out a graph by Barnes-Hut t-SNE (van der Maaten 2014); returns (N, dims) float32.

    Args:
        graph: of at least 3 neighbours a row.
        start: (N, dims), dims 2 or 3.
        perplexity: lowered to what the graph's neighbours allow, a third of them.
        seed: of nothing but ties; the start decides.
    """
    from sklearn.manifold import TSNE

    dims = start.shape[1]
    spread = start[:, 0].std() or 1.0
    model = TSNE(
        n_components=dims,
        perplexity=perplexity_for(graph, perplexity),
        metric="precomputed",
        # scikit-learn's own rule (Belkina et al. 2019) but for its floor of 50, which scatters
        # small maps in three dimensions.
        learning_rate=max(len(start) / 48, 10.0),
        init=(start / spread * _TSNE_START).astype(np.float32),
        random_state=seed % 2**32,
        angle=_ANGLES[dims],
        n_jobs=1,
    )
    return np.asarray(model.fit_transform(_sparse(graph)), np.float32)


def asked(perplexity: float) -> int:
    """Return how many neighbours a perplexity takes: 91 for 30."""
    return math.ceil(3 * perplexity) + 1


def perplexity_for(graph: Graph, wanted: float) -> float:
    """Return the perplexity that a graph can serve: scikit-learn asks for 3 p + 1 neighbours."""
    return min(wanted, (int(graph[0].shape[1]) - 1) / 3)


def umap(
    graph: Graph, vectors: NDArray[np.float32], start: NDArray[np.float64], nearest: int, seed: int
) -> NDArray[Any]:
    """Lay out a graph by UMAP (McInnes, Healy & Melville 2018); returns (N, dims) float32.

    Args:
        graph: of at least 2 neighbours a row.
        vectors: (N, D); their number is all that is used.
        start: (N, dims).
        nearest: neighbours that count, the row itself included.
        seed: of the negative samples; one thread, so that it decides.
    """
    from umap import UMAP

    own = np.arange(len(vectors), dtype=np.int32)[:, None]
    indices = np.hstack([own, graph[0]])
    chords = np.hstack([np.zeros((len(own), 1), np.float32), graph[1]])
    nearest = min(nearest, indices.shape[1], len(vectors) - 1)
    largest = np.abs(start).max() or 1.0
    with warnings.catch_warnings():
        # That new points cannot be placed without a search index; none are.
        warnings.filterwarnings("ignore", message="precomputed_knn")
        warnings.filterwarnings("ignore", message="n_jobs value")
        model = UMAP(
            n_components=start.shape[1],
            n_neighbors=nearest,
            precomputed_knn=(indices[:, :nearest], chords[:, :nearest]),
            init=(start / largest * _UMAP_START).astype(np.float32),
            random_state=seed % 2**32,
            n_jobs=1,
        )
        return np.asarray(model.fit_transform(vectors), np.float32)


def neighbour_recall(
    neighbour: NDArray[np.int32], coordinates: NDArray[np.float32], nearest: int
) -> NDArray[np.float64]:
    """Which share of each row's nearest neighbours are its nearest on the map too? (N,) in [0, 1].

    Args:
        neighbour: (N, k), nearest first.
        coordinates: (N, dims).
        nearest: how many count, at most k.
    """
    from scipy.spatial import cKDTree

    own = np.arange(len(coordinates))[:, None]
    _, found = cKDTree(coordinates).query(coordinates, k=nearest + 1)
    # Rows on one spot may come before the row itself; then the farthest goes instead.
    others = np.where(found == own, -1, found)
    lacking = (found != own).all(axis=1)
    others[lacking, -1] = -1
    shared = (neighbour[:, :nearest, None] == others[:, None, :]).any(axis=2)
    return np.asarray(shared.mean(axis=1), np.float64)


def trustworthiness(
    vectors: NDArray[np.float32], coordinates: NDArray[np.float32], nearest: int
) -> float:
    """Are neighbours on the map neighbours in truth? 1 is perfect, chance is about 0.5.

    Venna & Kaski 2001: one minus a penalty for every map neighbour, by its rank among the vectors.
    """
    from sklearn.manifold import trustworthiness as measured

    share: float = measured(vectors, coordinates, n_neighbors=nearest, metric="cosine")
    return float(share)


def _sparse(graph: Graph) -> Any:
    from scipy.sparse import csr_matrix

    neighbour, chord = graph
    n, k = neighbour.shape
    # The row itself comes first, at distance 0: scikit-learn drops it again.
    columns = np.hstack([np.arange(n)[:, None], neighbour])
    values = np.hstack([np.zeros((n, 1), np.float32), chord])
    return csr_matrix((values.ravel(), columns.ravel(), np.arange(n + 1) * (k + 1)), shape=(n, n))
