"""Copies verified on pixels, and what they say about the encoder's threshold."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import duplicates_threshold
from clipbatch.measure.base import Evidence, Figure, Number, Table
from clipbatch.measure.duplicates_sources import Copies
from clipbatch.measure.duplicates_story import VERIFIED, Story
from clipbatch.measure.intervals import WILSON, wilson

SHOWN: Final = 6  # pairs as thumbnails
STEPS: Final = 25  # thresholds tried
NO_SPLITS: Final = "the collection has fewer than two splits"
NO_LABELS: Final = "the collection has fewer than two labels"
NO_PIXEL_ID: Final = "the contents have no identity of their pixels"
NO_PIXELS: Final = "the contents have no hashes and thumbnails to verify with"


def numbers(story: Story) -> Iterator[Number]:
    """Count copies, their leaks and conflicts, and rate the encoder's threshold by them."""
    same, copies = story.same_pixels, story.copies
    splits = "" if len(story.contents.split_names) > 1 else NO_SPLITS
    labels = "" if len(story.contents.label_names) > 1 else NO_LABELS
    unknown = NO_PIXEL_ID if same is None else ""
    note = "groups of equal pixels under different bytes, with images in several splits"
    found = 0 if same is None else int(same.leaks.sum())
    yield _number("same_pixels_leaks", found, "groups", unknown or splits, note)
    note = "groups of equal pixels under different bytes, with images under several labels"
    found = 0 if same is None else int(same.conflicts.sum())
    yield _number("same_pixels_label_conflicts", found, "groups", unknown or labels, note)
    if copies is None:
        names = ("copies", "copy_leaks", "copy_label_conflicts", "near_precision", "near_recall")
        for name in names:
            yield Number(name, None, "pairs" if name.startswith("cop") else "", note=NO_PIXELS)
        return
    passed, control = story.chance
    note = (
        f"pairs verified on pixels, {int((~copies.listed).sum()):,} of them below the encoder's "
        f"threshold, proposed by hashes ({int(copies.by_hash.sum()):,} in all) or as nearest "
        f"neighbours; {passed} of {control:,} random pairs would pass"
    )
    yield Number("copies", len(copies), "pairs", note=note)
    note = "verified copies in different splits"
    yield _number("copy_leaks", int(copies.leaks.sum()), "pairs", splits, note)
    note = "verified copies under different labels"
    yield _number("copy_label_conflicts", int(copies.conflicts.sum()), "pairs", labels, note)
    yield from _threshold(story, copies)


def groups(story: Story) -> NDArray[np.int32]:
    """Return the first content of each content's group of verified copies, (N,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, copies = len(story.contents), story.copies
    if copies is None or not n:
        return np.arange(n, dtype=np.int32)
    joined = coo_array((np.ones(len(copies), np.int8), (copies.a, copies.b)), shape=(n, n))
    _, group = connected_components(joined, directed=False)
    first: NDArray[np.int32] = np.unique(group, return_index=True)[1][group].astype(np.int32)
    return first


def _threshold(story: Story, copies: Copies) -> Iterator[Number]:
    """Rate the threshold of the cosine in this collection, for this encoder."""
    looked = len(story.near.a[:VERIFIED])
    note = "share of the near pairs that are copies on pixels; the others only look alike"
    verified = int(story.verified.sum())
    yield _share("near_precision", verified, looked, "there are no near pairs", note)
    hashed = int(copies.by_hash.sum())
    reached = int((copies.by_hash & copies.listed).sum())
    note = (
        "share of the copies found by hashes, without the encoder, whose cosine reaches the "
        "threshold; crops are seldom among them"
    )
    yield _share("near_recall", reached, hashed, "hashes found no copies to tell it by", note)


def _share(name: str, part: int, whole: int, why_not: str, note: str) -> Number:
    if not whole:
        return Number(name, None, note=why_not)
    return Number(name, part / whole, "", *wilson(part, whole), WILSON, f"of {whole:,}: {note}")


def _number(name: str, value: int, unit: str, why_not: str, note: str) -> Number:
    return Number(name, None if why_not else value, unit, note=why_not or note)


def _worst_first(copies: Copies) -> NDArray[np.intp]:
    return np.lexsort((copies.b, copies.a, -copies.correlation, ~copies.conflicts, ~copies.leaks))


def tables(story: Story) -> Iterator[Table]:
    """List the copies, and precision and recall by threshold."""
    copies = story.copies
    if copies is None or not len(copies):
        return
    order = _worst_first(copies)[: story.limits.table_rows]
    members = story.images.members(story.contents.image_content, len(story.contents))
    first = np.array([found[0] for found in members])
    cosine = copies.cosine[order]
    columns: dict[str, Any] = {
        "image": story.images.uris(first[copies.a[order]]),
        "other image": story.images.uris(first[copies.b[order]]),
        "thumbnail correlation": copies.correlation[order].round(4).tolist(),
        "cosine": [None if np.isnan(c) else round(float(c), 4) for c in cosine],
        "leak": ["yes" if flag else "no" for flag in copies.leaks[order]],
        "label conflict": ["yes" if flag else "no" for flag in copies.conflicts[order]],
    }
    more = "" if len(order) == len(copies) else f" (the first {len(order):,} of {len(copies):,})"
    yield Table(f"Copies verified on pixels{more}", columns)


def figures(story: Story) -> Iterator[Figure]:
    """Draw what each threshold of the cosine would give."""
    if story.choice is not None and not story.choice.why_not:
        yield from duplicates_threshold.figures(story.choice)
        return
    copies, reached = story.copies, story.near.reached
    if copies is None or not len(story.near.a) or story.correlation is None or reached >= 1:
        return
    looked = story.near.cosine[: len(story.correlation)]
    verified, hashed = story.verified[: len(looked)], copies.by_hash
    thresholds = np.linspace(reached, 1.0, STEPS, endpoint=False)
    precision = [_ratio(verified[looked >= t]) for t in thresholds]
    series = {"verified share of the pairs": precision}
    if hashed.any():
        recall = [_ratio((copies.listed & (copies.cosine >= t))[hashed]) for t in thresholds]
        series["share of the hashed copies reached"] = recall
    data = {"x": thresholds.round(4).tolist(), "series": series}
    title = "Precision and recall of the encoder's threshold, told by pixels"
    yield Figure("lines", title, data, "cosine", "share")


def _ratio(flags: NDArray[np.bool_]) -> float | None:
    return round(float(flags.mean()), 4) if len(flags) else None


def evidence(story: Story) -> Iterator[Evidence]:
    """Show the worst copies side by side."""
    copies = story.copies
    if copies is None:
        return
    contents = story.contents
    members = story.images.members(contents.image_content, len(contents)) if len(copies) else []
    for i in _worst_first(copies)[:SHOWN].tolist():
        pair = [int(copies.a[i]), int(copies.b[i])]
        images = [members[c][0] for c in pair]
        where = story.images.splits(np.array(images))
        yield Evidence(
            f"copies on pixels, correlation {copies.correlation[i]:.3f}: {where}",
            tuple(contents.content_id[pair].tolist()),
            tuple(story.images.uris(np.array(images))),
        )


def notes(story: Story) -> Iterator[str]:
    """Say what was not looked at."""
    if story.copies is not None and story.hashed.refused:
        yield f"Copies were not looked for by hashes: {story.hashed.refused}."
