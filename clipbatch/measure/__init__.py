"""The list of analyses: one line each, in the order of the report."""

from typing import Any, Final

from clipbatch.measure import (
    accuracy,
    angles,
    arrivals,
    association,
    balance,
    clusters,
    drift,
    duplicates,
    homology,
    labels,
    maps,
    neighbours,
    outliers,
    pictures,
)
from clipbatch.measure.base import Analysis

ANALYSES: Final[tuple[Analysis[Any], ...]] = (
    neighbours.ANALYSIS,
    duplicates.ANALYSIS,
    pictures.ANALYSIS,
    labels.ANALYSIS,
    outliers.ANALYSIS,
    balance.ANALYSIS,
    drift.ANALYSIS,
    arrivals.ANALYSIS,
    clusters.ANALYSIS,
    maps.ANALYSIS,
    angles.ANALYSIS,
    homology.ANALYSIS,
    accuracy.ANALYSIS,
    association.ANALYSIS,
)
