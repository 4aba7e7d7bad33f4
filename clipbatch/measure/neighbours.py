"""Which pictures are alike? The pairs above a cosine, and the nearest neighbours of each.

Computed once from the clean vectors; duplicates, outliers, label suspicion, leaks and maps start
from it. The pairs are exact at every size, the neighbours up to ``exact_rows`` contents.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from clipbatch import seeds
from clipbatch.errors import ConfigError, UnitFailed
from clipbatch.measure import neighbours_answers as answers
from clipbatch.measure import neighbours_finding
from clipbatch.measure import neighbours_units as units_of
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
from clipbatch.measure.cost import Cost, Size
from clipbatch.measure.neighbours_finding import Story
from clipbatch.measure.neighbours_mend import Mend, mend_of
from clipbatch.neighbours.nearest import Nearest, nearest

CLEAN: Final = 0  # schema.CLEAN, without loading pyarrow
CELL: Final = 2048  # contents of a cell, about
PER_CENTRE: Final = 32  # sampled contents that a cell's centre is computed from
RECALL: Final = 1000  # contents whose neighbours are found exactly too, where the graph is not


@dataclass(frozen=True)
class NeighboursParams:
    """What of the similar pairs and of the neighbours is kept, and how the work is cut.

    Attributes:
        threshold: pairs of at least this cosine are listed, (0, 1]; no analysis that starts from
            the pairs can look below it.
        max_pairs: pairs listed; beyond it, only the most similar ones.
        k: neighbours of each content; where it is not given, as many more as an analysis that is
            asked for declares (t-SNE: 3 times its perplexity, and one).
        exact_rows: contents up to which the neighbours are exact; beyond it, those in the nearest
            cells are looked at, and the recall is measured.
        probes: cells looked at then.
        sample: contents whose pairs are looked at first, to estimate how many there will be.
        block_rows: contents asked for in one unit; the work is cut by it, the answer is not.
        memory_gb: of one unit; the work is cut finer until it fits.
    """

    threshold: float = 0.9
    max_pairs: int = 5_000_000
    k: int = 91
    exact_rows: int = 200_000
    probes: int = 24
    sample: int = 2048
    block_rows: int = 16384
    memory_gb: float = 2.0

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold <= 1.0:
            raise ConfigError(
                f"measure.neighbours.threshold: got {self.threshold}, expected above 0, to 1"
            )
        least = {"max_pairs": 1, "k": 1, "exact_rows": 0, "probes": 1, "sample": 2, "block_rows": 1}
        for name, bound in least.items():
            if (got := getattr(self, name)) < bound:
                raise ConfigError(f"measure.neighbours.{name}: got {got}, expected {bound} or more")
        if self.memory_gb <= 0:
            raise ConfigError(
                f"measure.neighbours.memory_gb: got {self.memory_gb}, expected a number above 0"
            )


def plan(contents: Contents, params: NeighboursParams) -> list[Unit]:
    """Look at a seeded sample: how many pairs to expect, and where the contents gather."""
    n = len(contents)
    if n < 2:
        return []
    size = params.sample if n <= params.exact_rows else max(params.sample, n // CELL * PER_CENTRE)
    ids = contents.content_id.tolist()
    rows = seeds.sample(contents.seed, "neighbours", ids, min(size, n))
    cells = 0 if n <= params.exact_rows else max(1, n // CELL)
    arguments = {"all_pairs": n * (n - 1) // 2, "cells": cells}
    return [Unit("sample", rows, arguments=arguments)]


def compute(inputs: Inputs, unit: Unit, params: NeighboursParams) -> Result:
    """Answer one unit."""
    vectors = inputs.vectors[CLEAN]
    check_vectors(vectors)
    if unit.key == "sample":
        wanted = answers.Wanted(params.threshold, params.max_pairs, params.sample)
        return answers.sample(vectors, unit, wanted, np.random.default_rng(inputs.seed))
    if unit.key.startswith("pairs="):
        return answers.pairs_of(vectors, unit, params.max_pairs)
    if unit.key.startswith("cells="):
        return {"cell": answers.cells(vectors, unit.arguments["centres"])}
    asks, own = int(unit.arguments["asks"]), unit.arguments["own"]
    found = nearest(vectors[:asks], vectors[asks:], params.k, own)
    return {"neighbour": found.neighbour, "cosine": found.cosine}


def combine(contents: Contents, results: Results, params: NeighboursParams) -> Finding | NextRound:
    """Ask for pairs and neighbours after the sample, by way of cells where there are many."""
    n = len(contents)
    if "sample" not in results:
        return neighbours_finding.tell(Story.nothing(contents, params.k, params.threshold))
    sample = results["sample"]
    cut = _cut(int(sample["size"][1]), params)
    threshold, exact = float(sample["threshold"]), "centres" not in sample
    mend = mend_of(contents, threshold, params.k, exact=exact)
    pair_units = list(
        mend.pair_units(threshold, cut)
        if mend is not None and mend.pairs is not None
        else units_of.pair_units(contents, threshold, cut)
    )
    recall_units: list[Unit] = []
    if exact and mend is not None and mend.near is not None:
        near_units = list(mend.near_units(n, cut))
    elif exact:
        near_units = list(units_of.exact_units(contents, cut))
    else:
        cell_units = list(units_of.cell_units(contents, sample["centres"], cut))
        if any(unit.key not in results for unit in cell_units):
            return NextRound([*pair_units, *cell_units])
        near_units, recall_units = _approximate(contents, cell_units, results, params)
    todo = [u for u in (*pair_units, *near_units, *recall_units) if u.key not in results]
    if todo:
        return NextRound(todo)
    return neighbours_finding.tell(
        _story(contents, results, params, (pair_units, near_units, recall_units), mend)
    )


def _approximate(
    contents: Contents, cell_units: list[Unit], results: Results, params: NeighboursParams
) -> tuple[list[Unit], list[Unit]]:
    """Return the units that look in the nearest cells, and those that tell what these miss."""
    n, sample = len(contents), results["sample"]
    cut = _cut(int(sample["size"][1]), params)
    cells = np.empty(n, np.int32)
    for unit in cell_units:
        cells[unit.rows] = results[unit.key]["cell"]
    ids = contents.content_id.tolist()
    chosen = seeds.sample(contents.seed, "neighbours recall", ids, min(RECALL, n))
    return (
        list(units_of.probing_units(cells, sample["centres"], params.probes, cut)),
        list(units_of.recall_units(contents, chosen, cut)),
    )


def _story(
    contents: Contents,
    results: Results,
    params: NeighboursParams,
    units: tuple[list[Unit], list[Unit], list[Unit]],
    mend: Mend | None,
) -> Story:
    n, k, sample = len(contents), min(params.k, len(contents) - 1), results["sample"]
    pair_units, near_units, recall_units = units
    held = None if mend is None else mend.pairs
    lists = None if mend is None else mend.near
    zero = None if mend is None or held is None else mend.zero
    exact = units_of.joined_lists(n, params.k, recall_units, results) if recall_units else None
    return Story(
        content_id=contents.content_id,
        pairs=units_of.joined_pairs(pair_units, results, params.max_pairs, held),
        near=_trimmed(units_of.joined_lists(n, params.k, near_units, results, lists), k),
        exact=None if exact is None else _trimmed(exact, k),
        threshold=float(sample["threshold"]),
        asked=params.threshold,
        expected=float(sample["expected"]),
        zero=units_of.zeros(n, pair_units, results, zero),
        seed=contents.seed,
    )


def _trimmed(found: Nearest, k: int) -> Nearest:
    return Nearest(found.neighbour[:, :k].copy(), found.cosine[:, :k].copy())


def _cut(dim: int, params: NeighboursParams) -> units_of.Cut:
    """Return how the work is cut.

    Raises:
        UnitFailed: not even a few contents fit in a unit.
    """
    cut = units_of.Cut(params.block_rows, params.memory_gb * 1e9, dim)
    if cut.rows < 8:
        raise UnitFailed(
            f"neighbours: eight vectors of {dim} numbers need about {cut.estimate(8) / 1e9:.2f} GB,"
            f" got a limit of {params.memory_gb:g} GB; raise measure.neighbours.memory_gb"
        )
    return cut


STORED_CONTENT: Final = 460  # bytes: its id, and its rows of the two tables, by `du` of the sample


def cost(size: Size, params: NeighboursParams) -> Cost:
    """Tell what it takes: 0.5 ns a pair of contents for the pairs, 1 ns for the neighbours.

    Where the neighbours are exact, every content also meets some 20 k others in float64. Finding
    and units keep a place and a cosine of each neighbour, the tables some names of each content.
    """
    n, cut = size.contents, units_of.Cut(params.block_rows, params.memory_gb * 1e9, size.dim)
    met = n if n <= params.exact_rows else min(n, params.probes * CELL)
    near = 1e-9 * n * met * size.dim / 512 + 2e-10 * 20 * params.k * n * size.dim
    rows = min(n + min(n, params.block_rows), max(cut.rows, 1))
    stored = n * (STORED_CONTENT + 2 * 8 * min(params.k, max(n - 1, 0)))
    return Cost(cut.estimate(rows), 0.25e-9 * n * n + near, stored)


ANALYSIS: Final = Analysis(
    name="neighbours",
    version=1,
    params=NeighboursParams,
    plan=plan,
    compute=compute,
    combine=combine,
    names_positions=False,
    cost=cost,
    mends=True,
)
