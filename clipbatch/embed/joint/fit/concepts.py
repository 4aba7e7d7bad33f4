"""Which meanings the text side learns, and how near two of them are in WordNet.

Three kinds: the classes of the image tower; groups, which are above classes ("dog", "vehicle");
and others, which are neither but near some class ("deer", "melon").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.embed.joint.fit.wordnet import FOOD, PLANT, Nouns
from clipbatch.errors import ConfigError

MOST_CLASSES: Final = 0.5  # a group with more of the classes below it says nothing of looks
LEAST_INFORMATION: Final = 5.0  # nats, of what an other meaning shares with some class
LEAST_COVERAGE: Final = 0.01  # share of the synsets below that node that are classes


class Concepts:
    """The classes' place in WordNet.

    Attributes:
        nouns: WordNet.
        classes: the image tower's classes in its order, as offsets.
        members: offset -> positions of the classes at or below it, ascending.
    """

    def __init__(self, nouns: Nouns, classes: Sequence[str]) -> None:
        """Find what is above every class.

        Raises:
            ConfigError: WordNet does not have a class; another version numbers its synsets anew.
        """
        lost = [offset for offset in classes if offset not in nouns.synsets]
        if lost:
            raise ConfigError(
                f"WordNet: got no synset {lost[0]} (and {len(lost) - 1} more classes of ImageNet); "
                "expected version 3.0, whose offsets ImageNet uses"
            )
        self.nouns = nouns
        self.classes = tuple(classes)
        members = defaultdict(list)
        for position, offset in enumerate(classes):
            for above in nouns.above[offset]:
                members[above].append(position)
        self.members = dict(members)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Meanings above classes, in WordNet's order."""
        most = MOST_CLASSES * len(self.classes)
        known = set(self.classes)
        return tuple(
            offset
            for offset in self.nouns.synsets
            if offset not in known and 0 < len(self.members.get(offset, ())) <= most
        )

    @cached_property
    def others(self) -> tuple[str, ...]:
        """Kinds of things near a class, in WordNet's order: neither a class nor above one."""
        return tuple(
            offset
            for offset, synset in self.nouns.synsets.items()
            if offset not in self.members and not synset.instance and self._is_near(offset)
        )

    def similarity(self, left: Sequence[str], right: Sequence[str]) -> NDArray[np.float64]:
        """Return Lin's similarity of every pair, (L, R), in [0, 1].

        Lin, "An information-theoretic definition of similarity", ICML 1998: twice the information
        of the most special meaning above both, over the sum of theirs. What is above a fruit
        is also what is above its plant, so that a melon is a gourd, as a squash is.
        """
        common = np.zeros((len(left), len(right)))
        rows, columns = self._by_ancestor(left), self._by_ancestor(right)
        shared = sorted(rows.keys() & columns.keys(), key=lambda o: (self._information(o), o))
        for offset in shared:  # the most special last, over the more general
            common[np.ix_(rows[offset], columns[offset])] = self._information(offset)
        own = [np.array([self._information(o) for o in side]) for side in (left, right)]
        sums = own[0][:, None] + own[1][None, :]
        lin: NDArray[np.float64] = np.minimum(2 * common / np.maximum(sums, 1e-9), 1)
        return lin

    def reach(self, offset: str) -> frozenset[str]:
        """Return what is above a meaning, a fruit's plant and a plant's fruit included."""
        if offset not in self._reach:
            above = self.nouns.above[offset]
            twins = (twin for meaning in above for twin in self._twins(meaning))
            self._reach[offset] = above.union(*(self.nouns.above[twin] for twin in twins))
        return self._reach[offset]

    @cached_property
    def _reach(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def _reached(self) -> dict[str, set[str]]:
        """Return offset -> the classes that reach it."""
        reached = defaultdict(set)
        for offset in self.classes:
            for above in self.reach(offset):
                reached[above].add(offset)
        return dict(reached)

    def _information(self, offset: str) -> float:
        return self.nouns.information(offset)

    def _by_ancestor(self, offsets: Sequence[str]) -> dict[str, list[int]]:
        found = defaultdict(list)
        for position, offset in enumerate(offsets):
            for above in self.reach(offset):
                found[above].append(position)
        return dict(found)

    def _is_near(self, offset: str) -> bool:
        shared = [above for above in self.reach(offset) if above in self._reached]
        nearest = max(shared, key=lambda o: (self._information(o), o))
        coverage = len(self._reached[nearest]) / self.nouns.size(nearest)
        return self._information(nearest) >= LEAST_INFORMATION and coverage >= LEAST_COVERAGE

    def _twins(self, offset: str) -> list[str]:
        """Return the plant of a fruit with the same name, or its fruit."""
        synset = self.nouns.synsets[offset]
        if synset.topic not in (FOOD, PLANT):
            return []
        other = PLANT if synset.topic == FOOD else FOOD
        senses = (s for word in synset.words for s in self.nouns.senses.get(word.lower(), ()))
        return [s for s in senses if self.nouns.synsets[s].topic == other]
