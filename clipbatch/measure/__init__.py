"""The list of analyses: one line each, in the order of the report."""

from typing import Any, Final

from clipbatch.measure.base import Analysis

ANALYSES: Final[tuple[Analysis[Any], ...]] = ()
