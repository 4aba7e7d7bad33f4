"""Laws of the neighbour graph: brute force agrees, exact or with a recall that is told rightly."""

from dataclasses import replace

import numpy as np
import pytest

from clipbatch.errors import ConfigError, UnitFailed
from clipbatch.measure import duplicates, neighbours_finding, serial, store
from clipbatch.measure.base import NextRound
from clipbatch.measure.neighbours import ANALYSIS, NeighboursParams
from tests.unit.measure.worlds import world
from tests.unit.neighbours import brute

pytestmark = pytest.mark.quick


def ask(contents, vectors, **given):
    return serial.run(ANALYSIS, contents, vectors, NeighboursParams(**given))


def numbers(finding):
    return {number.name: number for number in finding.numbers}


def test_pairs_and_neighbours_agree_with_brute_force():
    contents, vectors = world(n=200, dim=24)
    finding = ask(contents, vectors, threshold=0.7, k=15)
    listed = set(zip(finding.pairs.a.tolist(), finding.pairs.b.tolist(), strict=True))
    assert listed == brute.pairs(vectors[0], 0.7)
    neighbour, cosine = brute.nearest(vectors[0], vectors[0], 15, np.arange(200))
    assert (finding.per_content["neighbour"] == neighbour).all()
    np.testing.assert_allclose(finding.per_content["cosine"], cosine, atol=1.5e-7)
    assert numbers(finding)["recall"].value == 1


@pytest.mark.parametrize("memory_gb", [0.0644, 0.065, 0.07])
def test_what_does_not_fit_is_cut_finer_and_the_answer_stays(memory_gb):
    contents, vectors = world(n=150, dim=30)
    whole = ask(contents, vectors, threshold=0.5)
    units = []

    def counting(analysis, asked):
        units.extend(asked)
        given = NeighboursParams(threshold=0.5, memory_gb=memory_gb)
        return {
            u.key: analysis.compute(serial.inputs_for(analysis, u, contents, vectors), u, given)
            for u in asked
        }

    params = NeighboursParams(threshold=0.5, memory_gb=memory_gb)
    cut = serial.run_rounds(ANALYSIS, contents, params, counting)
    assert store.finding_to_bytes(cut) == store.finding_to_bytes(whole)
    assert max(unit.memory for unit in units) <= memory_gb * 1e9


def test_what_can_never_fit_is_refused():
    with pytest.raises(UnitFailed, match="memory_gb"):
        ask(*world(n=10), memory_gb=0.001)


def approximate(probes, seed=0):
    """Answer a world of 120 cells, as a collection above ``exact_rows`` would be."""
    contents, vectors = world(n=600, dim=16, classes=12, seed=seed)
    given = {"exact_rows": 0, "probes": probes, "k": 10, "threshold": 0.95}
    return contents, vectors, ask(contents, vectors, **given)


@pytest.fixture
def small_cells(monkeypatch):
    monkeypatch.setattr("clipbatch.measure.neighbours.CELL", 5)
    monkeypatch.setattr("clipbatch.measure.neighbours.PER_CENTRE", 2)


@pytest.mark.usefixtures("small_cells")
def test_the_recall_beyond_exact_rows_is_the_true_one():
    _, vectors, finding = approximate(probes=12)
    neighbour, _ = brute.nearest(vectors[0], vectors[0], 10, np.arange(600))
    found = finding.per_content["neighbour"]
    true = np.mean([np.isin(a, b).mean() for a, b in zip(neighbour, found, strict=True)])
    told = numbers(finding)["recall"]
    assert told.value == pytest.approx(true)  # the sample is everything here
    assert told.low <= true <= told.high
    assert 0.5 < true < 1
    listed = set(zip(finding.pairs.a.tolist(), finding.pairs.b.tolist(), strict=True))
    assert listed == brute.pairs(vectors[0], 0.95)  # exact at every size


@pytest.mark.usefixtures("small_cells")
def test_more_probes_find_more_and_all_cells_find_all():
    recalls = [numbers(approximate(probes)[2])["recall"].value for probes in (1, 5, 25, 120)]
    assert recalls == sorted(recalls)
    assert recalls[0] < recalls[-1] == 1


@pytest.mark.usefixtures("small_cells")
def test_the_cut_does_not_change_an_approximate_answer():
    contents, vectors, whole = approximate(probes=6)
    given = {"exact_rows": 0, "probes": 6, "k": 10, "threshold": 0.95}
    cut = ask(contents, vectors, **given, block_rows=3)
    assert store.finding_to_bytes(cut) == store.finding_to_bytes(whole)


def test_the_cap_keeps_the_most_similar_and_says_from_where_the_list_is_complete():
    contents, vectors = world(n=120, dim=12)
    whole = ask(contents, vectors, threshold=0.3)
    capped = ask(contents, vectors, threshold=0.3, max_pairs=40)
    assert capped.pairs.cosine.tolist() == whole.pairs.cosine[:40].tolist()
    down_to = numbers(capped)["pairs_threshold"].value
    assert (whole.pairs.cosine >= down_to).sum() <= 40
    assert any("max_pairs" in note for note in capped.notes)


def test_zero_vectors_are_counted_and_have_no_neighbours():
    contents, vectors = world(n=30)
    vectors[0][[2, 5]] = 0
    finding = ask(contents, vectors, threshold=0.1, k=40)
    assert (finding.per_content["neighbour"][[2, 5]] == -1).all()
    assert not np.isin(finding.per_content["neighbour"], [2, 5]).any()
    assert numbers(finding)["zero_vectors"].value == 2


def test_shared_pairs_are_handed_out_only_where_they_are_all():
    contents, vectors = world(n=120, dim=12)
    finding = ask(contents, vectors, threshold=0.5)
    held = replace(contents, found={"neighbours": finding})
    for threshold in (0.5, 0.7, 0.99):
        pairs = neighbours_finding.shared(held, threshold).pairs
        listed = set(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True))
        assert listed == brute.pairs(vectors[0], threshold)
    assert neighbours_finding.shared(held, 0.49) is None
    assert neighbours_finding.shared(contents, 0.9) is None


def test_duplicates_tell_the_same_from_shared_pairs_as_from_their_own():
    contents, vectors = world(n=120, dim=12)
    params = duplicates.DuplicatesParams(threshold=0.6)
    held, bare = (
        replace(contents, found={"neighbours": ask(contents, vectors, threshold=threshold)})
        for threshold in (0.5, 0.9)
    )
    analysis = duplicates.ANALYSIS
    rounds = []

    def tell(given):
        def compute(_, units):
            rounds.append(len(units))
            return {
                u.key: analysis.compute(serial.inputs_for(analysis, u, given, vectors), u, params)
                for u in units
            }

        found = serial.run_rounds(analysis, given, params, compute)
        assert not isinstance(found, NextRound)
        return store.finding_to_bytes(found)

    assert tell(held) == tell(bare)
    assert rounds == [1, 1, 1]  # the sample; the sample, and a block of its own


@pytest.mark.parametrize(
    "given",
    [
        {"threshold": 0},
        {"threshold": 1.1},
        {"max_pairs": 0},
        {"k": 0},
        {"probes": 0},
        {"block_rows": 0},
        {"memory_gb": 0},
    ],
)
def test_impossible_parameters_are_refused(given):
    with pytest.raises(ConfigError, match=next(iter(given))):
        NeighboursParams(**given)
