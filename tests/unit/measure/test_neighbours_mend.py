"""Laws of the mended graph: the same finding, bit for bit, from fewer comparisons."""

from dataclasses import replace

import numpy as np
import pytest

from clipbatch.measure import serial, store
from clipbatch.measure.neighbours import ANALYSIS, NeighboursParams
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick

ALL = 200


def part(rows, zero=()):
    """A night: these contents of one large world."""
    contents, vectors = world(n=ALL, dim=12)
    vectors[0][list(zero)] = 0
    rows = np.sort(rows)
    night = replace(
        contents,
        content_id=contents.content_id[rows],
        label=contents.label[rows],
        variants={0: contents.variants[0][rows]},
    )
    return night, {0: vectors[0][rows]}


def ask(night, before=None, **given):
    """Answer, and tell how many pairs of rows the units compared."""
    contents, vectors = night
    params = NeighboursParams(**{"k": 9, "threshold": 0.6, **given})
    met = []

    def compute(analysis, units):
        for unit in units:
            asks = unit.arguments.get("asks", unit.arguments.get("first"))
            if asks is not None:
                met.append(int(asks) * max(len(unit.rows) - int(asks), 1))
        return {
            u.key: analysis.compute(serial.inputs_for(analysis, u, contents, vectors), u, params)
            for u in units
        }

    given = replace(contents, before=before)
    return serial.run_rounds(ANALYSIS, given, params, compute), sum(met)


def nights(gone, new, seed):
    order = np.random.default_rng(seed).permutation(ALL)
    return order[: 150 + gone], np.concatenate([order[gone : 150 + gone], order[-new or ALL :]])


@pytest.mark.parametrize("cut", [{}, {"block_rows": 7}, {"memory_gb": 0.06405}])
@pytest.mark.parametrize(("gone", "new"), [(0, 0), (0, 3), (3, 0), (2, 4), (10, 10), (30, 20)])
def test_a_mended_finding_is_the_finding_computed_anew(gone, new, cut):
    old, now = nights(gone, new, seed=gone + new)
    zero = (int(old[0]), int(old[-1]), int(now[-1]))
    before, _ = ask(part(old, zero))
    mended, few = ask(part(now, zero), before, **cut)
    anew, many = ask(part(now, zero))
    assert store.finding_to_bytes(mended) == store.finding_to_bytes(anew)
    if not cut and gone + new < 10:
        assert few < many / 2


@pytest.mark.parametrize("other", [{"threshold": 0.7}, {"k": 8}, {"max_pairs": 20}])
def test_a_finding_by_other_parameters_misleads_nobody(other):
    old, now = nights(2, 3, seed=1)
    before, _ = ask(part(old), **other)
    assert store.finding_to_bytes(ask(part(now), before)[0]) == store.finding_to_bytes(
        ask(part(now))[0]
    )


def test_a_finding_of_a_tiny_collection_misleads_nobody():
    old, now = np.arange(9), np.arange(10)  # lists of 8 cannot be mended to lists of 9
    for rows in (old, old[:1], old[:0]):
        before, _ = ask(part(rows))
        assert store.finding_to_bytes(ask(part(now), before)[0]) == store.finding_to_bytes(
            ask(part(now))[0]
        )
