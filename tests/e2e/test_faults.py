"""Faults that were planted in photographs are found by the default checks, and little else is."""

import pytest

from clipbatch import config as configs
from clipbatch.runtime import verbs
from tests import faults, groceries, scoring

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
EACH = 8


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Audit 450 photographs with eight faults of every kind; check -> (planted, told, both)."""
    root = tmp_path_factory.mktemp("faults")
    planted = faults.plant(groceries.rows(450), EACH)
    for name, data in planted.pictures.items():
        path = root / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    settings = [
        f"collect.source={root / 'pictures'}",
        f"index.database={root / 'db'}",
        f"report.folder={root / 'report'}",
        "embed.levels=[]",
        f"measure.analyses={[*scoring.ANALYSES]}",
    ]
    config = configs.load(None, settings)
    assert verbs.run("audit", config) == 1, "label conflicts of the same bytes fail the audit"
    return scoring.score(config, planted)


def recall(scored, check):
    planted, _, both = scored[0][check]
    assert planted == EACH
    return both / planted


def precision(scored, check):
    _, told, both = scored[0][check]
    return both / told


@pytest.mark.parametrize("check", ["same bytes, another label", "same pixels, other bytes"])
def test_what_is_certain_is_found_whole_and_alone(scored, check):
    assert recall(scored, check) == precision(scored, check) == 1


@pytest.mark.parametrize("kind", ["reencoded", "rescaled", "mirrored", "same_pixels", "leaked"])
def test_copies_are_verified_whatever_was_done_to_them(scored, kind):
    assert recall(scored, f"copy: {kind}") == 1


def test_what_is_verified_is_a_copy_and_a_leak_is_told_as_one(scored):
    assert precision(scored, "copy, verified on pixels") >= 0.9
    assert recall(scored, "leaked copy") == 1
    assert precision(scored, "leaked copy") >= 0.8


@pytest.mark.parametrize("look", faults.LOOKS)
def test_pictures_that_stand_apart_are_told(scored, look):
    assert recall(scored, look) >= 0.75
    assert precision(scored, look) >= 0.5


def test_swapped_labels_are_suspect(scored):
    assert recall(scored, "swapped label") >= 0.5
    assert precision(scored, "swapped label") >= 0.4


def test_the_encoders_threshold_is_rated_by_copies_that_it_did_not_find(scored):
    assert not scored[1]["near_recall"].startswith("not answerable")
    assert not scored[1]["near_precision"].startswith("not answerable")
