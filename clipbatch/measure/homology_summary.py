"""The diagrams of all repeats of one scope: lifetimes, distances, and what stands above chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import diagrams, repeats
from clipbatch.measure.base import Result
from clipbatch.measure.diagrams import Diagram
from clipbatch.measure.repeats import CLEAN

Array = NDArray[np.float64]

METRICS: Final = ("bottleneck", "wasserstein")
AGAIN: Final = "again"  # the second, disjoint clean subsample
NULL: Final = "null"  # the featureless cloud


SHAPES: Final[dict[str, Callable[[Diagram], float]]] = {
    "total": lambda bars: float(diagrams.lifetimes(bars).sum()),
    "longest": lambda bars: float(diagrams.lifetimes(bars).max(initial=0.0)),
    "second": lambda bars: float(np.sort(diagrams.lifetimes(bars))[-2]) if len(bars) > 1 else 0.0,
    "entropy": diagrams.entropy,
    "death": diagrams.median_death,
    "scatter": diagrams.scatter,
}
"""What is told of one diagram, by the name that numbers and columns carry."""


def pairs_of(noisy: Sequence[int]) -> list[tuple[str, str]]:
    """Name the pairs of clouds whose diagrams are compared.

    Clean against itself drawn again (the floor), against the featureless cloud, and, for every
    noisy variant, against the same contents (paired) and against others (disjoint).
    """
    clean = str(CLEAN)
    levels = [str(variant) for variant in noisy]
    return [
        (clean, AGAIN),
        (clean, NULL),
        *((clean, level) for level in levels),
        *((AGAIN, level) for level in levels),
    ]


@dataclass(frozen=True)
class Summary:
    """R repeats over one scope.

    Attributes:
        name: of the scope.
        size: points of a cloud.
        noisy: the noisy variants, ascending.
        found: R results of the analysis's units.
    """

    name: str
    size: int
    noisy: tuple[int, ...]
    found: tuple[Result, ...]

    @property
    def dims(self) -> range:
        """The dimensions of homology that were computed."""
        return range(2 if "h1 0" in self.found[0] else 1)

    @property
    def measured(self) -> bool:
        """Whether distances were computed."""
        return METRICS[0] in self.found[0]

    @property
    def unit_length(self) -> bool:
        """Whether all vectors have length 1, so that distances are chords."""
        return all(bool(result["unit_length"]) for result in self.found)

    def diagram(self, dim: int, cloud: str, repeat: int = 0) -> Diagram:
        """Return a diagram, (B, 2)."""
        return self.found[repeat][f"h{dim} {cloud}"].astype(np.float64)

    def _lives(self, dim: int, cloud: str) -> list[Array]:
        every = range(len(self.found))
        return [diagrams.lifetimes(self.diagram(dim, cloud, repeat)) for repeat in every]

    def shape(self, name: str, dim: int, cloud: str) -> Array:
        """One of ``SHAPES`` of a cloud's diagram per repeat, (R,); NaN where it has no answer."""
        every = range(len(self.found))
        return np.array([SHAPES[name](self.diagram(dim, cloud, repeat)) for repeat in every])

    def scale(self, cloud: str) -> Array:
        """Median distance between a cloud's points per repeat, (R,)."""
        return np.array([float(result[f"scale {cloud}"]) for result in self.found])

    def change(self, name: str, dim: int, variant: int, *, scaled: bool = False) -> Array:
        """What noise does to a shape of the same contents: noisy less clean per repeat, (R,).

        Args:
            name: one of ``SHAPES``.
            dim: of homology.
            variant: noisy.
            scaled: each shape in units of its own cloud's scale, so that a cloud which only shrank
                shows no change.
        """
        sides = []
        for cloud in (str(variant), str(CLEAN)):
            unit = self.scale(cloud) if scaled else np.ones(len(self.found))
            unit = np.where(unit > 0, unit, np.nan)
            sides.append(self.shape(name, dim, cloud) / unit)
        return np.asarray(sides[0] - sides[1])

    def distance(self, metric: str, dim: int, first: str, second: str) -> Array:
        """Distance between two clouds' diagrams per repeat, (R,); NaN where not computed."""
        if not self.measured:
            return np.full(len(self.found), np.nan)
        row = pairs_of(self.noisy).index((first, second))
        return np.array([result[metric][row, dim] for result in self.found])

    def floor(self, metric: str, dim: int) -> Array:
        """Distance between two disjoint clean subsamples per repeat, (R,)."""
        return self.distance(metric, dim, str(CLEAN), AGAIN)

    def null(self, metric: str, dim: int) -> Array:
        """Distance of the clean diagram to the featureless cloud's per repeat, (R,)."""
        return self.distance(metric, dim, str(CLEAN), NULL)

    def paired(self, metric: str, dim: int, variant: int) -> Array:
        """Distance clean to noisy of the same contents per repeat, (R,); of clean itself 0."""
        if variant == CLEAN:
            return np.zeros(len(self.found))
        return self.distance(metric, dim, str(CLEAN), str(variant))

    def disjoint(self, metric: str, dim: int, variant: int) -> Array:
        """Distance clean to noisy of other contents per repeat, (R,); of clean itself the floor."""
        if variant == CLEAN:
            return self.floor(metric, dim)
        return self.distance(metric, dim, AGAIN, str(variant))

    def persistent(self, dim: int, cloud: str = str(CLEAN)) -> Array:
        """How many bars, (R,), outlast both what sampling and what no shape would give?

        Longer than twice the floor's bottleneck distance: a shorter one may be matched to the
        diagonal between two clean subsamples, so sampling alone can make it vanish (the rule of
        Fasy et al. 2014, with our floor for their band). And longer than the featureless cloud's
        longest, since clouds without shape have bars too. Both at their 95 % point, of clean
        clouds, whichever cloud is asked about.
        """
        _, _, floor = repeats.spread(self.floor("bottleneck", dim))
        _, _, null = repeats.spread(self.shape("longest", dim, NULL))
        if floor is None or null is None:
            return np.full(len(self.found), np.nan)
        bound = max(2 * floor, null)
        return np.array([(lives > bound).sum() for lives in self._lives(dim, cloud)])

    def above_null(self, dim: int) -> Array:
        """How much longer is the longest clean bar than the null's? (R,)."""
        clean = self.shape("longest", dim, str(CLEAN))
        return np.asarray(clean - self.shape("longest", dim, NULL))

    def beyond_floor(self, dim: int) -> tuple[int, ...]:
        """At which variants does the disjoint Wasserstein distance exceed the floor's top?"""
        _, _, top = repeats.spread(self.floor("wasserstein", dim))
        if top is None:
            return ()
        return tuple(v for v in self.noisy if np.median(self.disjoint("wasserstein", dim, v)) > top)
