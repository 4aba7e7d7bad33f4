"""The tables, figures and thumbnails that stand behind the numbers of duplicates."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from clipbatch.measure import likeness
from clipbatch.measure.base import Evidence, Figure, Table
from clipbatch.measure.copies import Rows, Told
from clipbatch.measure.duplicates_story import Sampled, Story

SHOWN: Final = 12  # contents of a group as thumbnails
EXACT_SHOWN, NEAR_SHOWN = 4, 12  # groups as thumbnails
BELOW: Final = 0.25  # how far under the threshold the histogram of cosines begins
SIZES: Final = (2, 3, 4, 5, 6, 11, 21, 51)  # first size of each bar


def tables(story: Story) -> Iterator[Table]:
    """List groups and pairs, the worst first, each at most ``table_rows`` long."""
    exact, alike, rows = story.exact, story.alike, story.limits.table_rows
    if len(exact):
        yield _by_split(story)
        yield _groups(story, exact, "Exact duplicates: the same bytes", {})
    if story.same_pixels is not None and len(story.same_pixels):
        yield _groups(story, story.same_pixels, "The same pixels under different bytes", {})
    if len(alike):
        smallest = story.near.groups.smallest
        verified = np.bincount(
            story.near.groups.of[story.near.a[story.verified & story.inside]],
            minlength=len(alike),
        )
        order = alike.worst_first[:rows]
        more: dict[str, list[Any]] = {
            "smallest cosine": [round(float(smallest[g]), 4) for g in order],
            "verified pairs": [int(verified[g]) for g in order],
        }
        yield _groups(story, alike, "Similar pictures: groups", more)
    if len(story.near.a):
        yield _pairs(story)


def _title(text: str, shown: int, count: int) -> str:
    return text if shown == count else f"{text} (the first {shown:,} of {count:,})"


def _by_split(story: Story) -> Table:
    """Say of every exact group which splits its images lie in."""
    exact = story.exact
    where = [story.images.splits(found) for found in exact.members]
    groups = Counter(where)
    extra: Counter[str] = Counter()
    for name, found in zip(where, exact.members, strict=True):
        extra[name] += len(found) - 1
    leaking = {name for name, leak in zip(where, exact.leaks, strict=True) if leak}
    order = sorted(groups, key=lambda name: (name not in leaking, -groups[name], name))
    return Table(
        "Exact duplicates by the splits of their images",
        {
            "splits": order,
            "groups": [groups[name] for name in order],
            "extra images": [extra[name] for name in order],
            "leak": ["yes" if name in leaking else "no" for name in order],
        },
    )


def _groups(story: Story, told: Told, title: str, more: dict[str, list[Any]]) -> Table:
    order = told.worst_first[: story.limits.table_rows]
    members = [told.members[g] for g in order]
    contents = story.contents
    return Table(
        _title(title, len(order), len(told)),
        {
            "group": order,
            "images": [len(found) for found in members],
            "contents": [len(np.unique(contents.image_content[found])) for found in members],
            **more,
            "splits": [story.images.splits(found) for found in members],
            "labels": [story.images.labels(found) for found in members],
            "leak": _yes(told.leaks[order]),
            "label conflict": _yes(told.conflicts[order]),
            "keep": [story.images.uris(found)[0] for found in members],
            "others": [" ".join(story.images.uris(found)[1:]) for found in members],
        },
    )


def _pairs(story: Story) -> Table:
    near, contents = story.near, story.contents
    splits, labels = story.crossing
    order = np.lexsort((~labels, ~story.verified, ~splits))[: story.limits.table_rows]
    a, b = near.a[order], near.b[order]
    first = _first_image(story)
    columns: dict[str, Sequence[Any]] = {
        "image": story.images.uris(first[a]),
        "other image": story.images.uris(first[b]),
        "cosine": near.cosine[order].round(4).tolist(),
    }
    if story.correlation is not None:
        known = np.full(len(near.a), np.nan)
        known[: len(story.correlation)] = story.correlation
        columns["thumbnail correlation"] = [_cell(value) for value in known[order].tolist()]
    if "phash" in contents.facts:
        columns["hash bits"] = likeness.hamming(contents.facts["phash"], a, b).tolist()
    columns |= {
        "verified": _yes(story.verified[order]),
        "leak": _yes(splits[order]),
        "label conflict": _yes(labels[order]),
    }
    title = "Similar pictures: pairs (candidates, unless verified on pixels)"
    return Table(_title(title, len(order), len(near.a)), columns)


def figures(story: Story, sampled: Sampled | None) -> Iterator[Figure]:
    """Draw cosines around the threshold, and the sizes of groups."""
    if sampled is not None:
        near = sampled.edges[:-1] >= story.limits.threshold - BELOW - 1e-9
        yield Figure(
            "histogram",
            f"Cosines of all pairs of {sampled.size:,} sampled contents; "
            f"threshold {story.near.reached:.4g}",
            {
                "edges": sampled.edges[np.append(near, True)].round(3).tolist(),
                "counts": sampled.counts[near].tolist(),
            },
            "cosine",
            "pairs",
        )
    if len(story.near.a):
        counts, edges = np.histogram(story.near.cosine, np.linspace(story.near.reached, 1.0, 26))
        data = {"edges": edges.round(5).tolist(), "counts": counts.tolist()}
        yield Figure("histogram", "Cosines of all near pairs", data, "cosine", "pairs")
    for name, told in (("Exact", story.exact), ("Near", story.alike)):
        if len(told):
            yield _sizes(name, told)


def _sizes(name: str, told: Told) -> Figure:
    sizes = np.array([len(found) for found in told.members])
    counts = np.bincount(np.searchsorted(SIZES, sizes, side="right") - 1, minlength=len(SIZES))
    ends = [*(first - 1 for first in SIZES[1:]), 0]
    names = [
        f"{first}" if first == last else f"{first} to {last}" if last else f"{first} or more"
        for first, last in zip(SIZES, ends, strict=True)
    ]
    used = int(np.flatnonzero(counts)[-1]) + 1
    data = {"names": names[:used], "values": counts[:used].tolist()}
    return Figure("bars", f"{name} groups by size", data, "images in a group", "groups")


def groups(story: Story) -> Iterator[Evidence]:
    """Show the worst groups as thumbnails."""
    contents = story.contents
    for g in story.exact.worst_first[:EXACT_SHOWN]:
        found = story.exact.members[g]
        uris = story.images.uris(found)
        more = f" and {len(uris) - SHOWN} more" if len(uris) > SHOWN else ""
        yield Evidence(
            f"the same bytes as {len(uris)} images: {_where(story, found)}",
            (str(contents.content_id[contents.image_content[found[0]]]),),
            (" = ".join(uris[:SHOWN]) + more,),
        )
    for g in story.alike.worst_first[:NEAR_SHOWN]:
        found = story.alike.members[g]
        _, first = np.unique(contents.image_content[found], return_index=True)
        held = found[np.sort(first)]
        shown = held[:SHOWN]
        yield Evidence(
            f"near group {g}: {len(held)} contents, smallest cosine "
            f"{story.near.groups.smallest[g]:.4f}: {_where(story, found)}",
            tuple(contents.content_id[contents.image_content[shown]].tolist()),
            tuple(story.images.uris(shown)),
        )


def _where(story: Story, images: Rows) -> str:
    parts = (story.images.splits(images), story.images.labels(images))
    return "; ".join(parts)


def _first_image(story: Story) -> Rows:
    """Return each content's image that is worth keeping, (N,)."""
    best = story.images.best_first
    first = np.empty(len(story.contents), np.int64)
    first[story.contents.image_content[best[::-1]]] = best[::-1]
    return first


def _yes(flags: Any) -> list[str]:
    return ["yes" if flag else "no" for flag in flags]


def _cell(value: float) -> float | None:
    return None if np.isnan(value) else value
