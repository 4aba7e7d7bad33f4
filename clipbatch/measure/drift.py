"""Do the splits of a collection come from one distribution, class for class?

Two tests of every pair of splits, on samples with the same number of contents of each class: a
linear classifier that tries to tell the splits apart, and the distance of kernel means.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.errors import ConfigError
from clipbatch.measure import drift_finding, pairs, twosample
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
from clipbatch.measure.repeats import CLEAN, one_thread

FOLDS: Final = 5
MOST_DRAWS: Final = 9999  # enough for 250 pairs, of 22 splits
_ASSUMED_DIM: Final = 2048  # for the estimate only: plans do not see vectors


@dataclass(frozen=True)
class DriftParams:
    """How the splits are compared, and which difference matters.

    Attributes:
        sample: contents of a split at most, those of the smallest seeded hash.
        min_contents: contents of a split, after classes are matched, that a comparison needs.
        copy_cosine: of contents this similar one is kept, and none where they lie in both splits.
        ridge: penalty of the classifier, in units of the mean squared length.
        effect: area under the ROC curve that counts as drift once the whole interval is above it.
        bootstraps: draws behind an interval, at least; more where there are many pairs of splits.
        permutations: of the splits within each class, for p-values and controls; at least, as well.
    """

    sample: int = 1000
    min_contents: int = 20
    copy_cosine: float = 0.98
    ridge: float = 0.3
    effect: float = 0.6
    bootstraps: int = 500
    permutations: int = 499

    def __post_init__(self) -> None:
        least = {"sample": 4, "min_contents": 4, "bootstraps": 2, "permutations": 19}
        for name, bound in least.items():
            if (got := getattr(self, name)) < bound:
                raise ConfigError(f"measure.drift.{name}: got {got}, expected {bound} or more")
        if not 0.0 < self.copy_cosine <= 1.0:
            raise ConfigError(
                f"measure.drift.copy_cosine: got {self.copy_cosine}, expected above 0, to 1"
            )
        if self.ridge <= 0:
            raise ConfigError(f"measure.drift.ridge: got {self.ridge}, expected a number above 0")
        if not 0.5 <= self.effect < 1.0:
            raise ConfigError(
                f"measure.drift.effect: got {self.effect}, expected 0.5 to less than 1"
            )


def plan(contents: Contents, params: DriftParams) -> list[Unit]:
    """Compare every two splits that have enough contents of the same classes."""
    units = [unit for _, unit in _pairs(contents, params)]
    draws = _draws(params, len(units))
    return [replace(unit, arguments={**unit.arguments, "draws": draws}) for unit in units]


def _draws(params: DriftParams, compared: int) -> tuple[int, int]:
    """Return the bootstraps and permutations with which a correction for many pairs can be passed.

    The smallest p of P permutations is 1 / (1 + P), and Holm multiplies it by the number of pairs:
    with 499 of them nothing could ever drift among eight splits. It is brought to half of alpha.
    Likewise an end of an interval that all pairs hold together needs draws beyond it: two here.
    """
    permutations = math.ceil(2 * compared / drift_finding.ALPHA) - 1
    bootstraps = math.ceil(2 * compared * 100 / twosample.LOW)
    return (
        max(params.bootstraps, min(bootstraps, MOST_DRAWS)),
        max(params.permutations, min(permutations, MOST_DRAWS)),
    )


def _pairs(contents: Contents, params: DriftParams) -> Iterator[tuple[tuple[int, int], Unit]]:
    split, stratum = _only_split(contents), _strata(contents)
    for first, second in combinations(range(len(contents.split_names)), 2):
        sides = [np.flatnonzero((split == s) & (stratum >= 0)) for s in (first, second)]
        a, b = (_matched(contents, sides, stratum, params.sample)[i] for i in (0, 1))
        if min(len(a), len(b)) < params.min_contents:
            continue
        rows = np.concatenate([a, b])
        names = (contents.split_names[s] for s in (first, second))
        unit = Unit(
            key=f"pair={'|'.join(names)}",
            rows=rows,
            arguments={"first": len(a), "stratum": stratum[rows]},
            memory=8 * len(rows) * (_ASSUMED_DIM * 3 + len(rows) * 6),
        )
        yield (first, second), unit


def _only_split(contents: Contents) -> NDArray[np.int64]:
    """Return the one split in which all images of a content lie, (N,); -1 where there are more."""
    low = np.full(len(contents), np.iinfo(np.int64).max)
    high = np.full(len(contents), -1, np.int64)
    np.minimum.at(low, contents.image_content, contents.image_split)
    np.maximum.at(high, contents.image_content, contents.image_split)
    found: NDArray[np.int64] = np.where(low == high, high, -1)
    return found


def _strata(contents: Contents) -> NDArray[np.int64]:
    """Return the class of each content, (N,); one class for all where there are no two."""
    if len(np.unique(contents.label[contents.label >= 0])) < 2:
        return np.zeros(len(contents), np.int64)
    return contents.label.astype(np.int64)


def _matched(
    contents: Contents, sides: list[NDArray[np.int64]], stratum: NDArray[np.int64], most: int
) -> list[NDArray[np.int64]]:
    """Draw as many contents of each class from both sides; about ``most`` in all."""
    counts = [np.bincount(stratum[rows], minlength=1) for rows in sides]
    width = min(len(found) for found in counts)
    each = np.minimum(*(found[:width] for found in counts))
    # Rounded in running sums, so that many small classes do not all come to nothing.
    share = np.cumsum(each) * min(1.0, most / max(int(each.sum()), 1))
    each = np.diff(np.floor(share + 1e-9), prepend=0).astype(np.int64)
    found = []
    for rows in sides:
        ids = contents.content_id[rows].tolist()
        ordered = rows[seeds.sample(contents.seed, "drift", ids, len(rows))]
        found.append(ordered[first_of_each(stratum[ordered], each)])
    return found


def first_of_each(stratum: NDArray[np.int64], each: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell the first ``each[s]`` rows of every stratum s, (n,)."""
    order = np.argsort(stratum, kind="stable")
    sizes = np.bincount(stratum, minlength=len(each))
    starts = np.cumsum(sizes) - sizes
    place = np.empty(len(stratum), np.int64)
    place[order] = np.arange(len(stratum)) - starts[stratum[order]]
    limit = np.zeros(len(sizes), np.int64)
    limit[: len(each)] = each
    found: NDArray[np.bool_] = place < limit[stratum]
    return found


def compute(inputs: Inputs, unit: Unit, params: DriftParams) -> Result:
    """Thin copies, match the classes again, and test one pair of splits."""
    vectors = inputs.vectors[CLEAN]
    check_vectors(vectors)
    second = np.arange(len(vectors)) >= int(unit.arguments["first"])
    with one_thread():
        kept = _without_copies(vectors, second, params.copy_cosine)
        rows = kept[_rematched(second[kept], unit.arguments["stratum"][kept])]
        second, stratum = second[rows], unit.arguments["stratum"][rows]
        copied = np.array(len(vectors) - len(kept))
        if second.sum() < params.min_contents:
            return {"rows": unit.rows[rows], "copied": copied}
        x = pairs.directions(vectors[rows]).astype(np.float64)
        rng = seeds.generator(inputs.seed, "drift")
        ranks = seeds.rank(inputs.seed, "fold", inputs.content_id[rows].tolist())
        fold = (ranks % np.uint64(FOLDS)).astype(np.int64)
        draws = unit.arguments["draws"]
        told, score = twosample.classifier(x, second, (stratum, fold), params.ridge, draws, rng)
        kernel = twosample.mmd(x, second, stratum, draws, rng)
    found: dict[str, NDArray[np.generic]] = {
        "rows": unit.rows[rows],
        "second": second,
        "score": score.round(9),
        "copied": copied,
        "classes": np.array(len(np.unique(stratum))),
    }
    for name, answer in (("auc", told), ("mmd", kernel)):
        found[name] = np.array(answer.value).round(12)
        found[f"{name}_bootstrap"] = answer.bootstrap.round(12)
        found[f"{name}_permuted"] = answer.permuted.round(12)
    return found


def _without_copies(
    vectors: NDArray[np.float32], second: NDArray[np.bool_], cosine: float
) -> NDArray[np.int64]:
    """Keep one content of each group of copies, and none of a group on both sides."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(vectors)
    near = pairs.join(vectors, None, cosine, n * n)
    graph = coo_array((np.ones(len(near.a), np.int8), (near.a, near.b)), shape=(n, n))
    count, group = connected_components(graph, directed=False)
    sizes, seconds = (
        np.bincount(group, minlength=count),
        np.bincount(group[second], minlength=count),
    )
    first = np.unique(group, return_index=True)[1]
    whole = (seconds == 0) | (seconds == sizes)
    found: NDArray[np.int64] = np.sort(first[whole])
    return found


def _rematched(second: NDArray[np.bool_], stratum: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return rows such that both sides have as many of each class again, in their order."""
    width = int(stratum.max(initial=0)) + 1
    each = np.minimum(*(np.bincount(stratum[side], minlength=width) for side in (~second, second)))
    keep = np.zeros(len(second), np.bool_)
    for side in (~second, second):
        rows = np.flatnonzero(side)
        keep[rows[first_of_each(stratum[rows], each)]] = True
    return np.flatnonzero(keep)


def combine(contents: Contents, results: Results, params: DriftParams) -> Finding:
    """Join the pairs of splits, correct for their number, and tell."""
    found = {pair: results[unit.key] for pair, unit in _pairs(contents, params)}
    return drift_finding.tell(contents, found, params.effect, params.min_contents)


def cost(size: Size, params: DriftParams) -> Cost:
    """Tell what one pair of splits takes, three times: 3e-10 s a cubed content, on one core."""
    n = 2 * min(params.sample, size.contents // 2)
    return Cost(8 * n * (size.dim * 3 + n * 6), 3 * 3e-10 * n**3)


ANALYSIS: Final = Analysis(
    name="drift",
    version=2,
    params=DriftParams,
    plan=plan,
    compute=compute,
    combine=combine,
    cost=cost,
)
