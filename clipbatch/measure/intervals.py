"""Intervals of shares."""

from typing import Final

WILSON: Final = "Wilson 95 %"
_Z: Final = 1.959963984540054  # of a standard normal, two-sided 95 %


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927); 0 to 1 of nothing."""
    if not whole:
        return 0.0, 1.0
    share, z2 = part / whole, _Z**2
    centre = (share + z2 / (2 * whole)) / (1 + z2 / whole)
    half = _Z / (1 + z2 / whole) * (share * (1 - share) / whole + z2 / (4 * whole**2)) ** 0.5
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))
