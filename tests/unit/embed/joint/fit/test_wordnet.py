import math

import pytest

from clipbatch.embed.joint.fit.wordnet import Nouns
from clipbatch.errors import ConfigError

pytestmark = pytest.mark.quick

DOG, CAT, POODLE = "00000003", "00000004", "00000005"


def test_words_glosses_and_parents_are_read(nouns):
    assert len(nouns.synsets) == 12
    dog = nouns.synsets[DOG]
    assert dog.words == ("dog", "domestic dog")
    assert dog.parents == ("00000002",)
    assert dog.gloss == "a barker"  # without the example
    assert nouns.synsets[CAT].gloss == "a meower"  # without the remark
    assert nouns.children[DOG] == [POODLE, "00000006"]


def test_above_is_the_closure_of_parents(nouns):
    for offset, synset in nouns.synsets.items():
        expected, queue = {offset}, list(synset.parents)
        while queue:
            expected.add(parent := queue.pop())
            queue += nouns.synsets[parent].parents
        assert nouns.above[offset] == expected


def test_information_counts_what_is_below(nouns):
    assert nouns.information("00000001") == 0
    assert nouns.size(DOG) == 3
    assert nouns.information(DOG) == pytest.approx(math.log(12 / 3))
    assert nouns.information(POODLE) == pytest.approx(math.log(12))


def test_meanings_of_a_word_are_ranked_by_the_index(nouns):
    assert [nouns.rank("Melon", o) for o in ("00000010", "00000011")] == [0, 1]


def test_a_folder_without_the_files_or_with_others_is_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"no data\.noun or index\.noun; give the dict folder"):
        Nouns(tmp_path)
    with pytest.raises(ConfigError, match=r"data\.noun: got SHA-256 .*expected 489f145e"):
        Nouns.version_3_0(folder)
    with pytest.raises(ConfigError, match=r"data\.noun: got SHA-256 no file"):
        Nouns.version_3_0(tmp_path)
