"""The list of analyses: one line each, in the order of the report."""

from typing import Any, Final

from clipbatch.measure import angles, clusters, duplicates, homology
from clipbatch.measure.base import Analysis

ANALYSES: Final[tuple[Analysis[Any], ...]] = (
    duplicates.ANALYSIS,
    clusters.ANALYSIS,
    angles.ANALYSIS,
    homology.ANALYSIS,
)
