"""Subsamples of one common size from every class, and what repeated answers spread over."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clipbatch import seeds
from clipbatch.measure.base import Contents, Number, Result

LOW, HIGH = 5.0, 95.0  # percentiles of the repeats that a spread runs between
CLEAN: Final = 0  # schema.CLEAN, without loading pyarrow


@dataclass(frozen=True)
class Groups:
    """Classes that are large enough to be compared, each by two disjoint halves of one size.

    Attributes:
        names: (C,) ascending.
        rows: (C,) positions of each class's contents.
        half: contents in a half: the same for every class, since both angles and diagrams
            depend on how many contents they come from.
        small: name -> contents of the classes left out because they have too few.
    """

    names: tuple[str, ...]
    rows: tuple[NDArray[np.int64], ...]
    half: int
    small: dict[str, int]


def groups_of(
    contents: Contents, usable: NDArray[np.bool_], at_most: int, min_class: int
) -> Groups:
    """Choose the classes of at least ``min_class`` contents and the size of their halves.

    Args:
        contents: the collection.
        usable: (N,) whether a content may be drawn.
        at_most: cap of the common half.
        min_class: 2 or more.
    """
    names = contents.label_names
    rows = {name: np.flatnonzero(usable & (contents.label == i)) for i, name in enumerate(names)}
    large = {name: found for name, found in rows.items() if len(found) >= min_class}
    return Groups(
        names=tuple(large),
        rows=tuple(large.values()),
        half=min([at_most, *(len(found) // 2 for found in large.values())]),
        small={name: len(found) for name, found in rows.items() if name not in large},
    )


def draw(contents: Contents, rows: NDArray[np.int64], repeat: str, size: int) -> NDArray[np.int64]:
    """Return ``size`` of the rows, in the order of their seeded hashes.

    Any cut of the answer is itself a random sample, so its halves are disjoint random samples.
    """
    return rows[seeds.sample(contents.seed, repeat, contents.content_id[rows].tolist(), size)]


def only(result: Result, prefix: str) -> Result:
    """Return the arrays of one repeat, out of a unit that holds several; the prefix is cut off."""
    return {k.removeprefix(prefix): v for k, v in result.items() if k.startswith(prefix)}


def one_thread() -> AbstractContextManager[object]:
    """Keep linear algebra on one thread: units run side by side, and bits then agree."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def spread(values: ArrayLike) -> tuple[float | None, float | None, float | None]:
    """Return the median and the 5 % and 95 % points of repeated answers; None without any."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return None, None, None
    low, high = np.percentile(known, [LOW, HIGH])
    return float(np.median(known)), float(low), float(high)


def number(name: str, values: ArrayLike, unit: str = "", note: str = "") -> Number:
    """Name the median of repeated answers, with its spread; None needs a note that says why."""
    median, low, high = spread(values)
    repeats = np.size(values)
    interval = f"5 % to 95 % of {repeats} repeats (a spread, not a confidence interval)"
    return Number(name, median, unit, low, high, interval if median is not None else "", note)


def unanswered(
    names: Sequence[str], why: str, units: dict[str, str] | None = None
) -> tuple[Number, ...]:
    """Say of every number that it cannot be told, and why."""
    return tuple(Number(name, None, (units or {}).get(name, ""), note=why) for name in names)


def left_out(groups: Groups, min_class: int) -> tuple[str, ...]:
    """Say which classes were too small, if any: at most ten by name."""
    if not groups.small:
        return ()
    some = ", ".join(f"{name} ({count})" for name, count in list(groups.small.items())[:10])
    more = f" and {len(groups.small) - 10} more" if len(groups.small) > 10 else ""
    count = f"{len(groups.small)} classes with fewer than {min_class} contents were left out"
    return (f"{count}: {some}{more}",)


def rounded(value: Any, digits: int = 4) -> float | None:
    """Round a cell of a table; None where it is not finite."""
    return round(float(value), digits) if value is not None and np.isfinite(value) else None
