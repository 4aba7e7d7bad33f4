import pytest

from clipbatch.embed.joint.fit.concepts import Concepts
from clipbatch.embed.joint.fit.phrases import OTHERS_SHARE, SETTINGS, names, phrases

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("tench", ["tench"]),
        ("red wolf or maned wolf", ["red wolf", "maned wolf"]),
        ("cardboard box / carton", ["cardboard box", "carton"]),
        ("kite (bird of prey)", ["kite"]),
    ],
)
def test_names_of_a_label(label, expected):
    assert names(label) == expected


def test_every_class_and_group_is_taught_by_name_and_gloss(nouns, monkeypatch):
    concepts = Concepts(nouns, ["00000004", "00000005", "00000006", "00000012"])
    monkeypatch.setattr(Concepts, "others", ("00000010",))
    taught = phrases(concepts, ["cat", "poodle", "terrier", "squash"], lambda word: 1)
    meanings = {p.meaning for p in taught}
    assert meanings == {*concepts.classes, *concepts.groups, "00000010"}
    of_dog = {p.text for p in taught if p.meaning == "00000003"}
    assert of_dog == {s.format(w) for s in SETTINGS for w in ("dog", "domestic dog")} | {"a barker"}
    others = sum(p.weight for p in taught if p.meaning == "00000010")
    assert others / sum(p.weight for p in taught) == pytest.approx(OTHERS_SHARE)


def test_rare_words_are_left_out_of_the_others(nouns, monkeypatch):
    concepts = Concepts(nouns, ["00000004", "00000005", "00000006", "00000012"])
    monkeypatch.setattr(Concepts, "others", ("00000010", "00000011"))
    taught = phrases(concepts, ["a", "b", "c", "d"], lambda word: 9 if word == "vine" else 1)
    assert "melon" in {p.text for p in taught}
    assert not any(p.text == "melon vine" for p in taught)
