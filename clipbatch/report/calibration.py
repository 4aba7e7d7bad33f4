"""Which thresholds would past nights have kept, and how often would they cry wolf?

Nights in, thresholds out; no table is read here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEAST: Final = 5  # nights; fewer say nothing of the next one
UPPER: Final = ("<=", "<")  # checks that are missed by values that are too large
LOWER: Final = (">=", ">")


@dataclass(frozen=True)
class Calibrated:
    """A threshold learnt from past nights.

    Attributes:
        threshold: a value beyond it is an alarm; None where there were too few nights.
        nights: that it was learnt from.
        alarms: of these nights, how many would have been alarms under the threshold that the
            others alone would have given.
        low, high: 95 % Wilson interval of the false-alarm rate that this implies.
    """

    threshold: float | None
    nights: int
    alarms: int = 0
    low: float = 0.0
    high: float = 1.0

    @property
    def rate(self) -> float | None:
        """The false-alarm rate a night, as seen; None without nights."""
        return self.alarms / self.nights if self.nights and self.threshold is not None else None


def calibrate(
    values: Sequence[float | None], op: str, rate: float = 0.01, span: int = 1
) -> Calibrated:
    """Learn one check's threshold from the values of nights that nothing was wrong with.

    The threshold is the one-sided prediction limit of the next night under a normal law, mean +
    t s sqrt(1 + 1/n) (Hahn & Meeker 1991, section 4.8), and never within what was already seen.

    Args:
        values: one a night; None and NaN are left out.
        op: of the check: "<=" or "<" for an upper limit, ">=" or ">" for a lower one.
        rate: the chance of a false alarm a night that is aimed at, (0, 0.5).
        span: nights that each value is the sum of; values that share a night judge no other.

    Raises:
        ValueError: an op without a side, or a rate out of range.
    """
    if op not in (*UPPER, *LOWER):
        raise ValueError(f"got op {op!r}, expected one of {', '.join((*UPPER, *LOWER))}")
    if not 0 < rate < 0.5:
        raise ValueError(f"got rate {rate}, expected a number between 0 and 0.5")
    side = 1.0 if op in UPPER else -1.0
    night = [i for i, v in enumerate(values) if v is not None and math.isfinite(v)]
    kept = side * np.array([values[i] for i in night], np.float64)
    n = len(kept)
    if n < LEAST:
        return Calibrated(None, n)
    others = (kept[np.abs(np.subtract(night, i)) >= span] for i in night)
    alarms = sum(bool(value > _limit(rest, rate)) for value, rest in zip(kept, others, strict=True))
    low, high = wilson(alarms, n)
    return Calibrated(side * _limit(kept, rate) + 0.0, n, alarms, low, high)


def spans(values: Sequence[float | None], count: int) -> list[float | None]:
    """Add up what each ``count`` nights in a row brought; None where none of them has a value.

    What is new is counted since the last night that passed. After a night that failed that is more
    than a day's worth, and a threshold for one day would fail that night too, and every later one.
    """
    found: list[float | None] = []
    for end in range(1, len(values) + 1):
        there = [v for v in values[max(0, end - count) : end] if v is not None]
        found.append(math.fsum(there) if there else None)
    return found


def any_alarm(
    nights: Mapping[str, Sequence[float | None]],
    ops: Mapping[str, str],
    rate: float = 0.01,
    span: Mapping[str, int] | None = None,
) -> Calibrated:
    """Count the nights on which at least one of several calibrated checks would have alarmed.

    Args:
        nights: check -> one value a night, all of one length.
        ops: check -> its op.
        rate: of each check; see ``calibrate``.
        span: check -> nights that each of its values is the sum of, where more than one.

    Returns:
        As ``calibrate``, with threshold 0 (there is none) where there were enough nights.
    """
    counts = {len(values) for values in nights.values()}
    if len(counts) > 1:
        raise ValueError(f"got {sorted(counts)} nights, expected one length")
    total = next(iter(counts), 0)
    alarmed = np.zeros(total, bool)
    for name, values in nights.items():
        side = 1.0 if ops[name] in UPPER else -1.0
        for i, value in enumerate(values):
            apart = (span or {}).get(name, 1)
            others = [v for j, v in enumerate(values) if abs(j - i) >= apart]
            rest = calibrate(others, ops[name], rate)
            if value is not None and math.isfinite(value) and rest.threshold is not None:
                alarmed[i] |= side * value > side * rest.threshold
    if total <= LEAST:
        return Calibrated(None, total)
    return Calibrated(0.0, total, int(alarmed.sum()), *wilson(int(alarmed.sum()), total))


def _limit(values: NDArray[np.float64], rate: float) -> float:
    from scipy.stats import t

    n = len(values)
    spread = float(values.std(ddof=1)) if n > 1 else 0.0
    limit = float(values.mean()) + float(t.ppf(1 - rate, n - 1)) * spread * math.sqrt(1 + 1 / n)
    return max(limit, float(values.max()))


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    if trials == 0:
        return 0.0, 1.0
    z = 1.959963984540054
    share = successes / trials
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # Rounding may leave 1e-17 where the bound is 0.
    return max(0.0, round((middle - half) / scale, 12)), min(1.0, (middle + half) / scale)
