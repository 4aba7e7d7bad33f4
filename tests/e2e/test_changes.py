"""A collection that changes: only what changed is opened and embedded, and the report says so."""

import csv

import pytest

from tests import groceries
from tests.ray import world

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("local_ray")]

ADDED = 20


def write_manifest(root, labels):
    with (root / "pictures.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["uri", "label"])
        writer.writerows(sorted(labels.items()))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "files").mkdir()
    labels = {}
    for number, row in enumerate(groceries.rows(100)):
        name = f"files/{number:03}.jpg"
        (tmp_path / name).write_bytes(row["data"])
        labels[name] = row["label"]
    write_manifest(tmp_path, labels)
    return tmp_path, labels


def change(root, labels):
    """Add 20, delete 5, change 3, rename 2, relabel 10; returns the new labels."""
    labels = dict(labels)
    fresh = groceries.rows(ADDED + 3, start=200)
    for number, row in enumerate(fresh[:ADDED]):
        name = f"files/new{number:02}.jpg"
        (root / name).write_bytes(row["data"])
        labels[name] = row["label"]
    for number in range(5):
        name = f"files/{number:03}.jpg"
        (root / name).unlink()
        del labels[name]
    for number, row in zip(range(10, 13), fresh[ADDED:], strict=True):
        (root / f"files/{number:03}.jpg").write_bytes(row["data"])
    for number in (20, 21):
        old, new = f"files/{number:03}.jpg", f"files/renamed{number}.jpg"
        (root / old).rename(root / new)
        labels[new] = labels.pop(old)
    for number in range(30, 40):
        labels[f"files/{number:03}.jpg"] = "Another-Class"
    write_manifest(root, labels)
    return labels


def test_only_what_changed_is_opened_and_embedded(root):
    folder, labels = root
    settings = (f"collect.source={folder / 'pictures.csv'}", "embed.levels=[0.5, 1.0]")
    config = world.load(folder, *settings)
    _, first = world.audit(config)
    assert (first["new"], first["decoded"], first["embedded_rows"]) == (100, 100, 300)
    before = world.vectors(config)
    labels = change(folder, labels)
    _, counts = world.audit(config)
    told = {name: counts[name] for name in ("new", "changed", "renamed", "relabelled", "gone")}
    assert told == {"new": 22, "changed": 3, "renamed": 2, "relabelled": 10, "gone": 7}
    assert counts["opened"] == 20 + 3 + 2
    assert counts["decoded"] == 20 + 3
    assert counts["embedded_rows"] == (20 + 3) * 3
    assert (counts["images"], counts["gone_in_all"]) == (115, 7)
    after = world.vectors(config)
    assert before.items() <= after.items()
    rows = world.catalog(config)
    there = {uri: row["label"] for uri, row in rows.items() if row["status"] == "ok"}
    assert there == labels
    assert sum(row["status"] == "gone" for row in rows.values()) == 7
    page = (folder / "report" / "report.html").read_text()
    for word in ("new", "changed", "renamed", "relabelled", "gone"):
        assert word in page.lower()
    _, quiet = world.audit(config)
    assert (quiet["opened"], quiet["embedded_rows"]) == (0, 0)
    assert sum(quiet[k] for k in ("new", "changed", "relabelled", "gone", "renamed")) == 0


def test_an_emptied_source_is_refused_and_nothing_is_marked_gone(root):
    from clipbatch.errors import ConfigError

    folder, _ = root
    config = world.load(folder, f"collect.source={folder / 'pictures.csv'}", "embed.levels=[]")
    world.audit(config)
    write_manifest(folder, {})
    with pytest.raises(ConfigError, match="allow_empty"):
        world.audit(config)
    assert {row["status"] for row in world.catalog(config).values()} == {"ok"}
