"""What is there tonight that was not there at the baseline? By name, not by counting.

A count may stay the same while one leak is mended and another comes in; so copies, leaks,
suspects and rejects of the two nights are compared one by one. Each answer is a count that checks
name ``new.<name>``, a table, and pictures.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure.base import Contents, Evidence, Finding, Table
from clipbatch.report.model import News

ROWS: Final = 50  # of one table; the count tells of more
SHOWN: Final = 12  # pictures of one answer
MOVED: Final = 3.0  # standard errors that a class's count must move by, as counts of chance move,
LEAST: Final = 5  # and contents

NAMES: Final = frozenset(
    {
        *("exact_copies", "near_pairs", "near_share", "exact_leaks", "near_leaks"),
        "exact_label_conflicts",
        *("near_label_conflicts", "suspects", "suspects_share", "outliers", "outliers_share"),
        *("rejects", "rejects_share", "classes_new", "classes_gone", "classes_moved"),
        *("relabelled", "relabelled_share", "gone", "gone_share"),
    }
)

Reject = tuple[str, str]  # uri, reason
Rejects = tuple[Sequence[Reject], Sequence[Reject]]  # tonight, at the baseline


@dataclass(frozen=True)
class Night:
    """One night, as far as it is compared.

    Attributes:
        contents: of the run.
        findings: analysis -> its answer; one that is not there is not compared.
        rejects: (uri, reason) of the pictures that could not be used.
    """

    contents: Contents
    findings: Mapping[str, Finding]
    rejects: Sequence[Reject]

    def images(self) -> dict[str, str]:
        """Return uri -> content id."""
        ids = self.contents.content_id[self.contents.image_content].tolist()
        return dict(zip(self.contents.image_uri.tolist(), ids, strict=True))

    def sides(self, kind: str) -> dict[str, frozenset[str]]:
        """Return content id -> the splits, or labels, of its images."""
        codes, names = {
            "splits": (self.contents.image_split, self.contents.split_names),
            "labels": (self.contents.image_label, self.contents.label_names),
        }[kind]
        found: dict[str, set[str]] = {}
        for content, code in zip(self.contents.image_content.tolist(), codes.tolist(), strict=True):
            if code >= 0:
                found.setdefault(str(self.contents.content_id[content]), set()).add(names[code])
        return {content: frozenset(sides) for content, sides in found.items()}

    def labels(self) -> dict[str, str]:
        """Return content id -> the label that its images agree on."""
        known = self.contents.label >= 0
        names = [self.contents.label_names[code] for code in self.contents.label[known].tolist()]
        return dict(zip(self.contents.content_id[known].tolist(), names, strict=True))

    def flagged(self, analysis: str, array: str) -> NDArray[np.bool_] | None:
        """Return (N,) what an analysis marked; None where it was not answered."""
        finding = self.findings.get(analysis)
        if finding is None or array not in finding.per_content:
            return None
        return np.asarray(finding.per_content[array] == 1, np.bool_)


def tell(now: Night, then: Night) -> tuple[News, ...]:
    """Compare two nights; what neither night can answer is left out."""
    found = [
        *_copies(now, then),
        *_crossing(now, then, "splits", "leaks"),
        *_crossing(now, then, "labels", "label_conflicts"),
        *_marked(now, then, "labels", "suspect", "suspects"),
        *_marked(now, then, "outliers", "outlier", "outliers"),
        *_rejects(now, then),
        *_classes(now, then),
        *_relabelled(now, then),
        *_gone(now, then),
    ]
    return tuple(found)


def _copies(now: Night, then: Night) -> Iterator[News]:
    before = then.images()
    members: dict[str, list[str]] = {}
    for uri, content in now.images().items():
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
    pairs = _pairs(now)
    if pairs is None:
        return
    old_ids = set(then.contents.content_id.tolist())
    fresh_pairs = [p for p in pairs if p[0] not in old_ids or p[1] not in old_ids]
    yield _pair_news(now, "near_pairs", "New near duplicates", fresh_pairs)
    came = set(now.contents.content_id.tolist()) - old_ids
    if len(came) >= LEAST:
        title = "Near duplicates, as a share of the contents that came in"
        like = {content for a, b, _ in fresh_pairs for content in (a, b)}
        yield News("near_share", title, len(came & like) / len(came))


def _crossing(now: Night, then: Night, kind: str, name: str) -> Iterator[News]:
    """Contents, and near pairs, whose images lie on several sides and did not before."""
    ours, theirs = now.sides(kind), then.sides(kind)
    said = {"splits": "leaks", "labels": "label conflicts"}[kind]
    rows = [
        (content, _image(now, content), ", ".join(sorted(sides)))
        for content, sides in ours.items()
        if len(sides) > 1 and len(theirs.get(content, ())) < 2
    ]
    title = f"New {said} by exact copies"
    yield _news(f"exact_{name}", title, len(rows), "contents", ("image", kind), rows)
    pairs = _pairs(now)
    if pairs is None:
        return
    nobody: frozenset[str] = frozenset()
    old_ids = set(then.contents.content_id.tolist())

    def crosses(sides: Mapping[str, frozenset[str]], a: str, b: str) -> bool:
        one, other = sides.get(a, nobody), sides.get(b, nobody)
        return bool(one and other) and len(one | other) > 1

    fresh = [
        (a, b, cosine)
        for a, b, cosine in pairs
        if crosses(ours, a, b) and not ({a, b} <= old_ids and crosses(theirs, a, b))
    ]
    yield _pair_news(now, f"near_{name}", f"New {said} by near duplicates", fresh)


def _marked(now: Night, then: Night, analysis: str, array: str, name: str) -> Iterator[News]:
    flags = now.flagged(analysis, array)
    if flags is None:
        return
    labels, old_labels = now.labels(), then.labels()
    before = then.flagged(analysis, array)
    known = set(then.contents.content_id[before].tolist()) if before is not None else set()
    rows = [
        (content, _image(now, content), labels.get(content, ""))
        for content in now.contents.content_id[flags].tolist()
        # Under another label it is another suspicion.
        if content not in known or labels.get(content) != old_labels.get(content)
    ]
    title = {"suspects": "New suspicious labels", "outliers": "New outliers"}[name]
    yield _news(name, title, len(rows), "contents", ("image", "label"), rows)
    old_ids = set(then.contents.content_id.tolist())
    asked = [
        content
        for content in now.contents.content_id.tolist()
        if content not in old_ids or labels.get(content) != old_labels.get(content)
    ]
    among = len(set(asked) & {row[0] for row in rows})
    if len(asked) >= LEAST:
        title = f"{title} among what is new or relabelled, as a share"
        yield News(f"{name}_share", title, among / len(asked))


def _rejects(now: Night, then: Night) -> Iterator[News]:
    known = {uri for uri, _ in then.rejects}
    rows = [("", uri, reason) for uri, reason in now.rejects if uri not in known]
    title = "New pictures that cannot be used"
    yield _news("rejects", title, len(rows), "images", ("image", "reason"), rows)
    seen = known | set(then.images())
    arrived = len(rows) + sum(uri not in seen for uri in now.images())
    if arrived >= LEAST:
        title = "New pictures that cannot be used, as a share of those that came in"
        yield News("rejects_share", title, len(rows) / arrived)


def _classes(now: Night, then: Night) -> Iterator[News]:
    """Classes that came, went, or hold more or fewer contents than chance would bring."""
    ours, theirs = (_counts(night.labels()) for night in (now, then))
    moved, gone, came = [], 0, 0
    for name in sorted({*ours, *theirs}):
        count, before = ours.get(name, 0), theirs.get(name, 0)
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
    ours, theirs = now.labels(), then.labels()
    sizes = _counts(theirs)
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
    before, there = then.images(), now.images()
    lost = Counter(content for uri, content in before.items() if uri not in there)
    # Under another name it is not gone: a folder that was renamed is no source gone missing.
    lost -= Counter(content for uri, content in there.items() if uri not in before)
    gone = lost.total()
    yield News("gone", "Images that are gone", gone, "images")
    if before:
        title = "Images that are gone, as a share of those there before"
        yield News("gone_share", title, gone / len(before))


def _pairs(night: Night) -> list[tuple[str, str, float]] | None:
    finding = night.findings.get("duplicates")
    if finding is None or finding.pairs is None:
        return None
    ids, pairs = night.contents.content_id, finding.pairs
    return list(
        zip(ids[pairs.a].tolist(), ids[pairs.b].tolist(), pairs.cosine.tolist(), strict=True)
    )


def _pair_news(
    night: Night, name: str, title: str, pairs: Sequence[tuple[str, str, float]]
) -> News:
    order = sorted(pairs, key=lambda pair: (-pair[2], pair))
    first = order[:ROWS]
    rows = [(_image(night, a), _image(night, b), round(cosine, 4)) for a, b, cosine in first]
    table = Table(title, _columns(("image", "like", "cosine"), rows)) if rows else None
    evidence = tuple(
        Evidence(f"cosine {cosine:.3f}", (a, b), (_image(night, a), _image(night, b)))
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


def _counts(labels: Mapping[str, str]) -> dict[str, int]:
    names, counts = np.unique(np.array(list(labels.values()), np.str_), return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _image(night: Night, content: str) -> str:
    position = int(np.searchsorted(night.contents.content_id, content))
    first = int(np.argmax(night.contents.image_content == position))
    return str(night.contents.image_uri[first])
