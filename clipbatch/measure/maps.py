"""What does the collection look like on a map, and how far can the map be trusted?

t-SNE and UMAP lay out the shared neighbour graph in two and three dimensions; no distance is
computed again. Further maps show some contents, clean and at every noise level, together.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.build import refuse
from clipbatch.measure import layout, repeats
from clipbatch.measure.base import (
    Analysis,
    Contents,
    Finding,
    Inputs,
    Result,
    Results,
    Unit,
    check_vectors,
)
from clipbatch.measure.cost import Cost, Size
from clipbatch.neighbours.rows import directions

METHODS: Final = ("umap", "tsne")
SECONDS: Final = {"umap": 2e-3, "tsne": 8e-3}  # a row and map; fitted on 600 to 5,000 contents
LEAST: Final = 8  # contents; fewer are no map
CLEAN: Final = 0
NOISE: Final = "noise"


@dataclass(frozen=True)
class MapsParams:
    """Which maps are drawn.

    Attributes:
        methods: "umap", "tsne".
        dims: 2, 3.
        perplexity: of t-SNE.
        nearest: neighbours of UMAP, the content itself included.
        tsne_rows, umap_rows: larger collections get no such map.
        classes: at most this many are drawn by class: a seeded sample, since more cannot be read.
        noise_sample: contents on the map of noise levels; 0 leaves it out.
        judged: contents on which trustworthiness is measured.
    """

    methods: tuple[str, ...] = METHODS
    dims: tuple[int, ...] = (2, 3)
    perplexity: float = 30.0
    nearest: int = 15
    tsne_rows: int = 20_000
    umap_rows: int = 200_000
    classes: int = 15
    noise_sample: int = 100
    judged: int = 2_000

    def __post_init__(self) -> None:
        if not self.methods or not set(self.methods) <= set(METHODS):
            raise refuse("measure.maps.methods", self.methods, 'of "umap" and "tsne"')
        if not self.dims or not set(self.dims) <= {2, 3}:
            raise refuse("measure.maps.dims", self.dims, "of 2 and 3")
        least = {"perplexity": 1, "nearest": 2, "classes": 1, "judged": 20, "noise_sample": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise refuse(f"measure.maps.{name}", getattr(self, name), f"{low} or more")


def placed(contents: Contents) -> NDArray[np.int64]:
    """Return the contents that have a place: a zero vector has no direction and no neighbours."""
    neighbour = contents.found["neighbours"].per_content["neighbour"]
    if not len(contents) or not neighbour.shape[1]:
        return np.empty(0, np.int64)
    return np.flatnonzero(neighbour[:, 0] >= 0).astype(np.int64)


def drawn(contents: Contents, params: MapsParams) -> list[tuple[str, int]]:
    """Return the (method, dims) whose maps this collection is not too large for."""
    limits = {"umap": params.umap_rows, "tsne": params.tsne_rows}
    return [
        (method, dims)
        for method in params.methods
        for dims in params.dims
        if LEAST <= len(placed(contents)) <= limits[method]
    ]


def plan(contents: Contents, params: MapsParams) -> list[Unit]:
    """One unit a map, the slowest first: t-SNE in three dimensions alone at the end is a wait."""
    rows = placed(contents)
    if len(rows) < LEAST:
        return []
    near = contents.found["neighbours"].per_content
    neighbour = near["neighbour"][rows]
    k = _complete(neighbour)
    place = np.full(len(contents), -1, np.int32)
    place[rows] = np.arange(len(rows))
    graph = {"neighbour": place[neighbour[:, :k]], "cosine": near["cosine"][rows, :k]}
    # Float64 principal axes of 512 numbers, the graph, and what either method makes of it.
    memory = len(rows) * (512 * 12 + k * 64)
    units = [
        Unit(f"{method};{dims}", rows, (CLEAN,), graph, memory)
        for method, dims in sorted(drawn(contents, params), key=_slowest_first)
    ]
    noisy = noisy_rows(contents, params)
    if len(noisy) >= LEAST:
        variants = tuple(sorted(contents.variants))
        units += [Unit(f"{NOISE};{m};{d}", noisy, variants) for m, d in noise_maps(params)]
    return units


def _slowest_first(one: tuple[str, int]) -> tuple[int, float]:
    method, dims = one
    return -dims, -SECONDS[method]


def noise_maps(params: MapsParams) -> list[tuple[str, int]]:
    """Return the (method, dims) of the maps of noise levels, drawn however large a collection."""
    return [(method, dims) for method in params.methods for dims in params.dims]


def noisy_rows(contents: Contents, params: MapsParams) -> NDArray[np.int64]:
    """Return the contents on the map of noise levels: the smallest hashes with every variant."""
    levels = [there for variant, there in contents.variants.items() if variant != CLEAN]
    if not levels or not params.noise_sample:
        return np.empty(0, np.int64)
    whole = np.flatnonzero(np.logical_and.reduce([*levels, contents.variants[CLEAN]]))
    return np.sort(repeats.draw(contents, whole, "noise map", params.noise_sample))


def compute(inputs: Inputs, unit: Unit, params: MapsParams) -> Result:
    """Lay out one map and judge it.

    Returns:
        "coordinates" (n, dims) float32 (for the noise map: variant by variant), "recall" (n,)
        float64 and "trustworthiness" float64.
    """
    for vectors in inputs.vectors.values():
        check_vectors(vectors)
    with repeats.one_thread():
        if unit.key.startswith(NOISE):
            return _noise_map(inputs, unit, params)
        method, _, dims = unit.key.partition(";")
        graph = layout.graph_of(unit.arguments["neighbour"], unit.arguments["cosine"])
        coordinates = _laid(method, int(dims), graph, inputs.vectors[CLEAN], params, inputs.seed)
        return _judged(inputs, graph[0], inputs.vectors[CLEAN], coordinates, params)


def _noise_map(inputs: Inputs, unit: Unit, params: MapsParams) -> Result:
    vectors = np.concatenate([inputs.vectors[variant] for variant in unit.variants])
    unit_vectors = directions(vectors)
    cosine = unit_vectors @ unit_vectors.T
    np.fill_diagonal(cosine, -np.inf)
    _, method, dims = unit.key.split(";")
    wanted = layout.asked(params.perplexity) if method == "tsne" else params.nearest
    k = min(wanted, len(vectors) - 1)
    order = np.argsort(-cosine, axis=1, kind="stable")[:, :k].astype(np.int32)
    graph = layout.graph_of(order, np.take_along_axis(cosine, order, axis=1))
    coordinates = _laid(method, int(dims), graph, vectors, params, inputs.seed)
    return _judged(inputs, order, vectors, coordinates, params)


def _laid(
    method: str,
    dims: int,
    graph: layout.Graph,
    vectors: NDArray[np.float32],
    params: MapsParams,
    seed: int,
) -> NDArray[np.float32]:
    start = layout.principal(vectors, dims)
    if np.ptp(start) < 1e-6:  # all vectors are equal: any place is as good, but one spot is none
        start = seeds.generator(seed, "start").normal(size=start.shape)
    if method == "umap":
        return layout.umap(graph, vectors, start, params.nearest, seed)
    return layout.tsne(graph, start, params.perplexity, seed)


def _judged(
    inputs: Inputs,
    neighbour: NDArray[np.int32],
    vectors: NDArray[np.float32],
    coordinates: NDArray[np.float32],
    params: MapsParams,
) -> Result:
    nearest = nearest_judged(len(vectors), neighbour.shape[1])
    picked = seeds.generator(inputs.seed, "judged").permutation(len(vectors))[: params.judged]
    picked = np.sort(picked)
    few = nearest_judged(len(picked), neighbour.shape[1])
    trust = layout.trustworthiness(vectors[picked], coordinates[picked], few)
    return {
        "coordinates": coordinates,
        "recall": layout.neighbour_recall(neighbour, coordinates, nearest),
        "trustworthiness": np.array(trust),
    }


def nearest_judged(rows: int, k: int) -> int:
    """How many neighbours a map is judged by: 10, fewer in small collections."""
    return max(1, min(10, k, rows // 2 - 1))


def _complete(neighbour: NDArray[np.int32]) -> int:
    """Return how many leading columns of a graph have no pads."""
    padded = np.flatnonzero((neighbour < 0).any(axis=0))
    return int(padded[0]) if len(padded) else neighbour.shape[1]


def cost(size: Size, params: MapsParams) -> Cost:
    """Return what the maps take."""
    n = size.contents
    k = min(layout.asked(params.perplexity), max(n - 1, 0))
    noisy = min(n, params.noise_sample) * (size.noisy + 1) if size.noisy else 0
    seconds = len(params.dims) * sum(
        (min(n, limit) + noisy) * SECONDS[method]
        for method, limit in (("umap", params.umap_rows), ("tsne", params.tsne_rows))
        if method in params.methods
    )
    places = sum(params.dims) * len(params.methods) * (2 + size.noisy + 1)
    return Cost(n * (size.dim * 12 + k * 64), seconds, n * places * 4)


def combine(contents: Contents, results: Results, params: MapsParams) -> Finding:
    """Draw the maps."""
    from clipbatch.measure import maps_finding  # which names parts of this file

    return maps_finding.finding(contents, results, params, noisy_rows(contents, params))


ANALYSIS: Final = Analysis(
    name="maps",
    version=3,
    params=MapsParams,
    plan=plan,
    compute=compute,
    combine=combine,
    needs=("neighbours", "clusters"),
    cost=cost,
    graph=lambda params: layout.asked(params.perplexity),
)
