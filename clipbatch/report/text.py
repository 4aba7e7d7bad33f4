"""Text and numbers for people, cut and rounded to what a page has room for."""

import math
import re
from typing import Any, Final

from clipbatch.report.model import CheckResult
from clipbatch.text import visible

FULL: Final = 2_000  # characters of a full text kept for a tooltip

_HEX: Final = re.compile(r"[0-9a-f]{40,64}")


def shorten(text: object, limit: int = 60) -> str:
    """Cut visible text to ``limit`` characters, keeping its beginning and its end."""
    shown = visible(text)
    if _HEX.fullmatch(shown):
        return f"{shown[:12]}…"
    if len(shown) <= limit:
        return shown
    tail = limit // 3
    return f"{shown[: limit - tail - 1].rstrip()}…{shown[-tail:].lstrip()}"


def number(value: Any) -> str:
    """Write a number with at most four significant digits; whole numbers in full."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not math.isfinite(value):
        return "not finite"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", "−")
    size = abs(value)
    if size >= 1e15 or size < 1e-4:
        return f"{value:.4g}".replace("-", "−")
    digits = max(0, 3 - math.floor(math.log10(size)))
    shown = f"{value:,.{digits}f}".replace("-", "−")
    return shown.rstrip("0").rstrip(".") if digits else shown


def wants(check: CheckResult) -> str:
    """Say what a check asks for: <= 3, or how much it may change, and since when."""
    asked = f"{check.op} {number(check.threshold)}"
    if not check.against:
        return asked
    what = "change" if check.change == "delta" else "ratio"
    return f"{what} since the {check.against} {asked}"


def signed(value: float) -> str:
    """Write a change: +3, −0.02, or ±0."""
    return "±0" if value == 0 else f"+{number(value)}" if value > 0 else number(value)
