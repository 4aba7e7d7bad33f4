import pickle

import pytest

from clipbatch.collect.base import Place
from clipbatch.collect.folder import Folder
from clipbatch.config import CollectConfig
from clipbatch.errors import BadImage, ConfigError, Reason
from tests.pictures import collection, write_folder

pytestmark = pytest.mark.quick


def places(entries):
    return [Place(e.uri, e.size, e.offset) for e in entries]


def folder(path, **options):
    return Folder(CollectConfig(source=str(path), **options))


def test_pictures_are_listed_with_label_split_size_and_stamp(tmp_path):
    pictures = collection()
    source = folder(write_folder(tmp_path, pictures))
    entries = list(source.entries())
    assert [e.uri for e in entries] == sorted(pictures)
    for e in entries:
        split, label, _ = e.uri.split("/")
        assert (e.split, e.label, e.size) == (split, label, len(pictures[e.uri]))
        stamp = (tmp_path / e.uri).stat().st_mtime_ns
        assert e.stamp == f"mtime_ns:{stamp}"
        assert e.offset is None
    assert list(source.read(places(entries))) == [pictures[e.uri] for e in entries]


def test_names_that_are_no_text_keep_their_picture_and_a_legible_label(tmp_path):
    (tmp_path / b"caf\xe9".decode(errors="surrogateescape")).mkdir()
    (tmp_path / b"caf\xe9/=1#\n.jpg".decode(errors="surrogateescape")).write_bytes(b"x")
    source = folder(tmp_path)
    (entry,) = source.entries()
    assert entry.uri == "caf%E9/%3D1%23%0A.jpg"
    assert entry.label == "caf\\xe9"
    assert list(source.read(places([entry]))) == [b"x"]


def test_other_files_are_counted_and_hidden_ones_are_not_seen(tmp_path):
    write_folder(tmp_path, {"a.jpg": b"", "b.txt": b"", "c": b"", ".d.jpg": b"", ".e/f.jpg": b""})
    source = folder(tmp_path)
    assert [e.uri for e in source.entries()] == ["a.jpg"]
    assert source.skipped == 2
    assert len(list(source.entries())) == 1
    assert source.skipped == 2  # of one listing, not of two


def test_answers_come_in_the_order_asked_with_reasons_in_place(tmp_path):
    write_folder(tmp_path, {"a.jpg": b"a", "b.jpg": b"bb", "c.jpg": b"c" * 50, "d.jpg": b"d"})
    source = folder(tmp_path, max_bytes=40)
    entries = list(source.entries())
    (tmp_path / "b.jpg").write_bytes(b"changed")
    (tmp_path / "d.jpg").unlink()
    answers = list(source.read(places([*reversed(entries), entries[0]])))
    reasons = [a.reason if isinstance(a, BadImage) else a for a in answers]
    assert reasons == [Reason.VANISHED, Reason.TOO_MANY_BYTES, Reason.CHANGED, b"a", b"a"]


def test_it_travels_to_another_process(tmp_path):
    write_folder(tmp_path, {"a.jpg": b"a"})
    source = pickle.loads(pickle.dumps(folder(tmp_path)))
    assert list(source.read(places(source.entries()))) == [b"a"]


def test_the_listing_is_lazy(tmp_path):
    write_folder(tmp_path, {f"{d}/{n}.jpg": b"" for d in "ab" for n in range(3)})
    entries = folder(tmp_path).entries()
    next(entries)
    for path in (tmp_path / "b").iterdir():
        path.unlink()
    assert len(list(entries)) == 2


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"caption": "text"}, "collect.caption"),
        ({"label": "column"}, "collect.label"),
        ({"split": "column"}, "collect.split"),
    ],
)
def test_rules_for_other_sources_are_refused(tmp_path, options, named):
    with pytest.raises(ConfigError, match=named):
        folder(tmp_path, **options)


def test_a_folder_that_does_not_exist_or_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for name in ("missing", "file"):
        with pytest.raises(ConfigError, match="does not exist"):
            folder(tmp_path / name)
