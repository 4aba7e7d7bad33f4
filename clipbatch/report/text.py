"""Text and numbers for people: nothing in a label or path can hide, turn or break a line."""

import math
import re
import unicodedata
from typing import Any, Final

FULL: Final = 2_000  # characters of a full text kept for a tooltip

_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_HIDDEN: Final = frozenset(
    "\u200b\u2060\ufeff\u00ad"
)  # zero width; joiners are kept, scripts need them
_HEX: Final = re.compile(r"[0-9a-f]{40,64}")


def visible(text: object) -> str:
    r"""Write what cannot be seen, or would change what is seen, as an escape such as ``\u202e``.

    Line breaks become ``↵`` and tabs a space. What remains is legal in HTML, XML and UTF-8.
    """
    return "".join(_visible(character) for character in str(text))


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


def signed(value: float) -> str:
    """Write a change: +3, −0.02, or ±0."""
    return "±0" if value == 0 else f"+{number(value)}" if value > 0 else number(value)


def _visible(character: str) -> str:
    if character == "\n":
        return "↵"
    if character == "\t":
        return " "
    code = ord(character)
    hidden = character in _BIDI or character in _HIDDEN
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    if hidden or noncharacter or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return character
