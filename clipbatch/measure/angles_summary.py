"""The angles of all repeats, stacked: what is close, and closer than chance allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import repeats, subspaces
from clipbatch.measure.base import Result
from clipbatch.measure.repeats import Groups

Array = NDArray[np.float64]

MODES: Final = {"affine": True, "linear": False}  # name -> whether the class mean is removed


@dataclass(frozen=True)
class Summary:
    """The angles of R repeats between C classes, P pairs, K dimensions; all degrees, ascending.

    Attributes:
        names: (C,). contents: (C,) how many each class has.
        half: contents that span a subspace.
        pairs: mode -> (R, P, K). floor, shuffled: mode -> (R, C, K). ceiling: (R, any, K).
        gap: (R, P) distance between class means. gap_floor: (R, C) between halves of a class.
        dropped: classes that do not span K directions.
    """

    names: tuple[str, ...]
    contents: tuple[int, ...]
    half: int
    pairs: dict[str, Array]
    floor: dict[str, Array]
    shuffled: dict[str, Array]
    ceiling: Array
    gap: Array
    gap_floor: Array
    dropped: tuple[str, ...]

    @classmethod
    def of(cls, groups: Groups, results: Sequence[Result]) -> "Summary":
        """Stack the repeats and drop the classes that do not span K directions in all of them."""

        def stack(name: str) -> Array:
            return np.stack([result[name] for result in results]).astype(np.float64)

        floor = {mode: stack(f"floor_{mode}") for mode in MODES}
        known = np.all([np.isfinite(array).all(axis=(0, 2)) for array in floor.values()], axis=0)
        a, b = np.triu_indices(len(known), 1)
        kept = known[a] & known[b]
        return cls(
            names=tuple(np.array(groups.names)[known].tolist()),
            contents=tuple(len(r) for r, k in zip(groups.rows, known, strict=True) if k),
            half=groups.half,
            pairs={mode: stack(f"pairs_{mode}")[:, kept] for mode in MODES},
            floor={mode: array[:, known] for mode, array in floor.items()},
            shuffled={mode: stack(f"shuffled_{mode}") for mode in MODES},
            ceiling=stack("ceiling"),
            gap=stack("gap")[:, kept],
            gap_floor=stack("gap_floor")[:, known],
            dropped=tuple(np.array(groups.names)[~known].tolist()),
        )

    @cached_property
    def ends(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The classes of each pair, (P,) and (P,)."""
        a, b = np.triu_indices(len(self.names), 1)
        return a, b

    @cached_property
    def distances(self) -> dict[str, Array]:
        """Mode -> (R, P) projection distance."""
        return {mode: subspaces.distance(angles) for mode, angles in self.pairs.items()}

    @cached_property
    def limits(self) -> dict[str, Array]:
        """Mode -> (P,) the larger of both classes' floors, each the 95 % point of its repeats."""
        a, b = self.ends
        tops = {
            mode: np.percentile(subspaces.distance(angles), repeats.HIGH, axis=0)
            for mode, angles in self.floor.items()
        }
        return {mode: np.maximum(top[a], top[b]) for mode, top in tops.items()}

    def confusable(self, mode: str) -> NDArray[np.bool_]:
        """Which pairs, (P,), are not farther apart than the halves of one of their classes?"""
        return np.median(self.distances[mode], axis=0) <= self.limits[mode]

    def closest(self, mode: str) -> NDArray[np.intp]:
        """Pairs, (P,), the nearest first."""
        return np.argsort(np.median(self.distances[mode], axis=0), kind="stable")

    def pair(self, index: int) -> tuple[str, str]:
        """Names of a pair's classes."""
        a, b = self.ends
        return self.names[a[index]], self.names[b[index]]
