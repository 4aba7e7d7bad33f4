"""From distances and clouds to outliers, numbers and notes."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from clipbatch import seeds
from clipbatch.measure import outliers_evidence, repeats
from clipbatch.measure import outliers_null as null
from clipbatch.measure.base import Contents, Finding, Number
from clipbatch.measure.outliers_story import Story

DRAWS: Final = 200  # clouds drawn again, for the interval of a count
BOOTSTRAP: Final = "bootstrap 95 % of where the line falls"
NAMES: Final = ("outliers", "outlier_share", "line", "class_outliers", "class_outlier_share")
NO_CLASSES: Final = "no class has enough contents"
MEANING: Final = (
    "An outlier lies farther from its nearest neighbours than nearly all points of a cloud with "
    "the collection's mean, covariance and size but no groups: it belongs to no group here. "
    "Several of a kind are no outliers once they have each other for neighbours. An outlier of a "
    "class is measured within its class alone, and lies far from the bulk of it as well."
)


def unanswerable(contents: Contents, why: str) -> Finding:
    """Say that nothing can be an outlier of so little."""
    return Finding(
        headline=f"Not answerable: {why}.",
        numbers=repeats.unanswered(NAMES, why),
        per_content={"outlier": np.zeros(len(contents), np.int32)},
    )


def tell(story: Story) -> Finding:
    """Join everything into the finding."""
    flags = np.zeros(len(story.contents), np.int32)
    flags[story.outliers] = 1
    flags[story.class_outliers] |= 2
    numbers = tuple(_numbers(story))
    return Finding(
        headline=_headline(story),
        numbers=numbers,
        meaning=MEANING,
        tables=tuple(outliers_evidence.tables(story)),
        figures=tuple(outliers_evidence.figures(story)),
        evidence=tuple(outliers_evidence.groups(story)),
        notes=tuple(_notes(story)),
        per_content={"outlier": flags, "distance": story.distance.astype(np.float32)},
    )


def _headline(story: Story) -> str:
    count, n, rate = len(story.outliers), len(story.contents), story.settings.rate
    text = (
        f"{count:,} of {n:,} contents resemble nothing else in the collection (a structureless "
        f"cloud would have {rate * n:.2g})"
    )
    if not story.classes:
        return f"{text}."
    return f"{text}; {len(story.class_outliers):,} resemble nothing else in their class."


def _numbers(story: Story) -> Iterator[Number]:
    settings, n, seed = story.settings, len(story.contents), story.contents.seed
    rng = seeds.generator(seed, "outliers", "lines")
    lines = null.lines(story.cloud, settings.rate, DRAWS, rng)
    counts = [int((story.distance > line).sum()) for line in lines]
    control = f"a structureless cloud of this size would have {settings.rate * n:.2g}"
    yield _count("outliers", len(story.outliers), counts, control)
    yield Number("outlier_share", len(story.outliers) / n, note=f"of the cloud: {settings.rate:g}")
    low, high = np.percentile([*lines, story.line], [2.5, 97.5])
    note = f"{1 - settings.rate:.1%} of the cloud's points lie nearer to their neighbours"
    ends = (min(float(low), story.line), max(float(high), story.line))
    yield Number("line", story.line, "chord, 0 to 2", *ends, "bootstrap 95 %", note)
    if not story.classes:
        yield from repeats.unanswered(NAMES[3:], NO_CLASSES)
        return
    distance, clouds = story.within
    known = int(np.isfinite(distance).sum())
    lines = null.lines(clouds, settings.rate, DRAWS, rng)
    counts = [len(story.beyond(line)) for line in lines]
    control = f"structureless classes of these sizes would have {settings.rate * known:.2g} at most"
    yield _count("class_outliers", len(story.class_outliers), counts, control)
    share = len(story.class_outliers) / known
    yield Number("class_outlier_share", share, note=f"of the {known:,} contents of those classes")


def _count(name: str, count: int, counts: list[int], note: str) -> Number:
    low, high = np.percentile([*counts, count], [2.5, 97.5])
    ends = (min(float(np.floor(low)), count), max(float(np.ceil(high)), count))
    return Number(name, count, "contents", *ends, BOOTSTRAP, note)


def _notes(story: Story) -> Iterator[str]:
    n, most = len(story.contents), story.settings.null_rows
    if n > most:
        yield (
            f"The cloud has {most:,} points, the collection {n:,}: a smaller cloud is sparser, so "
            "the line lies too far out and some outliers are missed."
        )
    label = story.contents.label
    if left := len(np.unique(label[label >= 0])) - len(story.classes):
        yield f"{left:,} classes are too small for outliers within them."
    beyond = story.settings.rate * len(story.cloud)
    if beyond < 1:
        yield (
            f"{len(story.cloud):,} points of the cloud were measured, too few for a share of "
            f"{story.settings.rate:g}: the line is the farthest of them."
        )
