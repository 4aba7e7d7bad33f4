"""What the rows of one run and the next hold: the real verbs and tables, without Ray."""

import shutil

import numpy as np
import pytest
from PIL import Image

from clipbatch import schema
from clipbatch.errors import ConfigError
from clipbatch.index import read, table
from clipbatch.index.runs import find, history
from clipbatch.index.search import nearest
from clipbatch.runtime.collect import collect
from clipbatch.runtime.session import Session
from tests import groceries, serial
from tests.ray import world


@pytest.fixture(autouse=True)
def without_ray(monkeypatch):
    serial.without_ray(monkeypatch.setattr)


@pytest.fixture
def root(tmp_path):
    groceries.folder(tmp_path / "pictures", 24)
    return tmp_path


def test_two_images_of_one_content_are_embedded_once(root):
    one = next((root / "pictures").rglob("*.jpg"))
    shutil.copy(one, one.with_name("copy.jpg"))
    config = world.load(root)
    _, counts = world.audit(config)
    assert (counts["images"], counts["contents"]) == (25, 24)
    assert counts["decoded"] == 24
    assert len(world.vectors(config)) == 24 * 4


def test_a_new_level_costs_only_what_is_missing(root):
    world.audit(world.load(root, "embed.levels=[0.5]"))
    config = world.load(root, "embed.levels=[0.5, 3.0]")
    _, counts = world.audit(config)
    assert (counts["opened"], counts["embedded_rows"]) == (0, 24)
    assert {v for _, v in world.vectors(config)} == {0, 500, 3000}


def test_another_noise_goes_to_another_table_and_leaves_clean_alone(root):
    first = world.load(root, "embed.levels=[0.5]")
    world.audit(first)
    before = world.vectors(first)
    second = world.load(root, "embed.levels=[0.5]", "embed.noise_units=unit")
    _, counts = world.audit(second)
    assert counts["embedded_rows"] == 24
    tables = find(second.index.database).vectors_tables()
    assert tables[0] != tables[500]
    noisy = table.open_table(second.index.database, tables[500]).to_table().to_pylist()
    assert {row["variant"] for row in noisy} == {500}
    for row in noisy:
        bits = np.array(row["vector"], np.float32).tobytes()
        assert bits != before[row["content_id"], 500]
    assert world.vectors(first, history(first.index.database)[0].run_id) == before


def test_the_search_of_the_table_returns_the_picture_itself(root):
    config = world.load(root)
    world.audit(config)
    name = find(config.index.database).vectors_tables()[schema.CLEAN]
    for (content, variant), bits in list(world.vectors(config).items())[:6]:
        vector = np.frombuffer(bits, np.float32)
        best = nearest(config.index.database, name, vector, k=3, variant=variant)
        assert best[0]["content_id"] == content
        assert {row["variant"] for row in best} == {variant}
        assert best[0]["_distance"] == pytest.approx(0, abs=1e-5)


def test_a_content_refused_later_takes_its_images_with_it_and_can_come_back(root):
    Image.new("RGB", (900, 900), "red").save(root / "pictures" / "large.png")
    world.audit(world.load(root, "embed.levels=[]"))
    strict = world.load(root, "embed.levels=[0.5]", "collect.max_pixels=500000")
    _, counts = world.audit(strict)
    row = world.catalog(strict)["large.png"]
    assert (row["status"], row["reason"]) == ("bad", "too_many_pixels")
    assert (counts["bad"], counts["contents"]) == (1, 24)
    assert counts["decoded"] == 25
    contents, _ = read.load(strict.index.database, find(strict.index.database), 0)
    assert len(contents.image_uri) == 24
    assert "large.png" not in contents.image_uri
    generous = world.load(root, "embed.levels=[0.5]")
    _, same = world.audit(generous)
    assert same["bad"] == 1
    again = world.load(root, "embed.levels=[0.5]", "collect.retry_bad=true")
    _, counts = world.audit(again)
    assert (counts["bad"], counts["contents"], counts["retried"]) == (0, 25, 1)
    assert len(world.vectors(again)) == 25 * 2


def test_what_changed_is_told_from_the_last_commit_even_after_a_crash(root):
    config = world.load(root, "embed.levels=[]")
    world.audit(config)
    gone = sorted((root / "pictures").rglob("*.jpg"))[:3]
    for path in gone:
        path.unlink()
    groceries.folder(root / "pictures", 2, start=100)
    with Session() as session:
        collect(config, session, "a-run-that-was-killed-after-this")
    _, counts = world.audit(config)
    assert (counts["new"], counts["gone"], counts["images"]) == (2, 3, 23)
    _, quiet = world.audit(config)
    assert (quiet["new"], quiet["gone"]) == (0, 0)


def test_rows_of_a_sample_that_moved_are_invisible_to_analyses(root):
    world.audit(world.load(root, "embed.levels=[0.5]"))
    config = world.load(
        root, "embed.levels=[0.5]", "embed.noise_all_below=10", "embed.noise_per_class=1"
    )
    _, counts = world.audit(config)
    assert counts["unwanted"] > 0
    contents, reader = read.load(config.index.database, find(config.index.database), 0)
    labels = {row["label"] for row in world.catalog(config).values()}
    assert contents.variants[0].all()
    assert contents.variants[500].sum() == len(labels)
    assert np.isfinite(reader.read(500)).all(axis=1).sum() == len(labels)


def test_another_dtype_on_the_same_table_is_refused_before_work(root):
    world.audit(world.load(root, "embed.levels=[]"))
    with pytest.raises(ConfigError, match="dtype"):
        world.audit(world.load(root, "embed.levels=[]", "embed.dtype=float16"))


def test_pixels_at_their_own_size_hold_every_pixel(tmp_path):
    (tmp_path / "pictures" / "seven").mkdir(parents=True)
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    for i, pixels in enumerate(raw):
        Image.fromarray(pixels).save(tmp_path / "pictures" / "seven" / f"{i}.png")
    config = world.load(tmp_path, "embed.levels=[]", "embed.pixels_side=0")
    code, _ = world.audit(config)
    assert code == 0
    found = {np.frombuffer(bits, np.float32).tobytes() for bits in world.vectors(config).values()}
    expected = [(pixels.ravel() / 255).astype(np.float32) for pixels in raw]
    for row in expected:
        assert min(np.abs(np.frombuffer(f, np.float32) - row).max() for f in found) < 1e-6
    assert {len(f) for f in found} == {784 * 4}
