"""What there is to say about outliers: everything the finding is told from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import outliers_null as null
from clipbatch.measure.base import Contents, Result
from clipbatch.measure.nearest import Near
from clipbatch.measure.outliers_null import Floats
from clipbatch.measure.pictures_rules import usual

TAIL: Final = 95  # percentile of a class's cloud that its scale is taken from


@dataclass(frozen=True)
class Settings:
    """What of ``OutliersParams`` the finding needs."""

    rate: float
    neighbours: int
    table_rows: int
    null_rows: int
    mads: float


@dataclass(frozen=True)
class Story:
    """Everything the finding is told from.

    Attributes:
        contents: the collection.
        near: its neighbours.
        cloud: (Q,) mean distance of a structureless cloud's points to their neighbours.
        classes: label -> (rows, distances of the class and of its cloud).
        settings: of the analysis.
    """

    contents: Contents
    near: Near
    cloud: Floats
    classes: Mapping[int, tuple[NDArray[np.int64], Result]]
    settings: Settings

    @cached_property
    def distance(self) -> Floats:
        """Mean distance to the nearest neighbours, (N,)."""
        chords = np.where(self.near.there, null.chords(self.near.cosine), 0.0)
        found: Floats = chords.sum(axis=1) / np.maximum(self.near.there.sum(axis=1), 1)
        return found

    @cached_property
    def line(self) -> float:
        """Distance from which a content is an outlier."""
        return null.line(self.cloud, self.settings.rate)

    @cached_property
    def outliers(self) -> NDArray[np.int64]:
        """Contents beyond the line, the farthest first."""
        found = np.flatnonzero(self.distance > self.line)
        return found[np.argsort(-self.distance[found], kind="stable")]

    @cached_property
    def within(self) -> tuple[Floats, Floats]:
        """Distances within classes in units of the class's own cloud: contents (N,), and clouds.

        0 is the median of the class's cloud and 1 its 95 % point, so that classes can be pooled:
        a tail of a thousandth is then told from all clouds together. NaN outside these classes.
        """
        found = np.full(len(self.contents), np.nan)
        clouds: list[Floats] = []
        for rows, result in self.classes.values():
            middle, tail = np.percentile(result["cloud"], [50, TAIL])
            scale = max(float(tail - middle), 1e-6)
            found[rows] = (result["distance"] - middle) / scale
            clouds.append((result["cloud"] - middle) / scale)
        return found, np.concatenate(clouds) if clouds else np.empty(0)

    @cached_property
    def class_line(self) -> float:
        """The same line, in those units; infinity without classes."""
        clouds = self.within[1]
        return null.line(clouds, self.settings.rate) if len(clouds) else float("inf")

    @cached_property
    def class_outliers(self) -> NDArray[np.int64]:
        """Contents beyond the line of their class, the farthest first."""
        return self.beyond(self.class_line)

    def beyond(self, line: float) -> NDArray[np.int64]:
        """Return the contents beyond a line and far from the bulk of their class too.

        Real classes are less even than a cloud: without the second condition a class of two kinds
        of pictures would give up the smaller kind.
        """
        distance = np.nan_to_num(self.within[0], nan=-np.inf)
        found = np.flatnonzero((distance > line) & self._apart)
        return found[np.argsort(-distance[found].round(6), kind="stable")]

    @cached_property
    def _apart(self) -> NDArray[np.bool_]:
        found = np.zeros(len(self.contents), np.bool_)
        for rows, result in self.classes.values():
            middle, scale = usual(result["distance"])
            found[rows] = result["distance"] - middle > self.settings.mads * scale
        return found
