"""From comparisons of new and old contents to numbers, a table and the pictures that stand out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from clipbatch.measure import repeats
from clipbatch.measure.arrivals_looks import FACTS, NOVELTY, TAIL
from clipbatch.measure.base import Contents, Evidence, Figure, Finding, Number, Result, Table
from clipbatch.measure.copies import Images
from clipbatch.measure.intervals import WILSON, wilson
from clipbatch.measure.twosample import Answer, Floats, holm

SHOWN: Final = 6  # contents of an aspect, as thumbnails
ASPECTS: Final = (NOVELTY, *FACTS)
MEANING: Final = (
    "Each aspect is looked at within classes, so other class shares tonight are no difference. "
    "0.5 is what new pictures like the old ones give; 1 means that every new one lies beyond "
    "every old one of its class, 0 that it lies below. Outside are those beyond 99 % of the old "
    "ones: a part of the new pictures may be at fault while their middle is not."
)


@dataclass(frozen=True)
class Settings:
    """Which difference matters; see ``ArrivalsParams``."""

    effect: float
    outside: float
    alpha: float
    min_new: int


@dataclass(frozen=True)
class Aspect:
    """One comparison.

    Attributes:
        name: of ``ASPECTS``.
        shares: (m,) of the old contents below each new one.
        middle: their mean, with its interval and what chance gives.
        tests: how many intervals shall hold together.
        p_shift, p_outside: corrected for the number of comparisons.
        outside: how many of the new ones lie beyond almost all old ones.
    """

    name: str
    shares: Floats
    middle: Answer
    tests: int
    p_shift: float
    p_outside: float
    outside: int

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Of the middle; holds together with those of the other aspects."""
        low, high = self.middle.interval(self.tests)
        return max(low, 0.0), min(high, 1.0)

    @property
    def outside_interval(self) -> tuple[float, float]:
        """Of the share that lies outside."""
        return wilson(self.outside, len(self.shares))

    def unlike(self, settings: Settings) -> bool:
        """Is the difference large, and no chance?"""
        low, high = self.interval
        shifted = low >= settings.effect or high <= 1 - settings.effect
        beyond = self.outside_interval[0] >= settings.outside
        return (shifted and self.p_shift <= settings.alpha) or (
            beyond and self.p_outside <= settings.alpha
        )

    @property
    def told(self) -> str:
        """In words."""
        value, where = self.middle.value, f"{self.outside} of {len(self.shares)} outside"
        if self.name == NOVELTY:
            return f"novelty (nearest old pictures farther than usual: {value:.2f}; {where})"
        return f"{self.name} ({'more' if value > 0.5 else 'less'} than usual: {value:.2f}; {where})"


def tell(contents: Contents, result: Result | None, settings: Settings) -> Finding:
    """Join everything into the finding."""
    if result is None or "novelty auc" not in result:
        return _unanswered(contents, result, settings)
    aspects = _aspects(result)
    unlike = [aspect for aspect in aspects if aspect.unlike(settings)]
    rows = result["rows"][result["new"]]
    return Finding(
        headline=_headline(unlike, len(rows)),
        numbers=tuple(_numbers(contents, aspects, unlike, len(rows))),
        meaning=MEANING,
        tables=(_table(aspects),),
        figures=(_figure(aspects),),
        evidence=tuple(_evidence(contents, unlike, rows)),
        notes=tuple(_notes(contents, result)),
    )


def _unanswered(contents: Contents, result: Result | None, settings: Settings) -> Finding:
    names = ("unlike", *(f"{name}{end}" for name in ASPECTS for end in ("", "_outside")))
    if contents.new is None:
        why = "there is no earlier run to be new since"
    elif not contents.new.any():
        why = "no picture is new"
    elif result is None:
        why = (
            f"{int(contents.new.sum())} contents are new, those of classes with too little past "
            f"included, and {settings.min_new} are needed"
        )
    else:
        why = (
            f"{int(result['new'].sum())} contents are new when copies of each other count once, "
            f"and {settings.min_new} are needed"
        )
    new = 0 if contents.new is None else int(contents.new.sum())
    counted = Number("new_contents", new, "contents", note="since the last good run")
    numbers = (counted, *repeats.unanswered(names, why))
    return Finding(f"Not answerable: {why}.", numbers)


def _aspects(result: Result) -> list[Aspect]:
    names = [name for name in ASPECTS if f"{name} auc" in result]
    p = holm(
        np.array([float(result[f"{n} p {part}"]) for n in names for part in ("shift", "outside")])
    )
    return [
        Aspect(
            name=name,
            shares=(shares := result[f"{name} share"]),
            middle=Answer(
                float(result[f"{name} auc"]),
                result[f"{name} bootstrap"],
                result[f"{name} chance"],
            ),
            tests=len(names),
            p_shift=float(p[2 * i]),
            p_outside=float(p[2 * i + 1]),
            outside=round(float(result[f"{name} outside"]) * len(shares)),
        )
        for i, name in enumerate(names)
    ]


def _headline(unlike: list[Aspect], new: int) -> str:
    if not unlike:
        return f"The {new} new pictures are like those that were there before."
    told = "; ".join(aspect.told for aspect in unlike)
    return f"The {new} new pictures are unlike those that were there before: {told}."


def _numbers(
    contents: Contents, aspects: list[Aspect], unlike: list[Aspect], compared: int
) -> Iterator[Number]:
    assert contents.new is not None  # there is something to tell
    yield Number(
        "new_contents", int(contents.new.sum()), "contents", note="since the last good run"
    )
    yield Number("compared", compared, "contents", note="new ones; copies of each other count once")
    note = f"of {len(aspects)}; an effect size and a p-value, both corrected for their number"
    yield Number("unlike", len(unlike), "aspects", note=note)
    tests = len(aspects)
    for aspect in aspects:
        low, high = aspect.interval
        most = float(np.percentile(aspect.middle.permuted, 95))
        chance = f"0.5 {'more' if aspect.name == NOVELTY else 'more or less'} than {most:.2f} off"
        note = (
            "chance that a new content lies above an old one of its class; dealt out at random, "
            f"{chance} in 5 % of cases; p {aspect.p_shift:.2g}, corrected (Holm)"
        )
        interval = f"bootstrap 95 %, held by all {tests} aspects together"
        yield Number(aspect.name, aspect.middle.value, "", low, high, interval, note)
        low, high = aspect.outside_interval
        share = aspect.outside / len(aspect.shares)
        note = f"{TAIL:.0%} by chance; p {aspect.p_outside:.2g}, corrected (Holm)"
        yield Number(f"{aspect.name}_outside", share, "", low, high, WILSON, note)


def _table(aspects: list[Aspect]) -> Table:
    cell = repeats.rounded
    columns: dict[str, Sequence[object]] = {
        "aspect": [aspect.name for aspect in aspects],
        "new above old": [cell(aspect.middle.value) for aspect in aspects],
        "from": [cell(aspect.interval[0]) for aspect in aspects],
        "to": [cell(aspect.interval[1]) for aspect in aspects],
        "p": [cell(aspect.p_shift) for aspect in aspects],
        "outside": [aspect.outside for aspect in aspects],
        "of": [len(aspect.shares) for aspect in aspects],
        "p of outside": [cell(aspect.p_outside) for aspect in aspects],
    }
    return Table("New contents against old ones, within classes", columns)


def _figure(aspects: list[Aspect]) -> Figure:
    data = {
        "names": [aspect.name for aspect in aspects],
        "values": [repeats.rounded(aspect.middle.value) for aspect in aspects],
        "low": [repeats.rounded(aspect.interval[0]) for aspect in aspects],
        "high": [repeats.rounded(aspect.interval[1]) for aspect in aspects],
    }
    title = "Chance that a new picture lies above an old one of its class; 0.5 is alike"
    return Figure("bars", title, data, "aspect", "chance")


def _evidence(
    contents: Contents, unlike: list[Aspect], rows: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> Iterator[Evidence]:
    first = Images(contents).members(contents.image_content, len(contents))
    for aspect in unlike:
        far = aspect.shares if aspect.name == NOVELTY else np.abs(aspect.shares - 0.5)
        shown = rows[np.argsort(-far, kind="stable")[:SHOWN]]
        yield Evidence(
            f"new, and unlike in {aspect.told}",
            tuple(contents.content_id[shown].tolist()),
            tuple(str(contents.image_uri[first[c][0]]) for c in shown),
        )


def _notes(contents: Contents, result: Result) -> Iterator[str]:
    assert contents.new is not None
    if left := int(contents.new.sum()) - int(result["new"].sum()):
        yield (
            f"{left:,} new contents were not compared: copies of other new ones, beyond the "
            "sample, or of classes with too little past."
        )
    if missing := [name for name in FACTS if f"{name} auc" not in result]:
        yield f"Not compared, since the decode left no facts of it: {', '.join(missing)}."
