"""What people may write for a meaning: names, synonyms, glosses, in several settings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from clipbatch.embed.joint.fit.concepts import Concepts

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS: Final = (
    "{}",
    "a photo of a {}.",
    "a picture of the {}",
    "a close-up of some {}",
)
OTHERS_SHARE: Final = 0.3  # of all weight, for meanings that are neither classes nor groups
MOST_PIECES: Final = 2  # per word; rarer words are spelt in more, and fit the text tower badly


@dataclass(frozen=True)
class Phrase:
    """A text, the meaning it stands for, and how much it counts."""

    text: str
    meaning: str
    weight: float


def names(label: str) -> list[str]:
    """Take the names out of one of open_clip's labels.

    "red wolf or maned wolf" is two, "cardboard box / carton" too; "kite (bird of prey)" is one.
    """
    plain = re.sub(r" \(.*\)$", "", label)
    return [name.strip() for name in re.split(r" / | or ", plain)]


def phrases(
    concepts: Concepts, labels: Iterable[str], pieces: Callable[[str], int]
) -> list[Phrase]:
    """List everything that the text side is taught.

    Args:
        concepts: classes, groups and others.
        labels: open_clip's label of every class.
        pieces: how many pieces the text tower's tokenizer cuts a word into.
    """
    found: list[Phrase] = []
    for meaning, label in zip(concepts.classes, labels, strict=True):
        extra = [Phrase(name, meaning, 1.0) for name in names(label)]
        found += _settings([*extra, *_words(concepts, meaning)])
        found.append(_gloss(concepts, meaning))
    for meaning in concepts.groups:
        found += _settings(_words(concepts, meaning))
        found.append(_gloss(concepts, meaning))
    plain = [
        Phrase(word, meaning, 1.0)
        for meaning in concepts.others
        for word in concepts.nouns.synsets[meaning].words
        if _is_plain(word, pieces)
    ]
    total = sum(phrase.weight for phrase in found) * OTHERS_SHARE / (1 - OTHERS_SHARE)
    others = _settings([Phrase(p.text, p.meaning, total / len(plain)) for p in plain], 2)
    return found + others


def _words(concepts: Concepts, meaning: str) -> list[Phrase]:
    nouns = concepts.nouns
    words = nouns.synsets[meaning].words
    return [Phrase(word, meaning, 1 / (1 + nouns.rank(word, meaning))) for word in words]


def _gloss(concepts: Concepts, meaning: str) -> Phrase:
    return Phrase(concepts.nouns.synsets[meaning].gloss, meaning, 1.0)


def _settings(bare: Iterable[Phrase], count: int = len(SETTINGS)) -> list[Phrase]:
    return [
        Phrase(setting.format(phrase.text), phrase.meaning, phrase.weight / count)
        for phrase in bare
        for setting in SETTINGS[:count]
    ]


def _is_plain(text: str, pieces: Callable[[str], int]) -> bool:
    words = re.split("[ -]", text.lower())
    return all(word.isalpha() and pieces(word) <= MOST_PIECES for word in words)
