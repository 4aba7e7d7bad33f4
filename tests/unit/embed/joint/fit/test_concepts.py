import math

import numpy as np
import pytest

from clipbatch.embed.joint.fit.concepts import Concepts
from clipbatch.errors import ConfigError

pytestmark = pytest.mark.quick

DOG, CAT, POODLE, TERRIER = "00000003", "00000004", "00000005", "00000006"
FRUIT, MELON, VINE, SQUASH = "00000007", "00000010", "00000011", "00000012"


@pytest.fixture(scope="module")
def concepts(nouns):
    return Concepts(nouns, [CAT, POODLE, TERRIER, SQUASH])


def test_lins_similarity_by_hand(concepts):
    poodle, dog, animal = math.log(12), math.log(12 / 3), math.log(12 / 5)
    found = concepts.similarity([POODLE, DOG], [POODLE, TERRIER, CAT])
    expected = [
        [1, 2 * dog / (2 * poodle), 2 * animal / (2 * poodle)],
        [2 * dog / (dog + poodle)] * 2 + [2 * animal / (dog + poodle)],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_similarity_is_symmetric_and_bounded(concepts, nouns):
    everything = list(nouns.synsets)
    found = concepts.similarity(everything, everything)
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.diagonal()[1:] == pytest.approx(1)  # the top says nothing, not even of itself


def test_a_fruit_is_also_where_its_plant_is(concepts):
    assert concepts.reach(MELON) >= {MELON, FRUIT, VINE, "00000009"}
    assert concepts.similarity([MELON], [SQUASH])[0, 0] > 0
    assert FRUIT in concepts.reach(VINE)


def test_groups_are_above_classes_but_not_above_most_of_them(concepts):
    assert concepts.groups == (DOG, "00000008", "00000009")  # animal has three of four
    assert concepts.members[DOG] == [1, 2]


def test_another_wordnet_is_refused(nouns):
    with pytest.raises(ConfigError, match=r"no synset 99999999 \(and 0 more.*version 3\.0"):
        Concepts(nouns, [CAT, "99999999"])
