"""From the facts of the decode to counts, tables and thumbnails of pictures that stand apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure import pictures_rules as rules
from clipbatch.measure.base import Contents, Evidence, Figure, Finding, Number, Table
from clipbatch.measure.copies import Images

SHOWN: Final = 12
WORDS: Final = {
    "blank": "blank",
    "dark": "too dark",
    "bright": "too bright",
    "blurred": "blurred",
    "small": "smaller than usual",
    "large": "larger than usual",
    "odd_shape": "of an odd shape",
}
MEANING: Final = (
    "A picture is told when it lies far from what is usual in this collection and the difference "
    "is one that an eye would see; only blank is absolute. Blurred means little detail for the "
    "picture's size and contrast: a smooth object on a plain ground is told as well."
)
CENSUS: Final = "counted over all, not estimated"
BOOTSTRAP: Final = "bootstrap 95 % of where the rule's line falls"


@dataclass(frozen=True)
class Told:
    """What the rules said.

    Attributes:
        contents: the collection.
        flags: rule -> (N,), in the order of ``rules.RULES``.
        relative: rule -> the rule, of all but blank.
        mads: of the relative rules.
    """

    contents: Contents
    flags: dict[str, rules.Flags]
    relative: dict[str, rules.Rule]
    mads: float

    @cached_property
    def usual(self) -> dict[str, tuple[float, float]]:
        """Rule -> (middle, scale)."""
        return {name: rules.usual(rule.value) for name, rule in self.relative.items()}

    @cached_property
    def any(self) -> rules.Flags:
        """Whether any rule tells a picture, (N,)."""
        found: rules.Flags = np.logical_or.reduce(list(self.flags.values()))
        return found

    def distance(self, name: str) -> rules.Floats:
        """Return how many scales each picture lies on the rule's side of the middle, (N,)."""
        rule, (middle, scale) = self.relative[name], self.usual[name]
        return rule.sign * (rule.value - middle) / max(scale, 1e-9)

    def worst(self, name: str) -> NDArray[np.int64]:
        """Return the contents that a rule tells, the farthest first."""
        found = np.flatnonzero(self.flags[name])
        if name == "blank":
            return found
        return found[np.argsort(-self.distance(name)[found].round(6), kind="stable")]


def tell(contents: Contents, limits: rules.Limits, bootstraps: int, table_rows: int) -> Finding:
    """Join everything into the finding."""
    if lacking := rules.missing(contents.facts):
        why = f"the table of contents does not hold {', '.join(lacking)}"
        return unanswerable(contents, why)
    if not len(contents):
        return unanswerable(contents, "the collection has no contents")
    relative = {rule.name: rule for rule in rules.rules(contents.facts, limits)}
    flags = {"blank": rules.blank(contents.facts, limits)} | {
        name: rule.told(*rules.usual(rule.value), limits.mads) for name, rule in relative.items()
    }
    told = Told(contents, flags, relative, limits.mads)
    bits = sum(found.astype(np.int32) << i for i, found in enumerate(flags.values()))
    return Finding(
        headline=_headline(told),
        numbers=tuple(_numbers(told, bootstraps)),
        meaning=MEANING,
        tables=tuple(_tables(told, table_rows)),
        figures=tuple(_figures(told)),
        evidence=tuple(_evidence(told)),
        notes=tuple(_notes(told)),
        per_content={"picture_faults": np.asarray(bits, np.int32)},
    )


def unanswerable(contents: Contents, why: str) -> Finding:
    """Say that there is nothing to hold to the rules."""
    return Finding(
        headline=f"Not answerable: {why}.",
        numbers=tuple(Number(name, None, "contents", note=why) for name in rules.RULES),
        per_content={"picture_faults": np.zeros(len(contents), np.int32)},
    )


def _headline(told: Told) -> str:
    n = len(told.contents)
    parts = [f"{int(found.sum()):,} {WORDS[name]}" for name, found in told.flags.items()]
    return f"Of {n:,} pictures {int(told.any.sum()):,} stand apart: {', '.join(parts)}."


def _numbers(told: Told, bootstraps: int) -> Iterator[Number]:
    n = len(told.contents)
    blank = int(told.flags["blank"].sum())
    yield Number("blank", blank, "contents", note=f"{CENSUS}; an absolute limit")
    for name, rule in told.relative.items():
        rng = seeds.generator(told.contents.seed, "pictures", name)
        count = int(told.flags[name].sum())
        low, high = rules.interval(rule, told.mads, bootstraps, rng)
        middle, scale = told.usual[name]
        beyond = rule.mirrored(middle, scale, told.mads)
        note = (
            f"control: {beyond:,} lie as far on the other side of the median, seen or not; a "
            f"normal distribution would put {n * _tail(told.mads):.2g} on each"
        )
        if scale == 0:
            note = "at least half agree to the digit: only the visible difference decided"
        yield Number(name, count, "contents", min(low, count), max(high, count), BOOTSTRAP, note)
    share = float(told.any.sum() / n)
    yield Number("share", share, note="of all contents that any rule tells; counted over all")


def _tail(mads: float) -> float:
    from scipy.stats import norm

    return float(norm.sf(mads))


def _tables(told: Told, table_rows: int) -> Iterator[Table]:
    contents = told.contents
    if not told.any.any():
        return
    order = [(name, c) for name in told.flags for c in told.worst(name)]
    first = Images(contents).members(contents.image_content, len(contents))
    facts = contents.facts
    rows: list[list[Any]] = []
    for name, c in order[:table_rows]:
        image = first[c][0]
        distance = None if name == "blank" else round(float(told.distance(name)[c]), 2)
        values = [round(float(facts[f][c]), 4) for f in ("brightness", "contrast", "sharpness")]
        size = f"{facts['width'][c]} x {facts['height'][c]}"
        uri, split = str(contents.image_uri[image]), int(contents.image_split[image])
        where = contents.split_names[split] if split >= 0 else ""
        label = int(contents.image_label[image])
        what = contents.label_names[label] if label >= 0 else ""
        rows.append([uri, WORDS[name], distance, *values, size, where, what])
    names = ("image", "fault", "deviations", "brightness", "contrast", "sharpness", "size")
    columns = dict(zip((*names, "split", "label"), zip(*rows, strict=True), strict=True))
    more = "" if len(rows) == len(order) else f" (the first {len(rows):,} of {len(order):,})"
    if rows:
        yield Table(f"Pictures that stand apart{more}", {k: list(v) for k, v in columns.items()})
    yield from _by_class(told)


def _by_class(told: Told) -> Iterator[Table]:
    """Say where the told pictures lie: a fault of one class is often a fault of one camera."""
    contents = told.contents
    used = np.unique(contents.label[told.any & (contents.label >= 0)])
    if not len(used):
        return
    columns: dict[str, Any] = {
        "class": [contents.label_names[c] for c in used],
        "contents": [int((contents.label == c).sum()) for c in used],
    }
    columns |= {
        WORDS[name]: [int((found & (contents.label == c)).sum()) for c in used]
        for name, found in told.flags.items()
        if found.any()
    }
    yield Table("Pictures that stand apart, by class", columns)


def _figures(told: Told) -> Iterator[Figure]:
    facts = told.contents.facts
    counts, edges = np.histogram(facts["brightness"], np.linspace(0, 1, 51))
    data = {"edges": edges.round(3).tolist(), "counts": counts.tolist()}
    yield Figure("histogram", "Brightness: mean luma of a picture", data, "luma", "contents")
    rule, (middle, scale) = told.relative["blurred"], told.usual["blurred"]
    known = rule.value[np.isfinite(rule.value)]
    if len(known) and scale > 0:
        deviations = ((known - middle) / scale).clip(-10, 10)
        counts, edges = np.histogram(deviations, np.linspace(-10, 10, 81))
        data = {"edges": edges.round(3).tolist(), "counts": counts.tolist()}
        title = f"Detail for size and contrast; told below -{told.mads:g}"
        yield Figure("histogram", title, data, "deviations from the median", "contents")


def _evidence(told: Told) -> Iterator[Evidence]:
    contents = told.contents
    first = Images(contents).members(contents.image_content, len(contents))
    for name in told.flags:
        worst = told.worst(name)[:SHOWN]
        if len(worst):
            yield Evidence(
                f"{WORDS[name]}: {int(told.flags[name].sum()):,}",
                tuple(contents.content_id[worst].tolist()),
                tuple(str(contents.image_uri[first[c][0]]) for c in worst),
            )


def _notes(told: Told) -> Iterator[str]:
    for name, (middle, scale) in told.usual.items():
        if scale == 0 and told.flags[name].any():
            yield (
                f"{WORDS[name]}: at least half of the pictures agree to the digit, so only the "
                f"visible difference decided (median {middle:.3g})."
            )
