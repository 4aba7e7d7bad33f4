"""A season as a table, and as the page ``docs/nights.md``."""

from collections.abc import Sequence

from clipbatch.measure.intervals import wilson
from tests.nights.season import FAULT, QUIET, Night

HEAD = (
    "| night | what happened | verdict | checks | pictures opened | forward passes "
    "| opened to be shown | seconds |\n"
    "|---|---|---|---|---|---|---|---|"
)


def row(night: Night, full: Night) -> str:
    """Return one night; costs in parts of the full run."""
    name = f"**{night.fault.name}**: " if night.fault else ""
    about = night.about if night.fault else list(night.alarms)
    others = len(night.alarms) - len(about)
    words = [f"`{check}`" for check in about] + [f"{others} about other things"] * bool(others)
    told = ", ".join(words)
    wrong = "" if night.right else " (missed)" if night.fault else " (false alarm)"
    cells = (
        str(night.number),
        name + night.what,
        night.verdict + wrong,
        told or "-",
        cost(night.opened, full.opened),
        cost(night.passes, full.passes),
        f"{night.shown:,}",
        f"{night.seconds:.1f} ({night.seconds / full.seconds:.0%})",
    )
    return f"| {' | '.join(cells)} |"


def cost(part: int, whole: int) -> str:
    """Return a number and its share of the full run's."""
    return f"{part:,} ({part / whole:.1%})" if whole else f"{part:,}"


def summary(nights: Sequence[Night]) -> str:
    """Say how many faults were found and how often there was an alarm for nothing."""
    full, rest = nights[0], nights[1:]
    faults = [night for night in rest if night.kind == FAULT]
    calm = [night for night in rest if night.kind != FAULT]
    found, wrong = sum(n.right for n in faults), sum(not n.right for n in calm)
    quiet = [night for night in rest if night.kind == QUIET]
    percent = [night for night in rest if "1 %: " in night.what and "undone" not in night.what]
    failed = sum(night.failed for night in faults)
    warned = sum(bool(night.alarms) for night in calm if night.right)
    by_warning = "" if failed == found else f", {found - failed} by a new warning"
    how = f"{failed} of them by a check about them that failed the night{by_warning}"
    lines = [
        f"- **{found} of {len(faults)} faults found** ({_between(found, len(faults))}), {how}.",
        f"- **{wrong} of {len(calm)} other nights false alarms** ({_between(wrong, len(calm))}).",
        f"- {warned} of these nights passed with a warning that was new.",
    ]
    for name, some in (("A night without a change", quiet), ("A night of 1 %", percent)):
        if some:
            opened, passes, seconds = (
                max(getattr(night, what) for night in some) / getattr(full, what)
                for what in ("opened", "passes", "seconds")
            )
            lines.append(
                f"- {name} ({len(some)} of them): at most {opened:.1%} of a full run's pictures "
                f"opened, {passes:.1%} of its forward passes, {seconds:.0%} of its seconds."
            )
    return "\n".join(lines)


def _between(part: int, whole: int) -> str:
    low, high = wilson(part, whole)
    return f"Wilson 95 %: {low:.0%} to {high:.0%}"


def table(nights: Sequence[Night]) -> str:
    """Return the whole table."""
    return "\n".join([HEAD, *(row(night, nights[0]) for night in nights)])
