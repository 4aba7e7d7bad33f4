"""The path into the tables, on a real Ray: what is opened, what is embedded, and what survives.

What rows hold over several runs is asked in tests/unit/runtime/test_rows.py, without Ray.
"""

import shutil

import pytest
from PIL import Image

from clipbatch.errors import Incomplete
from clipbatch.index import table
from clipbatch.index.runs import find, history
from clipbatch.runtime import embed
from tests import groceries
from tests.ray import world

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


@pytest.fixture
def root(tmp_path):
    groceries.folder(tmp_path / "pictures", 24)
    return tmp_path


def test_a_second_run_opens_and_embeds_nothing(root):
    config = world.load(root)
    code, first = world.audit(config)
    assert code == 0
    assert (first["new"], first["opened"], first["decoded"]) == (24, 24, 24)
    assert first["embedded_rows"] == 24 * 4
    before = world.vectors(config)
    code, second = world.audit(config)
    assert code == 0
    assert (second["opened"], second["decoded"], second["embedded_rows"]) == (0, 0, 0)
    assert second["units_computed"] == 0
    assert world.vectors(config) == before
    runs = history(config.index.database)
    assert [run.verdict for run in runs] == ["passed", "passed"]
    assert runs[0].tables == runs[1].tables


def test_noise_is_on_a_sample_of_each_class_of_a_large_collection(root):
    config = world.load(root, "embed.noise_all_below=10", "embed.noise_per_class=1")
    _, counts = world.audit(config)
    labels = {row["label"] for row in world.catalog(config).values()}
    found = world.vectors(config)
    assert sum(v == 0 for _, v in found) == 24
    assert sum(v == 500 for _, v in found) == len(labels)
    assert counts["pending"] == 0


def test_bad_pictures_are_rows_with_reasons_and_stop_nothing(root):
    folder = root / "pictures"
    whole = next(folder.rglob("*.jpg")).read_bytes()
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_text("not a picture")
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    Image.new("L", (2000, 2000)).save(folder / "large.png")
    config = world.load(root, "collect.max_pixels=1000000")
    code, counts = world.audit(config)
    assert counts["bad"] == 4
    assert code == 1  # more than 1 % of the pictures are bad, and a check says so
    rows = world.catalog(config)
    assert {uri: row["reason"] for uri, row in rows.items() if row["status"] == "bad"} == {
        "empty.jpg": "empty",
        "text.png": "not_an_image",
        "cut.jpg": "truncated",
        "large.png": "too_many_pixels",
    }
    assert all(row["message"] for row in rows.values() if row["status"] == "bad")
    assert len(world.vectors(config)) == 24 * 4
    _, again = world.audit(config)
    assert again["opened"] == 0


def test_nothing_is_tagged_while_a_vector_is_missing(root, monkeypatch):
    config = world.load(root, "embed.levels=[]")
    work = embed.Work.merge

    def lossy(self, name, rows, *, update):
        if name.startswith("vectors__"):
            rows = rows.slice(1)
        return work(self, name, rows, update=update)

    monkeypatch.setattr(embed.Work, "merge", lossy)
    with pytest.raises(Incomplete, match="passes"):
        world.audit(world.load(root, "embed.levels=[]", "embed.max_passes=2"))
    assert history(config.index.database) == []
    monkeypatch.undo()
    code, _ = world.audit(world.load(root, "embed.levels=[]", "embed.max_passes=1"))
    assert code == 0  # one pass was needed, and one was allowed
    assert len(world.vectors(config)) == 24


def test_vectors_do_not_depend_on_batch_mates_actors_or_merges(root, tmp_path_factory):
    plain = world.load(root, "embed.levels=[1.0]")
    world.audit(plain)
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(root / "pictures", other / "pictures")
    cut = world.load(other, "embed.levels=[1.0]", "embed.actors=1", "embed.merge_rows=5")
    for gone in sorted((other / "pictures").rglob("*.jpg"))[::2]:
        gone.rename(gone.with_suffix(".later"))
    world.audit(cut)
    for back in sorted((other / "pictures").rglob("*.later")):
        back.rename(back.with_suffix(".jpg"))
    world.audit(cut)
    assert world.vectors(cut) == world.vectors(plain)


def test_half_precision_is_stored_and_searched(root):
    config = world.load(root, "embed.levels=[]", "embed.dtype=float16", "collect.seed=3")
    code, counts = world.audit(config)
    assert code == 0
    name = find(config.index.database).vectors_tables()[0]
    stored = table.open_table(config.index.database, name).schema.field("vector").type
    assert str(stored.value_type) == "halffloat"
    assert counts["embedded_rows"] == 24
