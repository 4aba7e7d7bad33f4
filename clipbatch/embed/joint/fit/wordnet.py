"""The nouns of WordNet 3.0 (Fellbaum 1998): their words, their glosses, and what is above what."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clipbatch.errors import ConfigError

FOOD: Final = 13  # lexicographer files noun.food and noun.plant, of lexnames(5WN)
PLANT: Final = 20

# Of WordNet 3.0, as in the npm package WNdb 3.0.1.
SHA256: Final = {
    "data.noun": "489f145e0f68877c0be5bd0eb4117adaaac52f38f6204eb8d85dbe2158b614cc",
    "index.noun": "a490d99d93d017bf4822fe2f0ffa51fd73911ce271dc7535fade21f8814b5a04",
}


@dataclass(frozen=True)
class Synset:
    """One meaning.

    Attributes:
        words: with spaces, as written.
        parents: what it is a kind, or an instance, of: offsets.
        gloss: the definition alone, without examples.
        topic: number of its lexicographer file.
        instance: whether it is a single thing ("Einstein"), not a kind of thing.
    """

    words: tuple[str, ...]
    parents: tuple[str, ...]
    gloss: str
    topic: int
    instance: bool


class Nouns:
    """All noun synsets, by their offset, which is how ImageNet names its classes (n01440764).

    Attributes:
        synsets: offset -> synset.
        senses: word in lower case -> offsets, the most frequent meaning first.
        above: offset -> itself and everything above it.
        children: offset -> the synsets directly below it, in the file's order.
    """

    def __init__(self, folder: Path) -> None:
        """Read ``data.noun`` and ``index.noun`` in the format of wndb(5WN).

        Raises:
            ConfigError: the folder does not hold them.
        """
        missing = [name for name in SHA256 if not (folder / name).is_file()]
        if missing:
            raise ConfigError(
                f"{folder}: no {' or '.join(missing)}; give the dict folder of WordNet 3.0, e.g. "
                "from the npm package WNdb 3.0.1 (its archive, unpacked)"
            )
        self.synsets = dict(map(_synset, _lines(folder / "data.noun")))
        self.senses = dict(map(_senses, _lines(folder / "index.noun")))
        self.children: dict[str, list[str]] = {offset: [] for offset in self.synsets}
        self.above: dict[str, frozenset[str]] = {}
        for offset, synset in self.synsets.items():
            self._climb(offset)
            for parent in synset.parents:
                self.children[parent].append(offset)
        self._sizes = Counter(above for offset in self.synsets for above in self.above[offset])

    @classmethod
    def version_3_0(cls, folder: Path) -> Nouns:
        """Read WordNet 3.0 itself; ImageNet's classes are its offsets, no other version's.

        Raises:
            ConfigError: the files are missing or have other bytes.
        """
        for name, expected in SHA256.items():
            path = folder / name
            got = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
            if got != expected:
                raise ConfigError(
                    f"{path}: got SHA-256 {got}, expected {expected}; give the dict folder of "
                    "WordNet 3.0, e.g. from the npm package WNdb 3.0.1"
                )
        return cls(folder)

    def size(self, offset: str) -> int:
        """Return how many synsets are at or below this one."""
        return self._sizes[offset]

    def information(self, offset: str) -> float:
        """Return the information content -log(share of all nouns at or below), in nats.

        Seco, Veale and Hayes, "An intrinsic information content metric", ECAI 2004.
        """
        return -math.log(self._sizes[offset] / len(self.synsets))

    def rank(self, word: str, offset: str) -> int:
        """Return 0 where this is the word's most frequent meaning, 1 for the next, ..."""
        senses = self.senses.get(word.lower(), ())
        return senses.index(offset) if offset in senses else 0

    def _climb(self, offset: str) -> frozenset[str]:
        if offset not in self.above:
            parents = self.synsets[offset].parents
            self.above[offset] = frozenset({offset}).union(*map(self._climb, parents))
        return self.above[offset]


def _lines(path: Path) -> Iterable[str]:
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if not line.startswith("  "))  # the licence is indented


def _synset(line: str) -> tuple[str, Synset]:
    """Read one line of data.noun, wndb(5WN)."""
    head, _, gloss = line.partition("|")
    fields = head.split()
    count = int(fields[3], 16)
    at = 4 + 2 * count
    pointers = [fields[i : i + 3] for i in range(at + 1, at + 1 + 4 * int(fields[at]), 4)]
    up = [(sign, target) for sign, target, kind in pointers if sign in ("@", "@i") and kind == "n"]
    return fields[0], Synset(
        words=tuple(fields[4 + 2 * i].replace("_", " ") for i in range(count)),
        parents=tuple(target for _, target in up),
        gloss=_definition(gloss),
        topic=int(fields[1]),
        instance=any(sign == "@i" for sign, _ in up),
    )


def _definition(gloss: str) -> str:
    first = gloss.partition(";")[0].partition('"')[0].strip()
    closing = first.find(") ")
    return first[closing + 2 :] if first.startswith("(") and closing > 0 else first


def _senses(line: str) -> tuple[str, tuple[str, ...]]:
    fields = line.split()
    return fields[0].replace("_", " "), tuple(fields[6 + int(fields[3]) :])
