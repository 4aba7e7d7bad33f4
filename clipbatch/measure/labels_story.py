"""What there is to say about labels: everything the finding is told from."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from clipbatch import seeds
from clipbatch.measure import labels_calibration as calibration
from clipbatch.measure.base import Contents
from clipbatch.measure.labels_calibration import Ballot, Planted
from clipbatch.measure.labels_votes import Ints, Votes

MOST: Final = 0.2  # of the labels that are planted because some may be wrong already
HALVES: Final = 20  # random halves of the repeats that the spread of the count comes from


@dataclass(frozen=True)
class Settings:
    """What of ``LabelsParams`` the finding needs."""

    probability: float
    planted: float
    repeats: int
    table_rows: int


@dataclass(frozen=True)
class Story:
    """Everything the finding is told from."""

    contents: Contents
    ballot: Ballot
    names: tuple[str, ...]
    settings: Settings

    @cached_property
    def votes(self) -> Votes:
        """Of the labels as they are."""
        return self.ballot.cast(self.ballot.label)

    @cached_property
    def bounds(self) -> list[float]:
        """The share of the labels that can be wrong as they are, once for each repeat."""
        first = calibration.plant(self.ballot, self.settings.planted, self.settings.repeats)
        return [calibration.at_most(repeat, self.votes.score) for repeat in first]

    @cached_property
    def rate(self) -> float:
        """The share of the labels that is planted."""
        bound = float(np.nanmedian(self.bounds)) if np.isfinite(self.bounds).any() else 0.0
        return max(self.settings.planted, min(2 * bound, MOST))

    @cached_property
    def planted(self) -> list[Planted]:
        """Repeats with labels swapped to any other class."""
        return calibration.plant(self.ballot, self.rate, self.settings.repeats)

    @cached_property
    def similar(self) -> list[Planted]:
        """Repeats with labels swapped to the class that is most like a picture's own."""
        repeats = self.settings.repeats
        return calibration.plant(self.ballot, self.rate, repeats, similar=True)

    @cached_property
    def shuffled(self) -> "Story":
        """The same collection with its labels dealt out at random."""
        label = self.ballot.label.copy()
        known = label >= 0
        rng = seeds.generator(self.ballot.seed, "labels", "shuffled")
        label[known] = rng.permutation(label[known])
        return replace(self, ballot=replace(self.ballot, label=label))

    @cached_property
    def curve(self) -> calibration.Curve:
        """Score to probability, from all repeats."""
        return calibration.curve(self.planted)

    @cached_property
    def line(self) -> float:
        """The score from which a label is suspect."""
        return self.curve.line(self.settings.probability)

    @cached_property
    def suspects(self) -> Ints:
        """Contents with a suspect label, the most suspect first."""
        found = np.flatnonzero(self.votes.score >= self.line)
        return found[np.argsort(-self.votes.score[found], kind="stable")]

    @cached_property
    def halves(self) -> list[int]:
        """How many would be suspect, had half of the repeats been all."""
        rng = seeds.generator(self.ballot.seed, "labels", "halves")
        counts = []
        for _ in range(HALVES):
            chosen = rng.permutation(len(self.planted))[: len(self.planted) // 2]
            line = calibration.curve([self.planted[i] for i in chosen]).line(
                self.settings.probability
            )
            counts.append(int((self.votes.score >= line).sum()))
        return counts
