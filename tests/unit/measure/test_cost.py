"""Laws of declared costs: whole bytes, never cheaper when there is more, never below the plan's."""

from itertools import pairwise

import numpy as np
import pytest

from clipbatch.measure import ANALYSES, serial
from clipbatch.measure.cost import Size
from tests.unit.measure.worlds import world

pytestmark = pytest.mark.quick

DECLARED = [analysis for analysis in ANALYSES if analysis.cost is not None]
# Labels search for neighbours themselves where the shared graph is missing, as it is here.
ALONE = [analysis for analysis in DECLARED if not analysis.needs and analysis.name != "labels"]
SIZES = [Size(0, 512), Size(1, 512), Size(100, 512, 4, 3), Size(10**4, 512, 4, 3)]
SIZES += [Size(10**6, 512, 4, 3), Size(10**8, 512, 4, 3)]


@pytest.mark.parametrize("analysis", DECLARED, ids=lambda a: a.name)
def test_more_never_costs_less(analysis):
    told = [analysis.cost(size, analysis.params()) for size in SIZES]
    assert all(isinstance(cost.memory, int) and cost.memory >= 0 for cost in told)
    assert all(np.isfinite(cost.seconds) and cost.seconds >= 0 for cost in told)
    assert all(isinstance(cost.stored, int) and cost.stored >= 0 for cost in told)
    for less, more in pairwise(told):
        assert more.memory >= less.memory
        assert more.seconds >= less.seconds
    # Without classes `clusters` tries many numbers of them, and keeps each.
    kept = [cost.stored for size, cost in zip(SIZES, told, strict=True) if size.classes]
    assert kept == sorted(kept)


def test_every_analysis_declares_what_it_takes():
    assert all(analysis.cost for analysis in ANALYSES)


@pytest.mark.parametrize("analysis", ALONE, ids=lambda a: a.name)
def test_what_a_finding_keeps_is_about_what_is_declared(analysis):
    contents, vectors = world(300, classes=3, variants=(0, 500))
    finding = serial.run(analysis, contents, vectors)
    kept = sum(array.nbytes for array in finding.per_content.values())
    dim = next(iter(vectors.values())).shape[1]
    assert kept <= analysis.cost(Size(300, dim, 3, 1), analysis.params()).stored + 1024


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("analysis", ALONE, ids=lambda a: a.name)
def test_what_is_declared_covers_what_is_planned(analysis, classes):
    contents, _ = world(300, classes=classes, variants=(0, 500))
    params = analysis.params()
    planned = max((unit.memory for unit in analysis.plan(contents, params)), default=0)
    # Plans do not see vectors: those that need their length assume 2,048.
    assert planned <= analysis.cost(Size(300, 2048, classes, 1), params).memory


def test_halves_are_as_large_as_the_classes_allow():
    assert Size(1000, 2).half(100) == 0
    assert Size(1000, 2, 10).half(100) == 50
    assert Size(10**6, 2, 10).half(100) == 100
