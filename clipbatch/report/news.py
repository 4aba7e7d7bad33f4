"""What is there tonight that was not there at the baseline? By name, not by counting.

A count may stay the same while one leak is mended and another comes in; so copies, leaks,
suspects and rejects of the two nights are compared one by one. Each answer is a count that checks
name ``new.<name>``, a table, and pictures.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from clipbatch.measure.base import Evidence, Table
from clipbatch.report.model import News
from clipbatch.report.night import Night, Pair, Sides

ROWS: Final = 50  # of one table; the count tells of more
SHOWN: Final = 12  # pictures of one answer
MOVED: Final = 3.0  # standard errors that a class's count must move by, as counts of chance move,
LEAST: Final = 5  # and contents

NAMES: Final = frozenset(
    {
        *("exact_copies", "copies", "copies_share", "near_pairs", "near_share"),
        *("exact_leaks", "near_leaks", "exact_label_conflicts"),
        *("near_label_conflicts", "suspects", "suspects_share", "outliers", "outliers_share"),
        *("rejects", "rejects_share", "classes_new", "classes_gone", "classes_moved"),
        *("relabelled", "relabelled_share", "gone", "gone_share"),
    }
)


def tell(now: Night, then: Night) -> tuple[News, ...]:
    """Compare two nights; what neither night can answer is left out."""
    found = [
        *_copies(now, then),
        *_verified(now, then),
        *_crossing(now, then, "leaks"),
        *_crossing(now, then, "label_conflicts"),
        *_marked(now, then, "labels", "suspect", "suspects"),
        *_marked(now, then, "outliers", "outlier", "outliers"),
        *_rejects(now, then),
        *_classes(now, then),
        *_relabelled(now, then),
        *_gone(now, then),
    ]
    return tuple(found)


def _copies(now: Night, then: Night) -> Iterator[News]:
    before = then.images
    members: dict[str, list[str]] = {}
    for uri, content in now.images.items():
        members.setdefault(content, []).append(uri)
    rows, extra = [], 0
    for content, uris in members.items():
        old = [uri for uri in uris if before.get(uri) == content]
        fresh = len(uris) - 1 - max(0, len(old) - 1)
        if len(uris) > 1 and fresh:
            extra += fresh
            added = sorted(set(uris) - set(old))
            rows.append((content, added[0], len(uris), len(old)))
    columns = ("new image", "images", "there before")
    yield _news("exact_copies", "New exact copies", extra, "images", columns, rows)
    if now.pairs is None:
        return
    fresh_pairs = [p for p in now.pairs if not {p[0], p[1]} <= then.ids]
    yield _pair_news(now, "near_pairs", "New similar pictures", fresh_pairs)
    came = now.ids - then.ids
    if len(came) >= LEAST:
        title = "Similar pictures, as a share of the contents that came in"
        like = {content for a, b, _ in fresh_pairs for content in (a, b)}
        yield News("near_share", title, len(came & like) / len(came))


def _verified(now: Night, then: Night) -> Iterator[News]:
    """Contents that came in and show, by their pixels, what another one shows."""
    if now.copies is None:
        return
    members: dict[str, list[str]] = {}
    for content, picture in now.copies.items():
        members.setdefault(picture, []).append(content)
    came, rows = now.ids - then.ids, []
    for found in members.values():
        # What was there before says more about a newcomer than another newcomer does.
        order = sorted(found, key=lambda content: (content in came, content))
        for content in order:
            other = next((c for c in order if c != content), "")
            if content in came and other:
                rows.append((content, now.first[content], now.first[other], len(order)))
    title = "New copies of other pictures, verified on pixels"
    columns = ("image", "in a group with", "of so many")  # joined by chains: no pair is claimed
    yield _news("copies", title, len(rows), "contents", columns, rows)
    if len(came) >= LEAST:
        yield News("copies_share", f"{title}, as a share of what came in", len(rows) / len(came))


def _crossing(now: Night, then: Night, name: str) -> Iterator[News]:
    """Contents, and near pairs, whose images lie on several sides and did not before."""
    kind = {"leaks": "splits", "label_conflicts": "labels"}[name]
    ours, theirs = (n.splits if name == "leaks" else n.image_labels for n in (now, then))
    said = name.replace("_", " ")
    rows = [
        (content, now.first[content], ", ".join(sorted(sides)))
        for content, sides in ours.items()
        if len(sides) > 1 and len(theirs.get(content, ())) < 2
    ]
    title = f"New {said} by exact copies"
    yield _news(f"exact_{name}", title, len(rows), "contents", ("image", kind), rows)
    if now.pairs is None:
        return
    fresh = [
        (a, b, cosine)
        for a, b, cosine in now.pairs
        if _crosses(ours, a, b) and not ({a, b} <= then.ids and _crosses(theirs, a, b))
    ]
    yield _pair_news(now, f"near_{name}", f"New {said} by similar pictures", fresh)


def _crosses(sides: Sides, a: str, b: str) -> bool:
    one, other = sides.get(a, frozenset()), sides.get(b, frozenset())
    return bool(one and other) and len(one | other) > 1


def _marked(now: Night, then: Night, analysis: str, array: str, name: str) -> Iterator[News]:
    marked = now.flagged(analysis, array)
    if marked is None:
        return
    known = set(then.flagged(analysis, array) or ())
    # Under another label it is another suspicion.
    other = {c for c in now.ids if now.labels.get(c) != then.labels.get(c)}
    rows = [
        (content, now.first[content], now.labels.get(content, ""))
        for content in marked
        if content not in known or content in other
    ]
    title = {"suspects": "New suspicious labels", "outliers": "New outliers"}[name]
    yield _news(name, title, len(rows), "contents", ("image", "label"), rows)
    asked = other | (now.ids - then.ids)
    among = len(asked & {row[0] for row in rows})
    if len(asked) >= LEAST:
        title = f"{title} among what is new or relabelled, as a share"
        yield News(f"{name}_share", title, among / len(asked))


def _rejects(now: Night, then: Night) -> Iterator[News]:
    known = {uri for uri, _ in then.rejects}
    rows = [("", uri, reason) for uri, reason in now.rejects if uri not in known]
    title = "New pictures that cannot be used"
    yield _news("rejects", title, len(rows), "images", ("image", "reason"), rows)
    seen = known | then.images.keys()
    arrived = len(rows) + sum(uri not in seen for uri in now.images)
    if arrived >= LEAST:
        title = "New pictures that cannot be used, as a share of those that came in"
        yield News("rejects_share", title, len(rows) / arrived)


def _classes(now: Night, then: Night) -> Iterator[News]:
    """Classes that came, went, or hold more or fewer contents than chance would bring."""
    ours, theirs = (Counter(night.labels.values()) for night in (now, then))
    moved, gone, came = [], 0, 0
    for name in sorted({*ours, *theirs}):
        count, before = ours[name], theirs[name]
        change = abs(count - before)
        came += before == 0
        gone += count == 0
        if 0 in (count, before) or (change >= LEAST and change > MOVED * (before + 1) ** 0.5):
            moved.append((name, before, count, count - before))
    yield News("classes_new", "New classes", came, "classes")
    yield News("classes_gone", "Classes that are gone", gone, "classes")
    columns = ("class", "before", "tonight", "change")
    cells = _columns(columns, sorted(moved, key=lambda row: -abs(row[3])))
    table = Table("Classes that moved", cells) if moved else None
    yield News("classes_moved", "Classes that moved", len(moved), "classes", table)


def _relabelled(now: Night, then: Night) -> Iterator[News]:
    ours, theirs = now.labels, then.labels
    sizes = Counter(theirs.values())
    flows: dict[tuple[str, str], list[str]] = {}
    for content, before in theirs.items():
        if (label := ours.get(content, before)) != before:
            flows.setdefault((before, label), []).append(content)
    order = sorted(flows.items(), key=lambda flow: (-len(flow[1]), flow[0]))
    rows = [(*pair, len(found), len(found) / sizes[pair[0]]) for pair, found in order]
    shown = [content for _, found in order for content in found][:SHOWN]
    captions = tuple(f"{theirs[content]} → {ours[content]}" for content in shown)
    columns = _columns(("label before", "label tonight", "contents", "share of the class"), rows)
    yield News(
        "relabelled",
        "Other labels than before",
        sum(map(len, flows.values())),
        "contents",
        Table("Other labels than before", columns) if rows else None,
        (Evidence("Other labels than before", tuple(shown), captions),) if shown else (),
    )
    largest = max((row[3] for row in rows if row[2] >= LEAST), default=0.0)
    title = "The largest share of a class that got one other label"
    yield News("relabelled_share", title, largest)


def _gone(now: Night, then: Night) -> Iterator[News]:
    before, there = then.images, now.images
    lost = Counter(content for uri, content in before.items() if uri not in there)
    # Under another name it is not gone: a folder that was renamed is no source gone missing.
    lost -= Counter(content for uri, content in there.items() if uri not in before)
    gone = lost.total()
    yield News("gone", "Images that are gone", gone, "images")
    if before:
        title = "Images that are gone, as a share of those there before"
        yield News("gone_share", title, gone / len(before))


def _pair_news(night: Night, name: str, title: str, pairs: Sequence[Pair]) -> News:
    order = sorted(pairs, key=lambda pair: (-pair[2], pair))
    first = order[:ROWS]
    rows = [(night.first[a], night.first[b], round(cosine, 4)) for a, b, cosine in first]
    table = Table(title, _columns(("image", "like", "cosine"), rows)) if rows else None
    evidence = tuple(
        Evidence(f"cosine {cosine:.3f}", (a, b), (night.first[a], night.first[b]))
        for a, b, cosine in order[: SHOWN // 3]
    )
    return News(name, title, len(pairs), "pairs", table, evidence)


def _news(
    name: str, title: str, count: int, unit: str, columns: Sequence[str], rows: list[Any]
) -> News:
    """Rows begin with the content id, which is shown as a picture and not in the table."""
    rows = sorted(rows)
    table = Table(title, _columns(columns, [row[1:] for row in rows[:ROWS]])) if rows else None
    shown = [row for row in rows if row[0]][:SHOWN]
    captions = tuple(" · ".join(map(str, row[1:])) for row in shown)
    evidence = (Evidence(title, tuple(row[0] for row in shown), captions),) if shown else ()
    return News(name, title, count, unit, table, evidence)


def _columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: [row[i] for row in rows[:ROWS]] for i, name in enumerate(names)}
