"""The tables, figures and thumbnails that stand behind outliers."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import repeats
from clipbatch.measure.base import Evidence, Figure, Table
from clipbatch.measure.copies import Images
from clipbatch.measure.outliers_null import Floats
from clipbatch.measure.outliers_story import Story

SHOWN: Final = 12


def tables(story: Story) -> Iterator[Table]:
    """List the outliers of the collection, and of the classes."""
    ratio = story.distance / max(story.line, 1e-9)
    if len(story.outliers):
        yield _table(story, "Outliers of the collection", story.outliers, ratio)
    if len(story.class_outliers):
        distance = story.within[0] / story.class_line
        yield _table(story, "Outliers of their class", story.class_outliers, distance)
        used = sorted(story.classes, key=lambda c: -_told(story, c) / len(story.classes[c][0]))
        rows = used[: story.settings.table_rows]
        columns: dict[str, list[Any]] = {
            "class": [story.contents.label_names[c] for c in rows],
            "contents": [len(story.classes[c][0]) for c in rows],
            "outliers": [_told(story, c) for c in rows],
        }
        yield Table("Outliers by class", columns)


def _told(story: Story, label: int) -> int:
    return int((story.contents.label[story.class_outliers] == label).sum())


def _table(story: Story, title: str, found: NDArray[np.int64], ratio: Floats) -> Table:
    contents, order = story.contents, found[: story.settings.table_rows]
    first = Images(contents).members(contents.image_content, len(contents))
    nearest = story.near.neighbour[order, 0]
    label = [int(contents.label[c]) for c in order]
    split = [int(contents.image_split[first[c][0]]) for c in order]
    columns: dict[str, Any] = {
        "image": [str(contents.image_uri[first[c][0]]) for c in order],
        "distance by the line": ratio[order].round(3).tolist(),
        "label": [contents.label_names[c] if c >= 0 else "" for c in label],
        "split": [contents.split_names[s] if s >= 0 else "" for s in split],
        "nearest image": [str(contents.image_uri[first[c][0]]) if c >= 0 else "" for c in nearest],
        "cosine to it": [repeats.rounded(c) for c in story.near.cosine[order, 0]],
    }
    more = "" if len(order) == len(found) else f" (the first {len(order):,} of {len(found):,})"
    return Table(f"{title}, the farthest first{more}", columns)


def figures(story: Story) -> Iterator[Figure]:
    """Draw the distances of the collection beside those of a structureless cloud."""
    edges = np.linspace(0, max(story.distance.max(), story.cloud.max(), 1e-6), 51)
    middles = ((edges[1:] + edges[:-1]) / 2).round(4).tolist()
    pairs = {"the collection": story.distance, "a structureless cloud": story.cloud}
    series = {
        name: (np.histogram(far, edges)[0] / len(far)).round(5).tolist()
        for name, far in pairs.items()
    }
    title = (
        f"Mean distance to the {story.settings.neighbours} nearest; outliers lie beyond "
        f"{story.line:.3f}"
    )
    yield Figure("lines", title, {"x": middles, "series": series}, "chord", "share of contents")


def groups(story: Story) -> Iterator[Evidence]:
    """Show the farthest."""
    contents = story.contents
    first = Images(contents).members(contents.image_content, len(contents))
    kinds = {"the collection": story.outliers, "their class": story.class_outliers}
    for name, found in kinds.items():
        shown = found[:SHOWN]
        if len(shown):
            yield Evidence(
                f"outliers of {name}: {len(found):,}",
                tuple(contents.content_id[shown].tolist()),
                tuple(str(contents.image_uri[first[c][0]]) for c in shown),
            )
