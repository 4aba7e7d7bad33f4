"""What one unit of ``angles`` computes: a block of repeats, or the evidence of a pair."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure import subspaces
from clipbatch.measure.angles_summary import MODES
from clipbatch.measure.base import Inputs, Result
from clipbatch.measure.repeats import CLEAN

CEILINGS: Final = 16  # pairs of random subspaces a repeat
NEAREST: Final = 4  # contents of either class shown for a pair


def compare(vectors: NDArray[np.float32], arguments: Mapping[str, Any]) -> Result:
    """Compare all classes in every repeat of a block; the rows of all were read once."""
    result: dict[str, NDArray[Any]] = {}
    for repeat, seed in arguments["seeds"].items():
        answer = _repeat(vectors[arguments["places"][repeat]], arguments, seed)
        result |= {f"{repeat} {name}": array for name, array in answer.items()}
    return result


def _repeat(vectors: NDArray[np.float32], arguments: Mapping[str, Any], seed: int) -> Result:
    """Compare all classes once; rows are (class, half, content) in that order."""
    from scipy.spatial.distance import pdist

    half, k = int(arguments["half"]), int(arguments["k"])
    dim = vectors.shape[1]
    samples = vectors.reshape(-1, 2, half, dim)
    order = seeds.generator(seed, "shuffle").permutation(len(vectors))
    shuffled = vectors[order].reshape(samples.shape)
    result = {}
    for mode, centre in MODES.items():
        real = _bases(samples, k, centre=centre)
        result[f"pairs_{mode}"] = subspaces.all_pairs(real[:, 0])
        result[f"floor_{mode}"] = subspaces.principal_angles(real[:, 0], real[:, 1])
        control = _bases(shuffled, k, centre=centre)
        result[f"shuffled_{mode}"] = subspaces.principal_angles(control[:, 0], control[:, 1])
    noise = seeds.generator(seed, "ceiling").standard_normal((2, CEILINGS, dim, k))
    result["ceiling"] = subspaces.principal_angles(*np.linalg.qr(noise).Q)
    means = samples.mean(axis=2, dtype=np.float64)
    result["gap"] = pdist(means[:, 0])  # in the order of all_pairs
    result["gap_floor"] = np.linalg.norm(means[:, 0] - means[:, 1], axis=1)
    return {name: array.astype(np.float32) for name, array in result.items()}


def _bases(samples: NDArray[np.float32], k: int, *, centre: bool) -> NDArray[np.float64]:
    # Class by class, so that only one class is held in double precision.
    return np.stack([subspaces.bases(group, k, centre=centre) for group in samples])


def nearest(inputs: Inputs, arguments: Mapping[str, Any]) -> Result:
    """Find the contents of each class that lie nearest to the other's affine subspace."""
    first, k = int(arguments["first"]), int(arguments["k"])
    vectors = inputs.vectors[CLEAN].astype(np.float64)
    parts = {"a": slice(0, first), "b": slice(first, None)}
    result: dict[str, NDArray[Any]] = {}
    for mine, other in (("a", "b"), ("b", "a")):
        mean = vectors[parts[other]].mean(axis=0)
        basis = subspaces.bases(vectors[parts[other]], k, centre=True)
        offset = vectors[parts[mine]] - mean
        away = np.linalg.norm(offset - offset @ basis @ basis.T, axis=1)
        nearest = np.argsort(away, kind="stable")[:NEAREST]
        result[f"ids_{mine}"] = inputs.content_id[parts[mine]][nearest]
        result[f"away_{mine}"] = away[nearest]
    return result
