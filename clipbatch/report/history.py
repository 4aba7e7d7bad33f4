"""How did each check go over the nights? A line for each, drawn without a plotting library.

A quiet night shall not pay for Matplotlib; a line of thirty points needs none.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from clipbatch.report.model import CheckResult, Report, Status

WIDTH: Final = 100.0
HEIGHT: Final = 20.0
MARGIN: Final = 2.0
_MISSED: Final = (Status.WARN, Status.FAIL, Status.ERROR, Status.KNOWN)


def rows(report: Report) -> list[dict[str, Any]]:
    """Return what the template draws of every check that had a value on an earlier night."""
    if not report.history:
        return []
    return [row for check in report.checks if (row := _row(report, check))]


def _row(report: Report, check: CheckResult) -> dict[str, Any] | None:
    nights = [past.values.get(check.name) for past in report.history]
    known = [value for value in nights if value is not None]
    if not known:
        return None
    every = [*nights, check.value]
    known += [check.value] if check.value is not None else []
    line = None if check.against else check.threshold
    low, high = (pick([*known, *([] if line is None else [line])]) for pick in (min, max))
    statuses = [*(past.statuses.get(check.name, "") for past in report.history), check.status]
    return {
        "title": check.name.replace("_", " "),
        "points": [" ".join(points) for points in _lines(every, low, high)],
        "line": None if line is None else round(_y(line, low, high), 2),
        "low": min(known),
        "high": max(known),
        "tonight": check.value,
        "missed": sum(status in _MISSED for status in statuses),
    }


def _lines(values: Sequence[float | None], low: float, high: float) -> Iterator[list[str]]:
    """Yield stretches of nights that have a value; a lone night is a short dash."""
    step = WIDTH / max(1, len(values) - 1)
    stretch: list[str] = []
    for night, value in enumerate([*values, None]):
        if value is not None:
            stretch.append(f"{night * step:.1f},{_y(value, low, high):.1f}")
        elif stretch:
            if len(stretch) == 1:
                x, _, y = stretch[0].partition(",")
                stretch = [f"{max(0.0, float(x) - 1):.1f},{y}", f"{float(x) + 1:.1f},{y}"]
            yield stretch
            stretch = []


def _y(value: float, low: float, high: float) -> float:
    if high == low:
        return HEIGHT / 2
    return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value - low) / (high - low)
