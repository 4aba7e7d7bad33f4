"""How the units of the neighbour graph that ask for no neighbours are answered."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import kmeans, pairs
from clipbatch.measure.base import Result, Unit
from clipbatch.neighbours.join import join

COLUMNS: Final = 4096  # numbers of each sampled vector held in float64 at once


@dataclass(frozen=True)
class Wanted:
    """Pairs of at least a cosine, at most so many; and contents to estimate from."""

    threshold: float
    max_pairs: int
    sample: int


def sample(
    vectors: NDArray[np.float32], unit: Unit, wanted: Wanted, rng: np.random.Generator
) -> Result:
    """Estimate how many pairs there will be, and find the centres of cells where asked to."""
    directions = pairs.directions(vectors)
    first = directions[: wanted.sample]
    products = np.zeros((len(first), len(first)))
    for start in range(0, first.shape[1], COLUMNS):
        part = first[:, start : start + COLUMNS].astype(np.float64)
        products += part @ part.T
    # Rounded, so that the order in which a product was summed cannot move the threshold.
    cosines = np.sort(products[np.triu_indices(len(first), 1)].clip(-1.0, 1.0).round(9))[::-1]
    all_pairs = int(unit.arguments["all_pairs"])
    expected = int((cosines >= wanted.threshold).sum()) * all_pairs / len(cosines)
    threshold = wanted.threshold
    if expected > wanted.max_pairs:
        # Twice as many as will be listed: the sample may err, and the cap is then still reached.
        place = min(len(cosines), int(np.ceil(2 * wanted.max_pairs * len(cosines) / all_pairs)))
        threshold = max(threshold, float(np.floor(cosines[place - 1] * 1e4) / 1e4))
    found = {
        "expected": np.array(expected),
        "threshold": np.array(threshold),
        "size": np.array([len(first), first.shape[1]]),
    }
    if unit.arguments["cells"]:
        there = directions[directions.any(axis=1)]
        fit = kmeans.fit(there, min(int(unit.arguments["cells"]), len(there)), rng, 10)
        found["centres"] = fit.centroids
    return found


def pairs_of(vectors: NDArray[np.float32], unit: Unit, max_pairs: int) -> Result:
    """List the pairs of two blocks, or of one with itself, and whose vectors are zero."""
    first, threshold = int(unit.arguments["first"]), float(unit.arguments["threshold"])
    second = vectors[first:] if first < len(vectors) else None
    found = join(vectors[:first], second, threshold, max_pairs)
    return {
        "a": found.a.astype(np.int32),
        "b": found.b.astype(np.int32),
        "cosine": found.cosine,
        "total": np.array(found.total),
        "zero": np.flatnonzero(~vectors.any(axis=1)).astype(np.int32),
    }


def cells(vectors: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the centre of the largest cosine, (n,)."""
    found = np.empty(len(vectors), np.int32)
    exact = centres.astype(np.float64)  # so that the order of a sum cannot move a content
    for start in range(0, len(vectors), 1024):
        part = vectors[start : start + 1024].astype(np.float64)
        found[start : start + len(part)] = (part @ exact.T).argmax(axis=1)
    return found
