import os
import pickle
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipbatch import storage
from clipbatch.collect.base import Place
from clipbatch.collect.manifest import Manifest, locate
from clipbatch.config import CollectConfig
from clipbatch.errors import BadImage, ConfigError, Reason
from tests.pictures import write_folder, write_manifest

pytestmark = pytest.mark.quick


def places(entries):
    return [Place(e.uri, e.size, e.offset) for e in entries]


def source_of(path, **options):
    return Manifest(CollectConfig(source=str(path), **options))


def test_relative_and_absolute_names_are_read_and_asked_for_size_and_stamp(tmp_path):
    write_folder(tmp_path / "m", {"a.jpg": b"a", "b.jpg": b"bb"})
    elsewhere = write_folder(tmp_path / "other", {"c.jpg": b"ccc"}) / "c.jpg"
    rows = [
        {"path": str(elsewhere), "label": "x", "split": "train", "caption": "one, two"},
        {"path": "a.jpg", "label": "y", "split": "", "caption": ""},
        {"path": "./b.jpg", "label": "", "split": "", "caption": ""},
    ]
    source = source_of(write_manifest(tmp_path / "m/list.csv", rows))
    entries = {e.uri: e for e in source.entries()}
    assert set(entries) == {str(elsewhere), "a.jpg", "./b.jpg"}
    e = entries[str(elsewhere)]
    assert (e.label, e.split, e.caption, e.size) == ("x", "train", "one, two", 3)
    assert e.stamp == f"mtime_ns:{elsewhere.stat().st_mtime_ns}"
    assert (entries["./b.jpg"].label, entries["./b.jpg"].split) == (None, None)
    asked = [Place(u, entries[u].size) for u in (str(elsewhere), "a.jpg", "./b.jpg")]
    assert list(source.read(asked)) == [b"ccc", b"a", b"bb"]


def test_a_repeated_name_is_one_image_with_all_its_labels(tmp_path):
    write_folder(tmp_path, {"a.jpg": b"a", "b.jpg": b"b"})
    rows = [
        {"uri": "a.jpg", "label": "cat", "split": "train"},
        {"uri": "b.jpg", "label": "dog", "split": "train"},
        {"uri": "a.jpg", "label": "pet", "split": "test"},
        {"uri": "b.jpg", "label": "dog", "split": "train"},
    ]
    a, b = source_of(write_manifest(tmp_path / "x.csv", rows)).entries()
    assert (a.uri, a.label, a.labels, a.split) == ("a.jpg", None, ("cat", "pet"), "train")
    assert (b.uri, b.label, b.labels) == ("b.jpg", "dog", ())


def test_sizes_and_stamps_in_the_table_save_asking(tmp_path):
    rows = [
        {"uri": "a.jpg", "size": "3", "etag": "e1", "stamp": ""},
        {"uri": "b.jpg", "size": "1", "etag": "", "stamp": "mtime_ns:5"},
    ]
    source = source_of(write_manifest(tmp_path / "x.csv", rows))
    entries = list(source.entries())  # the files are not there yet
    assert [(e.size, e.stamp) for e in entries] == [(3, "etag:e1"), (1, "mtime_ns:5")]
    write_folder(tmp_path, {"a.jpg": b"abc", "b.jpg": b"b"})
    assert list(source.read(places(entries))) == [b"abc", b"b"]


def test_a_picture_that_is_missing_is_listed_and_answers_so(tmp_path):
    source = source_of(write_manifest(tmp_path / "x.csv", [{"uri": "gone.jpg"}]))
    (entry,) = source.entries()
    (answer,) = source.read(places([entry]))
    assert answer.reason is Reason.VANISHED
    write_folder(tmp_path, {"gone.jpg": b"back"})
    (after,) = source.entries()
    assert after.stamp != entry.stamp


def test_hostile_names_keep_their_bytes(tmp_path):
    raw = b'caf\xe9, "\n<script>=#50%.jpg'
    (tmp_path / os.fsdecode(raw)).write_bytes(b"x")
    source = source_of(
        write_manifest(tmp_path / "x.csv", [{"uri": os.fsdecode(raw), "label": "l"}])
    )
    (entry,) = source.entries()
    assert storage.decode_uri(entry.uri) == raw
    assert entry.size == 1
    assert list(source.read(places([entry]))) == [b"x"]


def test_an_index_column_without_a_name_tells_nothing(tmp_path):
    write_folder(tmp_path, {"a.jpg": b""})
    (entry,) = source_of(write_manifest(tmp_path / "x.csv", [{"": "7", "path": "a.jpg"}])).entries()
    assert (entry.label, entry.split, entry.caption) == (None, None, None)


def test_parquet_manifests_may_hold_lists_of_labels(tmp_path):
    write_folder(tmp_path, {"a.jpg": b"a", "b.jpg": b"b"})
    table = pa.table(
        {"file_name": ["a.jpg", "b.jpg"], "labels": [["x", "y"], ["x"]], "size": [1, 1]}
    )
    pq.write_table(table, tmp_path / "x.parquet")
    a, b = source_of(tmp_path / "x.parquet", label="labels").entries()
    assert (a.labels, b.label) == (("x", "y"), "x")


def test_objects_of_a_bucket_are_named_by_their_address(bucket, tmp_path):
    names = [f"{bucket.address}/pics/{n}#.jpg" for n in range(40)]
    for n in range(40):
        bucket.put(f"pics/{n}#.jpg", b"x" * n)
    source = source_of(write_manifest(tmp_path / "x.csv", [{"uri": name} for name in names]))
    entries = list(source.entries())
    assert {storage.decode_uri(e.uri).decode(): e.size for e in entries} == {
        name: n for n, name in enumerate(names)
    }
    assert all(e.stamp.startswith("etag:") for e in entries)
    assert [len(data) for data in source.read(places(entries))] == [e.size for e in entries]


def test_a_manifest_in_a_bucket_names_its_neighbours(bucket):
    bucket.put("pics/a.jpg", b"abc")
    bucket.put("pics/list.csv", b"uri,label\na.jpg,cat\n")
    source = source_of(f"{bucket.address}/pics/list.csv")
    (entry,) = source.entries()
    assert (entry.uri, entry.size, entry.label) == ("a.jpg", 3, "cat")
    assert list(source.read(places([entry]))) == [b"abc"]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("a/b.jpg", ("/m", "a/b.jpg")),
        ("/a/b%23.jpg", ("/", "a/b%23.jpg")),
        ("file:///a/b.jpg", ("/", "a/b.jpg")),
        ("s3://bucket/a/b%23.jpg", ("s3://bucket", "a/b%23.jpg")),
    ],
)
def test_names_are_located(uri, expected):
    assert locate("/m", uri) == expected


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([{"url": "https://me:pw@example.org/a.jpg?s=1"}], {}, "https://example.org/a.jpg; http"),
        ([{"uri": "ftp://example.org/a.jpg"}], {}, "ftp://"),
        ([{"uri": "a.jpg"}, {"uri": ""}], {}, "row 2 of x.csv names nothing"),
        ([{"one": "a", "two": "b"}], {}, "one, two"),
        ([{"uri": "a", "klass": "b"}], {"label": "class"}, "did you mean 'klass'"),
        ([{"uri": "a", "two": "b"}], {"image": "three"}, "collect.image"),
    ],
)
def test_manifests_that_say_too_little_are_refused(tmp_path, rows, options, message):
    source = source_of(write_manifest(tmp_path / "x.csv", rows), **options)
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")) as refused:
        list(source.entries())
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "data"), [("x.csv", b""), ("x.parquet", b"PAR1"), ("x.csv", b"a.jpg\nb.jpg\n")]
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError):
        list(source_of(tmp_path / name).entries())


def test_a_listing_may_change_threads_and_travel(tmp_path):
    write_folder(tmp_path, {f"{n}.jpg": b"" for n in range(9)})
    rows = [{"uri": f"{n}.jpg"} for n in range(9)]
    source = pickle.loads(pickle.dumps(source_of(write_manifest(tmp_path / "x.csv", rows))))
    entries = source.entries()
    found = [next(entries)]
    thread = threading.Thread(target=lambda: found.extend(entries))
    thread.start()
    thread.join()
    assert len(found) == 9
    assert not any(isinstance(answer, BadImage) for answer in source.read(places(found)))
