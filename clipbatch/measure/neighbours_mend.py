"""The neighbour graph of an earlier night, mended: new contents against all, not all against all.

What is taken over is what computing anew would give, bit for bit: cosines belong to two contents,
and positions follow content ids.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure.base import Contents, Finding, Pairs, Unit
from clipbatch.measure.neighbours_units import Cut, asking
from clipbatch.neighbours.nearest import Nearest
from clipbatch.neighbours.rows import Positions
from clipbatch.neighbours.update import Change, renumbered

MOST: Final = 0.2  # share of contents come or gone up to which mending is worth it


@dataclass(frozen=True)
class Mend:
    """What stays of an earlier finding, in positions of now.

    Attributes:
        new: contents that were not there.
        kept: contents that were.
        zero: (N,) whether the vector is known to be zero.
        pairs: those of which both are left; None where the pairs must be found anew.
        near: lists of the contents that were there; None where all must be found anew.
        anew: contents whose lists must be found anew.
    """

    new: Positions
    kept: Positions
    zero: NDArray[np.bool_]
    pairs: Pairs | None
    near: Nearest | None
    anew: Positions

    def pair_units(self, threshold: float, cut: Cut) -> Iterator[Unit]:
        """Pair the new contents with each other and with those that were there."""
        step = max(1, cut.rows // 3)
        for i, first in enumerate(_parts(self.new, step)):
            others = [self.kept, *_parts(self.new, step)[i + 1 :]]
            seconds = [np.empty(0, np.int64), *(p for rows in others for p in _parts(rows, step))]
            for j, second in enumerate(seconds):
                rows = np.concatenate([first, second])
                arguments = {"first": len(first), "threshold": threshold}
                key = f"pairs=new {i},{j};of={len(self.new)}"
                yield Unit(key, rows, (0,), arguments, cut.estimate(len(rows)))

    def near_units(self, n: int, cut: Cut) -> Iterator[Unit]:
        """Ask all for lists that are found anew, and the new contents for the other lists."""
        others = np.setdiff1d(self.kept, self.anew)
        step = max(1, min(cut.block_rows, cut.rows // 3))
        for name, asks, answers in (
            ("anew", self.anew, np.arange(n)),
            ("new", others, self.new),
        ):
            for i, block in enumerate(_parts(asks, step)):
                for j, part in enumerate(_parts(answers, max(1, cut.rows - 2 * step))):
                    yield asking(f"nearest={name} {i};among={j};of={len(asks)}", block, part, cut)


def mend_of(contents: Contents, threshold: float, k: int, *, exact: bool) -> Mend | None:
    """What can be taken over from ``contents.before``?

    Args:
        contents: of now.
        threshold: of the pairs now.
        k: neighbours of each content.
        exact: whether the lists of now are to be exact.

    Returns:
        None without an earlier finding, or where too much has changed.
    """
    if (before := contents.before) is None or "content_id" not in before.per_content:
        return None
    ids = before.per_content["content_id"].astype(np.str_)
    place = np.searchsorted(ids, contents.content_id)
    known = np.append(ids, "")[place] == contents.content_id
    change = Change(np.where(known, place, -1), len(ids))
    moved = len(change.new) + len(ids) - int(known.sum())
    if not known.any() or moved > MOST * len(contents):
        return None
    zero = np.zeros(len(contents), np.bool_)
    zero[known] = before.per_content["zero"][place[known]]
    near, anew = _lists(before, change, k) if exact else (None, np.arange(len(contents)))
    pairs = _left(before, change, threshold)
    return Mend(change.new, np.flatnonzero(known), zero, pairs, near, anew)


def _lists(before: Finding, change: Change, k: int) -> tuple[Nearest | None, Positions]:
    graph = Nearest(before.per_content["neighbour"], before.per_content["cosine"])
    recall = next(number for number in before.numbers if number.name == "recall")
    if graph.neighbour.shape[1] != k or recall.interval:  # cut short, or approximate
        return None, np.arange(len(change.before))
    near, anew = renumbered(graph, change)
    near.neighbour[anew], near.cosine[anew] = -1, np.nan
    return near, np.flatnonzero(anew)


def _left(before: Finding, change: Change, threshold: float) -> Pairs | None:
    reached = next(number.value for number in before.numbers if number.name == "pairs_threshold")
    if before.pairs is None or reached != threshold:
        return None
    a, b = change.after[before.pairs.a], change.after[before.pairs.b]
    there = (a >= 0) & (b >= 0)
    return Pairs(a[there], b[there], before.pairs.cosine[there])


def _parts(rows: Positions, size: int) -> list[Positions]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
