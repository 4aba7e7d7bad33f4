"""What is new is told by name: the same counts of other things are news."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipbatch.measure.base import Contents, Finding, Pairs
from clipbatch.report.news import NAMES, tell
from clipbatch.report.night import Night

pytestmark = pytest.mark.quick


def night(images, suspects=(), pairs=(), rejects=(), copies=()):
    """Make a night from uri -> (content, label, split)."""
    uris = sorted(images)
    ids = np.array(sorted({images[uri][0] for uri in uris}), np.str_)
    labels, splits = (tuple(sorted({images[u][i] for u in uris})) for i in (1, 2))
    content = np.array([list(ids).index(images[uri][0]) for uri in uris], np.int64)
    label = np.array([labels.index(images[uri][1]) for uri in uris], np.int32)
    agreed = [set(label[content == c].tolist()) for c in range(len(ids))]
    contents = Contents(
        content_id=ids,
        label=np.array([found.pop() if len(found) == 1 else -1 for found in agreed], np.int32),
        label_names=labels,
        variants={0: np.ones(len(ids), bool)},
        image_content=content,
        image_uri=np.array(uris, np.str_),
        image_label=label,
        image_split=np.array([splits.index(images[uri][2]) for uri in uris], np.int32),
        split_names=splits,
    )
    at = [tuple(np.searchsorted(ids, pair)) for pair in pairs]
    a, b = (np.array([pair[i] for pair in at], np.int64) for i in (0, 1))
    group = np.arange(len(ids), dtype=np.int32)
    for names in copies:
        group[np.isin(ids, names)] = np.searchsorted(ids, min(names))
    similar = Pairs(a, b, np.full(len(at), 0.97, np.float32))
    findings = {
        "labels": Finding(
            "h", (), per_content={"suspect": np.isin(ids, suspects).astype(np.int32)}
        ),
        "duplicates": Finding("h", (), pairs=similar, per_content={"copy_group": group}),
    }
    return Night(contents, findings, rejects)


def base(n=8):
    """Return n pictures of two classes in one split, uri -> (content, label, split)."""
    return {f"{i}.jpg": (f"c{i}", "cat" if i % 2 else "dog", "train") for i in range(n)}


def counts(now, then):
    found = tell(now, then)
    assert {news.name for news in found} <= NAMES
    return {news.name: news.count for news in found if news.count}


def test_a_night_like_the_last_has_no_news():
    assert counts(night(base()), night(base())) == {}


def test_one_leak_mended_and_another_come_in_is_one_new_leak():
    then = base() | {"x.jpg": ("c0", "dog", "test")}
    now = base() | {"y.jpg": ("c2", "dog", "test")}
    found = {news.name: news for news in tell(night(now), night(then))}
    assert found["exact_leaks"].count == 1
    assert found["exact_leaks"].evidence[0].content_ids == ("c2",)
    assert found["exact_copies"].table.columns["new image"] == ["y.jpg"]
    assert found["gone"].count == 1


def test_a_third_copy_is_one_new_image_and_the_leak_is_old():
    then = base() | {"x.jpg": ("c0", "dog", "test")}
    now = then | {"y.jpg": ("c0", "dog", "test")}
    assert counts(night(now), night(then)) == {"exact_copies": 1}


def test_a_near_pair_is_new_where_a_picture_of_it_is():
    then = night(base(), pairs=[("c0", "c2")])
    more = base() | {"n.jpg": ("n", "dog", "test")}
    found = counts(night(more, pairs=[("c0", "c2"), ("c4", "n")]), then)
    assert found == {"near_pairs": 1, "near_leaks": 1}


def test_near_copies_are_told_as_a_share_of_what_came_in():
    more = base() | {f"n{i}.jpg": (f"n{i}", "dog", "train") for i in range(5)}
    found = counts(night(more, pairs=[("c4", "n0"), ("n0", "n1")]), night(base()))
    assert found == {"near_pairs": 2, "near_share": 2 / 5}


def test_copies_are_those_that_came_in_and_show_what_another_shows():
    more = base() | {f"n{i}.jpg": (f"n{i}", "dog", "train") for i in range(5)}
    copies = [("c0", "c1"), ("c2", "n0", "n1"), ("n2", "n3")]  # old ones, of an old one, new ones
    found = {news.name: news for news in tell(night(more, copies=copies), night(base()))}
    assert found["copies"].count == 4
    assert found["copies_share"].count == 4 / 5
    assert found["copies"].table.columns == {
        "image": ["n0.jpg", "n1.jpg", "n2.jpg", "n3.jpg"],
        "in a group with": ["2.jpg", "2.jpg", "n3.jpg", "n2.jpg"],
        "of so many": [3, 3, 2, 2],
    }
    again = night(more, copies=copies)
    assert not {"copies", "copies_share"} & counts(again, again).keys()


def test_equal_pixels_under_other_bytes_are_copies():
    more = base() | {f"n{i}.jpg": (f"n{i}", "dog", "train") for i in range(5)}
    now = night(more)
    pixels = np.array(["black" if name[0] == "n" else "" for name in now.contents.content_id])
    now = replace(now, contents=replace(now.contents, facts={"pixel_id": pixels}))
    assert counts(now, night(base())) == {"copies": 5, "copies_share": 1}


def test_copies_are_not_told_where_nobody_looked_and_no_share_of_a_few():
    more = base() | {"n.jpg": ("n", "dog", "train")}
    now = night(more, copies=[("c0", "n")])
    assert counts(now, night(base())) == {"copies": 1}
    old = {"duplicates": replace(now.findings["duplicates"], per_content={})}
    names = {news.name for news in tell(replace(now, findings=old), night(base()))}
    assert "copies" not in names
    assert "near_pairs" in names


def test_a_renamed_picture_is_not_gone_and_a_copy_less_is():
    renamed = {f"other/{uri}": row for uri, row in base().items()}
    assert counts(night(renamed), night(base())) == {}
    copied = base() | {"x.jpg": ("c0", "dog", "train")}
    assert counts(night(base()), night(copied))["gone"] == 1


def test_an_old_near_pair_whose_picture_moved_to_another_split_is_a_new_leak():
    pairs = [("c0", "c2")]
    moved = base() | {"2.jpg": ("c2", "dog", "test")}
    assert counts(night(moved, pairs=pairs), night(base(), pairs=pairs)) == {"near_leaks": 1}
    assert counts(night(moved, pairs=pairs), night(moved, pairs=pairs)) == {}


def test_a_suspect_is_new_unless_it_was_one_under_the_same_label():
    then = night(base(), suspects=["c0", "c1"])
    relabelled = base() | {"0.jpg": ("c0", "cat", "train")}
    found = counts(night(relabelled, suspects=["c0", "c1", "c3"]), then)
    assert found["suspects"] == 2
    assert found["relabelled"] == 1


def test_rejects_are_told_by_name_and_as_a_share_of_what_came_in():
    then = night(base(), rejects=[("old.jpg", "empty")])
    more = base() | {f"n{i}.jpg": (f"n{i}", "dog", "train") for i in range(3)}
    bad = [("old.jpg", "empty"), ("bad1.jpg", "truncated"), ("bad2.jpg", "truncated")]
    found = {news.name: news for news in tell(night(more, rejects=bad), then)}
    assert found["rejects"].table.columns["image"] == ["bad1.jpg", "bad2.jpg"]
    assert found["rejects_share"].count == 2 / 5


def test_classes_come_go_and_move():
    then = base(40) | {"o.jpg": ("o", "owl", "train")}
    now = {uri: row for uri, row in base(40).items() if row[1] == "dog" or int(row[0][1:]) > 37}
    found = counts(night(now), night(then))
    assert found["classes_gone"] == 1
    assert found["classes_moved"] == 2  # owls are gone, cats are few
    assert found["gone_share"] == pytest.approx(20 / 41)


def test_a_class_relabelled_is_told_with_its_share():
    now = {u: (c, "cat" if u in ("0.jpg", "2.jpg", "4.jpg", "6.jpg", "8.jpg") else label, s)
           for u, (c, label, s) in base(20).items()}  # fmt: skip
    found = {news.name: news for news in tell(night(now), night(base(20)))}
    assert found["relabelled_share"].count == 0.5
    assert found["relabelled"].table.columns["label before"] == ["dog"]


def test_an_analysis_that_was_not_asked_is_left_out():
    empty = replace(night(base()), findings={})
    names = {news.name for news in tell(empty, night(base()))}
    assert "suspects" not in names
    assert "near_pairs" not in names
    assert "exact_leaks" in names


def test_the_guide_names_every_count_that_a_check_may_ask_for():
    page = (Path(__file__).parents[3] / "docs" / "nightly.md").read_text()
    told = next(line for line in page.splitlines() if line.startswith("`new.` has: "))
    assert set(re.findall(r"`([a-z_]+)`", told.partition(". ")[0])) == NAMES
