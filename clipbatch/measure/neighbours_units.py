"""How the neighbour graph is cut into units, and how their answers join.

A unit that looks for neighbours gets the rows that ask first, then those that may answer.
Capitals: N contents, k neighbours.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import pairs
from clipbatch.measure.base import Contents, Pairs, Results, Unit
from clipbatch.neighbours.join import Best, Joined
from clipbatch.neighbours.nearest import Nearest, merged, nothing
from clipbatch.neighbours.rows import Positions

PAIR_BLOCKS: Final = 4  # a block of the pairs holds as many blocks of the neighbour lists
HELD: Final = 14  # bytes held for every number of a vector: itself, its direction, its sketch
ROOM: Final = 64_000_000  # bytes held in any case: tiles, candidates


@dataclass(frozen=True)
class Cut:
    """What decides how work is cut; never the answer.

    Attributes:
        block_rows: contents that ask in one unit.
        memory: bytes of a unit.
        dim: numbers a vector.
    """

    block_rows: int
    memory: float
    dim: int

    @property
    def rows(self) -> int:
        """Contents that fit in a unit."""
        return int((self.memory - ROOM) // (HELD * self.dim))

    def estimate(self, rows: int) -> int:
        """Return the bytes that a unit of so many rows holds."""
        return HELD * self.dim * rows + ROOM


def pair_units(contents: Contents, threshold: float, cut: Cut) -> Iterator[Unit]:
    """Pair every block with itself and with each later one."""
    largest = min(PAIR_BLOCKS * cut.block_rows, cut.rows // 3)  # a block may exceed its size
    blocks = pairs.blocks(contents, max(1, largest))
    for i, first in enumerate(blocks):
        for j, second in enumerate(blocks[i:], start=i):
            if len(first) and len(second):
                rows = first if i == j else np.concatenate([first, second])
                yield Unit(
                    key=f"pairs={i},{j};of={len(blocks)}",
                    rows=rows,
                    arguments={"first": len(first), "threshold": threshold},
                    memory=cut.estimate(len(rows)),
                )


def joined_pairs(
    units: Sequence[Unit], results: Results, cap: int, known: Pairs | None = None
) -> Joined:
    """Join the blocks' pairs, and known ones, as positions in Contents, most similar first."""
    best = Best(cap)
    if known is not None:
        best.add(known.a, known.b, known.cosine.astype(np.float64))
    for unit in units:
        result, first = results[unit.key], int(unit.arguments["first"])
        second = unit.rows[first:] if first < len(unit.rows) else unit.rows
        a, b = unit.rows[:first][result["a"]], second[result["b"]]
        best.add(np.minimum(a, b), np.maximum(a, b), result["cosine"])
    found = best.joined()
    total = sum(int(results[unit.key]["total"]) for unit in units)
    total += 0 if known is None else len(known.a)
    return Joined(found.a, found.b, found.cosine, total)


def zeros(
    n: int, units: Sequence[Unit], results: Results, known: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Tell whose vectors are zero, (N,), from the units of pairs."""
    found = np.zeros(n, np.bool_) if known is None else known.copy()
    for unit in units:
        found[unit.rows[results[unit.key]["zero"]]] = True
    return found


def asking(key: str, asks: Positions, answers: Positions, cut: Cut) -> Unit:
    """Ask for the neighbours of some contents among others, both positions ascending."""
    place = np.searchsorted(answers, asks)
    there = np.append(answers, -1)[place] == asks
    return Unit(
        key=key,
        rows=np.concatenate([asks, answers]),
        arguments={"asks": len(asks), "own": np.where(there, place, -1)},
        memory=cut.estimate(len(asks) + len(answers)),
    )


def exact_units(contents: Contents, cut: Cut) -> Iterator[Unit]:
    """Ask all contents for the neighbours of every block, in as few groups as fit in memory."""
    every = np.arange(len(contents))
    blocks = pairs.blocks(contents, max(1, min(cut.block_rows, cut.rows // 4)))
    parts = -(-len(every) // max(1, cut.rows - 2 * max(map(len, blocks))))
    for i, block in enumerate(blocks):
        if len(block):
            for j, answers in enumerate(np.array_split(every, parts)):
                key = f"nearest={i};among={j};of={len(blocks)},{parts}"
                yield asking(key, block, answers, cut)


def cell_units(contents: Contents, centres: NDArray[np.float32], cut: Cut) -> Iterator[Unit]:
    """Ask for the cell of every content: the centre of the largest cosine."""
    blocks = pairs.blocks(contents, max(1, min(PAIR_BLOCKS * cut.block_rows, cut.rows // 2)))
    for i, block in enumerate(blocks):
        if len(block):
            memory = cut.estimate(len(block))
            yield Unit(f"cells={i};of={len(blocks)}", block, (0,), {"centres": centres}, memory)


def probing_units(
    cells: NDArray[np.int32], centres: NDArray[np.float32], probes: int, cut: Cut
) -> Iterator[Unit]:
    """Ask the nearest cells for the neighbours of every cell."""
    order = np.argsort(cells, kind="stable")
    ends = np.searchsorted(cells[order], np.arange(len(centres) + 1))
    members = [order[ends[c] : ends[c + 1]] for c in range(len(centres))]
    for c, near in enumerate(np.argsort(-(centres @ centres.T), axis=1, kind="stable")):
        answers = np.sort(np.concatenate([members[other] for other in near[:probes]]))
        step = max(1, min(cut.block_rows, cut.rows // 4))
        for start in range(0, len(members[c]), step):
            asks = members[c][start : start + step]
            yield asking(f"probe={c};from={start};of={len(centres)}", asks, answers, cut)


def recall_units(contents: Contents, sample: Positions, cut: Cut) -> Iterator[Unit]:
    """Ask all contents, exactly, for the neighbours of a sample."""
    every = np.arange(len(contents))
    parts = -(-len(every) // max(1, cut.rows - len(sample)))
    for j, answers in enumerate(np.array_split(every, parts)):
        yield asking(f"recall={j};of={parts}", np.sort(sample), answers, cut)


def joined_lists(
    n: int, k: int, units: Sequence[Unit], results: Results, known: Nearest | None = None
) -> Nearest:
    """Join the answers, and known lists; who never asked, nor was known, has no neighbours."""
    found = nothing(n, k)
    if known is not None:
        found.neighbour[:], found.cosine[:] = known.neighbour, known.cosine
    for unit in units:
        asks = int(unit.arguments["asks"])
        rows, answers = unit.rows[:asks], np.append(unit.rows[asks:], -1)
        result: Mapping[str, NDArray[Any]] = results[unit.key]
        new = Nearest(answers[result["neighbour"]].astype(np.int32), result["cosine"])
        old = Nearest(found.neighbour[rows], found.cosine[rows])
        both = merged(old, new)
        found.neighbour[rows], found.cosine[rows] = both.neighbour, both.cosine
    return found
