"""Blocks of contents that hardly change from night to night, and the rows that they hold."""

import numpy as np

from clipbatch import seeds
from clipbatch.measure.base import Contents
from clipbatch.neighbours.join import Joined, join, ordered
from clipbatch.neighbours.rows import Positions as Rows
from clipbatch.neighbours.rows import Side, cosines, directions, lengths

__all__ = [
    "Joined",
    "Rows",
    "Side",
    "blocks",
    "cosines",
    "directions",
    "join",
    "lengths",
    "ordered",
]


def blocks(contents: Contents, block_rows: int) -> list[Rows]:
    """Cut the contents into blocks that hardly change when the collection does.

    A content's block comes from its seeded hash, and the number of blocks is a power of two: a new
    content touches one block, and only doubling the collection cuts it anew.

    Returns:
        Positions of each block, ascending; about ``block_rows`` each, at most by expectation.
    """
    bits = max(0, int(np.ceil(np.log2(max(len(contents), 1) / block_rows))))
    if bits == 0:
        return [np.arange(len(contents))]
    ranks = seeds.rank(contents.seed, "block", contents.content_id.tolist())
    block = ranks >> np.uint64(64 - bits)
    order = np.argsort(block, kind="stable")
    return list(np.split(order, np.searchsorted(block[order], np.arange(1, 1 << bits))))
