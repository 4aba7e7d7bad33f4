"""From exact copies and near pairs to numbers, a headline and notes."""

from collections.abc import Iterator
from typing import Final

from clipbatch.measure import duplicates_copies, duplicates_evidence, duplicates_threshold
from clipbatch.measure.base import Contents, Finding, Number, Pairs
from clipbatch.measure.copies import Images
from clipbatch.measure.duplicates_story import VERIFIED, Limits, Near, Sampled, Story
from clipbatch.measure.duplicates_threshold import Choice

MEANING: Final = (
    "Exact duplicates are the same bytes: certain. Similar pictures (near_...) are candidates that "
    "this encoder holds for alike; near duplicates are those that also agree pixel by pixel, and "
    "copies (copy_...) all that do, whoever proposed them. A leak puts copies of one picture on "
    "both sides of a split, so that a test sees what was trained on."
)
CENSUS: Final = "counted over all, not estimated"
NO_SPLITS: Final = "the collection has fewer than two splits"
NO_LABELS: Final = "the collection has fewer than two labels"
NO_PIXELS: Final = "the contents have no thumbnails to verify with"


def tell(
    contents: Contents,
    near: Near,
    sampled: Sampled | None,
    limits: Limits,
    choice: Choice | None = None,
) -> Finding:
    """Join everything into the finding."""
    story = Story(Images(contents), near, limits, choice)
    return Finding(
        headline=_headline(story),
        numbers=tuple(_numbers(story)),
        meaning=MEANING,
        tables=(
            *duplicates_copies.tables(story),
            *duplicates_threshold.tables(choice),
            *duplicates_evidence.tables(story),
        ),
        figures=(*duplicates_evidence.figures(story, sampled), *duplicates_copies.figures(story)),
        evidence=(*duplicates_copies.evidence(story), *duplicates_evidence.groups(story)),
        notes=(*_notes(story, sampled), *duplicates_copies.notes(story)),
        per_content={
            "near_group": near.groups.of.astype("int32"),
            "copy_group": duplicates_copies.groups(story),
        },
        pairs=Pairs(near.a, near.b, near.cosine.astype("float32")),
    )


def _headline(story: Story) -> str:
    exact, near = story.exact, story.near
    extra = sum(len(found) - 1 for found in exact.members)
    leaks = f", {int(exact.leaks.sum())} of them across splits" if _has_splits(story) else ""
    cosine = f"{near.reached:.4g}"
    pairs = f"{len(near.a):,} pairs with a cosine of at least {cosine}"
    verified = f"of these pairs, {int(story.verified.sum()):,} are near duplicates by their pixels"
    if story.correlation is None:
        verified = "none was compared on pixels"
    return (
        f"{len(exact):,} contents are stored more than once ({extra:,} images too many){leaks}; "
        f"{len(near.groups):,} groups of similar pictures ({pairs}; {verified})."
    )


def _numbers(story: Story) -> Iterator[Number]:
    contents = story.contents
    yield Number("images", len(contents.image_uri), "images", note=CENSUS)
    yield Number("contents", len(contents), "contents", note=CENSUS)
    yield from _exact(story)
    yield from _near(story)
    yield from duplicates_copies.numbers(story)


def _exact(story: Story) -> Iterator[Number]:
    exact = story.exact
    extra = sum(len(found) - 1 for found in exact.members)
    yield Number("exact_groups", len(exact), "groups", note=CENSUS)
    yield Number("exact_extra_images", extra, "images", note="beyond the first of each group")
    yield _count("exact_leaks", int(exact.leaks.sum()), "groups", _no_splits(story), CENSUS)
    conflicts = int(exact.conflicts.sum())
    yield _count("exact_label_conflicts", conflicts, "groups", _no_labels(story), CENSUS)
    if story.same_pixels is not None:
        note = "equal pixels under different bytes"
        yield Number("same_pixels_groups", len(story.same_pixels), "groups", note=note)


def _near(story: Story) -> Iterator[Number]:
    near, (splits, labels) = story.near, story.crossing
    loose = ~story.inside
    how = "as configured" if story.choice is None else story.choice.told
    note = f"pairs down to it are listed; {how}"
    yield Number("near_threshold", near.reached, "cosine", note=note)
    note = f"{CENSUS}: every pair of contents was looked at"
    if near.total > len(near.a):
        note = f"the most similar of {near.total:,}: max_pairs was reached"
    yield Number("near_pairs", len(near.a), "pairs", note=note)
    passed, control = story.chance
    chance = f"{passed} of {control:,} random pairs would be verified too"
    why_not = NO_PIXELS if story.correlation is None else ""
    yield _count("near_verified_pairs", int(story.verified.sum()), "pairs", why_not, chance)
    yield Number("near_groups", len(near.groups), "groups", note=_split_note(story))
    extra = int((near.groups.of >= 0).sum()) - len(near.groups)
    yield Number("near_extra_contents", extra, "contents", note="beyond the first of each group")
    note = "groups, and pairs that splitting cut apart, with images in several splits"
    leaks = int(story.alike.leaks.sum() + (splits & loose).sum())
    yield _count("near_leaks", leaks, "groups", _no_splits(story), note)
    verified = int((splits & story.verified).sum())
    why_not = _no_splits(story) or why_not
    yield _count("near_verified_leaks", verified, "pairs", why_not, "verified pairs among them")
    conflicts = int(story.alike.conflicts.sum() + (labels & loose).sum())
    note = "groups, and pairs that splitting cut apart, with images under several labels"
    yield _count("near_label_conflicts", conflicts, "groups", _no_labels(story), note)


def _split_note(story: Story) -> str:
    groups = story.near.groups
    if not groups.split:
        return f"{CENSUS}; every two members are a listed pair"
    return (
        f"from {groups.components:,} connected components, {groups.split:,} of which held two "
        f"contents that are no listed pair and were split; {int((~story.inside).sum()):,} listed "
        "pairs lie between groups"
    )


def _notes(story: Story, sampled: Sampled | None) -> Iterator[str]:
    near, limits = story.near, story.limits
    if sampled is not None:
        yield (
            f"Near pairs expected from a sample of {sampled.size:,} contents: "
            f"{sampled.expected:,.0f}; found with a cosine of at least {near.threshold:.4g}: "
            f"{near.total:,}."
        )
    if near.reached > limits.threshold:
        yield (
            f"More pairs than max_pairs reach the threshold {limits.threshold:.4g}: it was raised "
            f"to {near.reached:.4g}. Pairs above that are all listed; groups, leaks and conflicts "
            "are of the listed pairs only. A higher threshold, or max_pairs, makes it complete."
        )
    if near.zero:
        yield f"{near.zero:,} contents have a vector of zeros, which has no direction: no pairs."
    if len(near.a) > VERIFIED and story.correlation is not None:
        yield f"Only the {VERIFIED:,} most similar pairs were compared on pixels."
    yield (
        "Keep suggestions: the image in the smallest split (a leak is then mended in the larger "
        "one), then the most pixels, then the smallest uri."
    )


def _count(name: str, value: int, unit: str, why_not: str, note: str) -> Number:
    return Number(name, None if why_not else value, unit, note=why_not or note)


def _has_splits(story: Story) -> bool:
    return len(story.contents.split_names) > 1


def _no_splits(story: Story) -> str:
    return "" if _has_splits(story) else NO_SPLITS


def _no_labels(story: Story) -> str:
    return "" if len(story.contents.label_names) > 1 else NO_LABELS
