"""Into which groups do the pictures fall by themselves, and do these agree with the labels?

Spherical k-means on a seeded sample, from several starts; every content is then assigned to the
nearest centroid, and the clusters are scored against the labels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.errors import ConfigError, UnitFailed
from clipbatch.measure import clusters_finding, kmeans, pairs
from clipbatch.measure.base import (
    Analysis,
    Contents,
    Finding,
    Inputs,
    NextRound,
    Result,
    Results,
    Unit,
    check_vectors,
)
from clipbatch.measure.clusters_story import Chosen, Story
from clipbatch.measure.cost import Cost, Size
from clipbatch.measure.repeats import CLEAN, one_thread

LADDER: Final = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64)
ASSUMED_DIM: Final = 2048  # for the estimate only: plan does not see vectors
NULLS: Final = 3  # structureless clouds to compare the silhouette with


@dataclass(frozen=True)
class ClustersParams:
    """How many clusters, and how they are found.

    Attributes:
        k: clusters; 0 takes the number of classes where there are at least two, else the k of the
            ladder whose silhouette is the largest.
        ladder: what k is chosen from.
        restarts: starts of k-means; the best by mean cosine is told, all give the spread.
        sample: contents that k-means is fitted on, those of the smallest seeded hash.
        silhouette_sample: contents that the silhouette is taken on; of k's choice as well.
        max_iterations: of one start.
        bootstraps: draws behind an interval.
        permutations: of the labels, for the control.
        block_rows: contents assigned at once; the work is cut by it, the answer is not.
        memory_gb: of one unit.
    """

    k: int = 0
    ladder: tuple[int, ...] = LADDER
    restarts: int = 5
    sample: int = 50_000
    silhouette_sample: int = 2000
    max_iterations: int = 100
    bootstraps: int = 200
    permutations: int = 20
    block_rows: int = 8192
    memory_gb: float = 4.0

    def __post_init__(self) -> None:
        least = {"k": 0, "restarts": 1, "sample": 1, "silhouette_sample": 4, "max_iterations": 1}
        least |= {"bootstraps": 2, "permutations": 1, "block_rows": 1}
        for name, bound in least.items():
            if (got := getattr(self, name)) < bound:
                raise ConfigError(f"measure.clusters.{name}: got {got}, expected {bound} or more")
        if not self.ladder or min(self.ladder) < 2:
            raise ConfigError(
                f"measure.clusters.ladder: got {list(self.ladder)}, expected numbers of 2 or more"
            )
        if self.memory_gb <= 0:
            raise ConfigError(
                f"measure.clusters.memory_gb: got {self.memory_gb}, expected a number above 0"
            )


def plan(contents: Contents, params: ClustersParams) -> list[Unit]:
    """Try the ladder where k is still to be chosen, else fit at once.

    Raises:
        UnitFailed: the sample would not fit ``memory_gb``.
    """
    if not len(contents):
        return []
    known = known_k(contents, params)
    return list(_ladder(contents, params) if known is None else _fits(contents, params, known.k))


def known_k(contents: Contents, params: ClustersParams) -> Chosen | None:
    """Return k where the parameters or the labels give it."""
    if params.k:
        return Chosen(min(params.k, len(contents)), f"given (k = {params.k})")
    classes = len(np.unique(contents.label[contents.label >= 0]))
    if classes >= 2:
        return Chosen(classes, "the number of classes")
    if len(contents) <= 2 or min(params.ladder) >= len(contents):
        return Chosen(1, "too few contents to choose from")
    return None


def _sample(contents: Contents, size: int) -> NDArray[np.int64]:
    ids = contents.content_id.tolist()
    return seeds.sample(contents.seed, "clusters", ids, min(size, len(contents)))


def _ladder(contents: Contents, params: ClustersParams) -> Iterator[Unit]:
    rows = _sample(contents, params.silhouette_sample)
    for k in sorted({k for k in params.ladder if k < len(rows)}):
        yield from _starts(f"ladder;k={k}", rows, k, params)


def _fits(contents: Contents, params: ClustersParams, k: int) -> Iterator[Unit]:
    rows = _sample(contents, params.sample)
    yield from _starts(f"fit;k={k}", rows, k, params)
    for repeat in range(NULLS):
        key = f"null;k={k};repeat={repeat}"
        yield Unit(key, rows[: params.silhouette_sample], arguments={"k": k})


def _starts(name: str, rows: NDArray[np.int64], k: int, params: ClustersParams) -> Iterator[Unit]:
    needed = 3 * len(rows) * ASSUMED_DIM * 4
    if needed > params.memory_gb * 1e9:
        raise UnitFailed(
            f"clusters: a sample of {len(rows):,} contents needs about {needed / 1e9:.1f} GB, got "
            f"a limit of {params.memory_gb:g} GB; lower measure.clusters.sample, or raise memory_gb"
        )
    for restart in range(params.restarts):
        yield Unit(f"{name};restart={restart}", rows, arguments={"k": k}, memory=needed)


def compute(inputs: Inputs, unit: Unit, params: ClustersParams) -> Result:
    """Answer one unit: a fit with its silhouette, or a block's clusters under every fit."""
    vectors = inputs.vectors[CLEAN]
    check_vectors(vectors)
    with one_thread():
        if unit.key.startswith("assign"):
            return _assign(vectors, unit.arguments)
        x = pairs.directions(vectors[vectors.any(axis=1)])
        rng = seeds.generator(inputs.seed, "fit")
        if unit.key.startswith("null"):
            x = _featureless(x, rng)
        return _fit(x, int(unit.arguments["k"]), rng, params)


def _featureless(x: kmeans.Floats, rng: np.random.Generator) -> kmeans.Floats:
    """Draw directions of the same mean and covariance that have no clusters."""
    from clipbatch.measure.diagrams import featureless

    if len(x) < 2:
        return x
    return pairs.directions(featureless(x, len(x), rng).astype(np.float32))


def _fit(x: kmeans.Floats, k: int, rng: np.random.Generator, params: ClustersParams) -> Result:
    if not len(x):  # only zero vectors: they have no direction, and belong to no cluster
        return {"centroids": np.zeros((0, x.shape[1]), np.float32), "silhouette": np.empty(0)}
    fit = kmeans.fit(x, k, rng, params.max_iterations)
    seen = slice(params.silhouette_sample)
    return {
        "centroids": fit.centroids,
        "objective": np.array(fit.objective),
        "iterations": np.array(fit.iterations),
        "converged": np.array(fit.converged),
        "silhouette": kmeans.silhouettes(x[seen], fit.label[seen]),
        "fitted": np.array(len(x)),
    }


def _assign(vectors: NDArray[np.float32], arguments: Mapping[str, Any]) -> Result:
    """Assign under every restart: centroids (R K, D), with the restart of each."""
    x = pairs.directions(vectors)
    restart = arguments["restart"]
    found = [
        kmeans.assign(x, arguments["centroids"][restart == r]) for r in range(restart.max() + 1)
    ]
    label, cosine = (np.stack(side) for side in zip(*found, strict=True))
    return {"label": label.astype(np.int32), "cosine": cosine}


def combine(contents: Contents, results: Results, params: ClustersParams) -> Finding | NextRound:
    """After the ladder, fit; after the fits, assign; after that, tell."""
    if not len(contents):
        return clusters_finding.unanswerable(contents, "the collection has no contents")
    chosen = known_k(contents, params) or _choose(results)
    if fits := [u for u in _fits(contents, params, chosen.k) if u.key not in results]:
        return NextRound(fits)
    starts = [results[f"fit;k={chosen.k};restart={r}"] for r in range(params.restarts)]
    if not len(starts[0]["centroids"]):
        return clusters_finding.unanswerable(contents, "every vector is zero")
    blocks = _assignments(contents, starts, params)
    if any(unit.key not in results for unit in blocks):
        return NextRound(blocks)
    label = np.empty((len(starts), len(contents)), np.int64)
    cosine = np.empty((len(starts), len(contents)))
    for unit in blocks:
        label[:, unit.rows] = results[unit.key]["label"]
        cosine[:, unit.rows] = results[unit.key]["cosine"]
    nulls = [results[f"null;k={chosen.k};repeat={r}"] for r in range(NULLS)]
    return clusters_finding.tell(
        Story(contents, chosen, starts, nulls, label, cosine),
        clusters_finding.Draws(params.bootstraps, params.permutations),
    )


def _choose(results: Results) -> Chosen:
    """Take the k of the largest silhouette, the smaller of equals."""
    ladder: dict[int, list[float]] = {}
    for key, result in results.items():
        if key.startswith("ladder;") and len(result["silhouette"]):
            k = int(key.split(";")[1].removeprefix("k="))
            ladder.setdefault(k, []).append(float(result["silhouette"].mean().round(9)))
    if not ladder:
        return Chosen(1, "no k of the ladder gave two clusters")
    ladder = {k: sorted(ladder[k]) for k in sorted(ladder)}
    best = max(ladder, key=lambda k: (round(float(np.mean(ladder[k])), 9), -k))
    return Chosen(best, "the largest silhouette of the ladder", ladder)


def _assignments(
    contents: Contents, starts: Sequence[Result], params: ClustersParams
) -> list[Unit]:
    """Assign blocks of contents to the centroids of every start."""
    centroids = np.concatenate([start["centroids"] for start in starts])
    restart = np.repeat(np.arange(len(starts)), [len(start["centroids"]) for start in starts])
    width = 4 * centroids.shape[1] * 4  # bytes of a content: vectors, directions, float64
    rows = max(1, min(params.block_rows, int(params.memory_gb * 1e9 / width)))
    cut = pairs.blocks(contents, rows)
    return [
        Unit(
            key=f"assign;block={i};of={len(cut)}",
            rows=block,
            arguments={"centroids": centroids, "restart": restart},
            memory=len(block) * width + centroids.nbytes * 3,
        )
        for i, block in enumerate(cut)
        if len(block)
    ]


def cost(size: Size, params: ClustersParams) -> Cost:
    """Tell what the fits and the assignment take.

    A fit took 1e-9 s a number and cluster (3 to 10 iterations), an assignment 1e-10 s, the
    silhouettes of 2,000 contents 1 s.
    """
    rows, k = min(size.contents, params.sample), params.k or size.classes or max(params.ladder)
    tried = (k,) if params.k or size.classes else (k, *params.ladder)
    fits = params.restarts * len(tried)
    silhouettes = (fits + NULLS) * (min(rows, params.silhouette_sample) / 2000) ** 2
    fitting = 1e-9 * rows * k * size.dim * params.restarts
    assigning = 1e-10 * size.contents * k * size.dim * params.restarts
    centroids = params.restarts * sum(min(k, rows) for k in tried) + NULLS * min(k, rows)
    stored = centroids * size.dim * 4 + size.contents * (params.restarts * 12 + 4)
    stored += (fits + NULLS) * min(rows, params.silhouette_sample) * 8
    return Cost(3 * rows * ASSUMED_DIM * 4, fitting + assigning + silhouettes, stored)


ANALYSIS: Final = Analysis(
    name="clusters",
    version=1,
    params=ClustersParams,
    plan=plan,
    compute=compute,
    combine=combine,
    names_positions=False,
    cost=cost,
)
