"""Laws of the blocks that work is cut into."""

import numpy as np
import pytest

from clipbatch.measure import pairs
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("block_rows", [1, 3, 10, 99, 100, 1000])
def test_blocks_partition_the_contents(block_rows):
    contents, _ = world(n=100)
    cut = pairs.blocks(contents, block_rows)
    assert sorted(np.concatenate(cut).tolist()) == list(range(100))
    assert len(cut) >= 100 / block_rows
    assert len(cut) < 4 * max(1, 100 / block_rows)


def test_a_new_content_touches_one_block():
    before, _ = world(n=200)
    after, _ = world(n=201)
    of = [[set(c.content_id[block]) for block in pairs.blocks(c, 40)] for c in (before, after)]
    assert sum(a != b for a, b in zip(*of, strict=True)) == 1


def test_no_contents_make_one_empty_block():
    contents, _ = world(n=0)
    assert [len(block) for block in pairs.blocks(contents, 10)] == [0]
