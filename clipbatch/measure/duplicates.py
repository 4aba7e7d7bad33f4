"""Which pictures repeat, byte for byte or nearly, and do the copies cross splits or labels?

Exact duplicates come from the catalog alone. Similar pictures are all pairs of clean vectors whose
cosine reaches a threshold: those of the neighbour graph, which lists every one, or, below its
threshold, those of every block against every block.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.errors import ConfigError, UnitFailed
from clipbatch.measure import (
    duplicates_finding,
    duplicates_threshold,
    neighbours_finding,
    pairs,
)
from clipbatch.measure.base import (
    Analysis,
    Contents,
    Finding,
    Inputs,
    NextRound,
    Pairs,
    Result,
    Results,
    Unit,
    check_vectors,
)
from clipbatch.measure.components import near_groups
from clipbatch.measure.cost import Cost, Size
from clipbatch.measure.duplicates_story import Limits, Near, Sampled
from clipbatch.neighbours.join import TILE
from clipbatch.neighbours.rows import EXACT

CLEAN: Final = 0  # schema.CLEAN, without loading pyarrow
EDGES: Final = np.linspace(-1.0, 1.0, 401)  # of the histogram of sampled cosines
_COLUMNS: Final = 4096  # numbers of each sampled vector held in float64 at once


@dataclass(frozen=True)
class DuplicatesParams:
    """What counts as a near duplicate, and how much of it is listed.

    Attributes:
        threshold: of the cosine, (0, 1]; 0 chooses it by the collection's own copies, for this
            encoder: see docs/analyses.
        max_pairs: near pairs listed; beyond it, only the most similar ones.
        sample: contents whose pairs are looked at first, to estimate how many there will be.
        verify: correlation of the thumbnails from which a near pair counts as verified, (0, 1].
        table_rows: rows of an evidence table.
        block_rows: contents of a block at most; the work is cut by it, the answer is not.
        memory_gb: of one unit; blocks are made smaller until they fit.
    """

    threshold: float = 0.0
    max_pairs: int = 1_000_000
    sample: int = 2048
    verify: float = 0.9
    table_rows: int = 1000
    block_rows: int = 8192
    memory_gb: float = 2.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold <= 1.0:
            raise ConfigError(
                f"measure.duplicates.threshold: got {self.threshold}, expected above 0, to 1, or 0 "
                "to choose it by the copies in the collection"
            )
        if not 0.0 < self.verify <= 1.0:
            raise ConfigError(
                f"measure.duplicates.verify: got {self.verify}, expected above 0, to 1"
            )
        least = {"max_pairs": 1, "sample": 2, "table_rows": 0, "block_rows": 1}
        for name, bound in least.items():
            if (got := getattr(self, name)) < bound:
                raise ConfigError(f"measure.duplicates.{name}: got {got}, expected {bound} or more")
        if self.memory_gb <= 0:
            raise ConfigError(
                f"measure.duplicates.memory_gb: got {self.memory_gb}, expected a number above 0"
            )


def plan(contents: Contents, params: DuplicatesParams) -> list[Unit]:
    """Look at all pairs of a seeded sample, to tell how many near pairs to expect."""
    n = len(contents)
    if n < 2:
        return []
    rows = seeds.sample(
        contents.seed, "duplicates", contents.content_id.tolist(), min(params.sample, n)
    )
    return [Unit("sample", rows, arguments={"all_pairs": n * (n - 1) // 2})]


def compute(inputs: Inputs, unit: Unit, params: DuplicatesParams) -> Result:
    """Answer one unit: the sample's cosines, or the near pairs of two blocks."""
    vectors = inputs.vectors[CLEAN]
    check_vectors(vectors)
    if unit.key == "sample":
        return _sample(vectors, int(unit.arguments["all_pairs"]), params)
    first, threshold = int(unit.arguments["first"]), float(unit.arguments["threshold"])
    second = vectors[first:] if first < len(vectors) else None
    found = pairs.join(vectors[:first], second, threshold, params.max_pairs)
    return {
        "a": found.a.astype(np.int32),
        "b": found.b.astype(np.int32),
        "cosine": found.cosine,
        "total": np.array(found.total),
        "zero": np.array(int((~vectors.any(axis=1)).sum()) if second is None else 0),
    }


def _sample(vectors: NDArray[np.float32], all_pairs: int, params: DuplicatesParams) -> Result:
    unit = pairs.directions(vectors)
    products = np.zeros((len(unit), len(unit)))
    for start in range(0, unit.shape[1], _COLUMNS):
        part = unit[:, start : start + _COLUMNS].astype(np.float64)
        products += part @ part.T
    # Rounded, so that the order in which a product was summed cannot move a cosine to another bin.
    cosines = np.sort(products[np.triu_indices(len(unit), 1)].clip(-1.0, 1.0).round(9))[::-1]
    threshold = _asked(params)
    expected = int((cosines >= threshold).sum()) * all_pairs / len(cosines)
    if expected > params.max_pairs:
        # Twice as many as will be listed: the sample may err, and the cap is then still reached.
        wanted = int(np.ceil(2 * params.max_pairs * len(cosines) / all_pairs))
        last = cosines[min(wanted, len(cosines)) - 1]
        threshold = max(threshold, float(np.floor(last * 1e4) / 1e4))
    return {
        "counts": np.histogram(cosines, EDGES)[0],
        "expected": np.array(expected),
        "threshold": np.array(threshold),
        "size": np.array(vectors.shape),
    }


def combine(contents: Contents, results: Results, params: DuplicatesParams) -> Finding | NextRound:
    """After the sample, take the shared pairs.

    Where these do not reach down to the threshold, ask for all blocks, and join their pairs.
    """
    if "sample" not in results:
        limits = Limits(_asked(params), params.verify, params.table_rows)
        return duplicates_finding.tell(contents, _nothing(len(contents), params), None, limits)
    sample = results["sample"]
    size, dim = (int(part) for part in sample["size"])
    threshold, expected = float(sample["threshold"]), float(sample["expected"])
    choice = None if params.threshold else _choice(contents, params)
    if choice is not None and not choice.why_not:
        threshold, above = choice.threshold, EDGES[:-1] >= choice.threshold - 1e-9
        pairs_of_all = len(contents) * (len(contents) - 1) // 2
        expected = float(sample["counts"][above].sum() / sample["counts"].sum() * pairs_of_all)
    asked = _asked(params) if choice is None else choice.threshold
    limits = Limits(asked, params.verify, params.table_rows)
    sampled = Sampled(size, expected, EDGES, sample["counts"])
    if shared := neighbours_finding.shared(contents, threshold):
        every, most = shared.pairs, slice(params.max_pairs)
        known = (every.a[most], every.b[most], every.cosine[most].astype(np.float64))
        groups = near_groups(len(contents), *known)
        near = Near(*known, len(every.a), threshold, shared.zero, groups)
        return duplicates_finding.tell(contents, near, sampled, limits, choice)
    cut = pairs.blocks(contents, _block_rows(dim, params))
    units = list(_block_units(cut, threshold, dim, params))
    if any(unit.key not in results for unit in units):
        return NextRound(units)
    found = _joined(cut, {unit.key: results[unit.key] for unit in units}, params.max_pairs)
    total, zero = (sum(int(results[u.key][name]) for u in units) for name in ("total", "zero"))
    near = Near(*found, total, threshold, zero, near_groups(len(contents), *found))
    return duplicates_finding.tell(contents, near, sampled, limits, choice)


def _asked(params: DuplicatesParams) -> float:
    return params.threshold or duplicates_threshold.USUAL


def _choice(contents: Contents, params: DuplicatesParams) -> duplicates_threshold.Choice:
    """Choose the threshold by all pairs of the neighbour graph."""
    floor = neighbours_finding.reached(contents)
    every = neighbours_finding.shared(contents, floor)
    none = np.empty(0, np.int64)
    near = Pairs(none, none, np.empty(0)) if every is None else every.pairs
    return duplicates_threshold.choose(contents, near, floor, params.verify)


def _block_units(
    cut: list[pairs.Rows], threshold: float, dim: int, params: DuplicatesParams
) -> Iterator[Unit]:
    """Pair every block with itself and with each later one."""
    for i, first in enumerate(cut):
        for j, second in enumerate(cut[i:], start=i):
            if len(first) and len(second):
                rows = first if i == j else np.concatenate([first, second])
                yield Unit(
                    key=f"blocks={i},{j};of={len(cut)}",
                    rows=rows,
                    arguments={"first": len(first), "threshold": threshold},
                    memory=_memory(len(first), len(rows) - len(first), dim, params.max_pairs),
                )


def _memory(first: int, second: int, dim: int, max_pairs: int) -> int:
    """Bytes a unit holds: vectors, their directions and sketches, a tile of bounds, pairs."""
    vectors = 3 * (first + second) * dim * 4
    tile = min(first, TILE[0]) * min(max(first, second), TILE[1]) * 12
    exact = 4 * min(EXACT, max(first, 1) * max(first, second) * dim) * 8
    return vectors + tile + exact + 4 * min(max_pairs, first * max(first, second)) * 24


def _block_rows(dim: int, params: DuplicatesParams) -> int:
    """Halve the blocks until two of them fit.

    Raises:
        UnitFailed: not even single contents do.
    """
    rows = params.block_rows
    while (needed := _memory(rows, rows, dim, params.max_pairs)) > params.memory_gb * 1e9:
        if rows == 1:
            raise UnitFailed(
                f"duplicates: two vectors of {dim} numbers need about {needed / 1e9:.1f} GB, got a "
                f"limit of {params.memory_gb:g} GB; raise measure.duplicates.memory_gb"
            )
        rows = (rows + 1) // 2
    return rows


def _joined(cut: list[pairs.Rows], results: Results, cap: int) -> tuple[Any, Any, Any]:
    """Join the blocks' pairs as positions in Contents, a < b, most similar first."""
    parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for key, result in results.items():
        i, j = (int(part) for part in key.removeprefix("blocks=").partition(";")[0].split(","))
        a, b = cut[i][result["a"]], cut[j][result["b"]]
        parts.append((np.minimum(a, b), np.maximum(a, b), result["cosine"]))
    a, b, cosine = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = pairs.ordered(a, b, cosine)[:cap]
    return a[order], b[order], cosine[order]


def _nothing(n: int, params: DuplicatesParams) -> Near:
    nothing = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    return Near(*nothing, 0, _asked(params), 0, near_groups(n, *nothing))


def cost(size: Size, params: DuplicatesParams) -> Cost:
    """Tell what the sample takes; the pairs are the neighbour graph's to find.

    Products of 1280-d rows in float64 took 4e-11 s a number, sorting them 1e-7 s a pair.
    """
    rows = min(size.contents, params.sample)
    return Cost(12 * rows * (rows + size.dim), rows**2 * (4e-11 * size.dim + 1e-7))


ANALYSIS: Final = Analysis(
    name="duplicates",
    version=5,
    params=DuplicatesParams,
    plan=plan,
    compute=compute,
    combine=combine,
    names_positions=False,
    needs=("neighbours",),
    cost=cost,
)
