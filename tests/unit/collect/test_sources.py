import pickle

import pytest

from clipbatch.collect import SOURCES, nothing_listed, open_source
from clipbatch.collect.base import Place
from clipbatch.collect.folder import Folder
from clipbatch.config import CollectConfig
from clipbatch.errors import ConfigError
from tests.pictures import collection, write_folder, write_manifest, write_parquet, write_tar

pytestmark = pytest.mark.quick

PICTURES = collection()


def listed(source, **options):
    opened = open_source(CollectConfig(source=str(source), **options))
    return opened, list(opened.entries())


def places(entries):
    return [Place(e.uri, e.size, e.offset) for e in entries]


@pytest.fixture
def four(tmp_path):
    """The same pictures in the four kinds of source, and the configuration that reads them."""
    rows = [
        {"uri": name, "label": name.split("/")[1], "split": name.split("/")[0]} for name in PICTURES
    ]
    write_folder(tmp_path / "folder", PICTURES)
    write_manifest(tmp_path / "folder/list.csv", rows)
    return {
        "folder": (tmp_path / "folder", {}),
        "tar": (write_tar(tmp_path / "x.tar", PICTURES), {"label": "parent"}),
        "parquet": (write_parquet(tmp_path / "x.parquet", PICTURES), {}),
        "manifest": (tmp_path / "folder/list.csv", {}),
    }


def test_the_four_sources_yield_the_same_pictures(four):
    assert set(four) == set(SOURCES)
    for kind, (path, options) in four.items():
        source, entries = listed(path, **options)
        assert isinstance(source, SOURCES[kind])
        assert len({e.uri for e in entries}) == len(PICTURES)
        read = zip(entries, source.read(places(entries)), strict=True)
        told = [(e.split, e.label, data) for e, data in read]
        assert sorted(told) == sorted((*n.split("/")[:2], data) for n, data in PICTURES.items())


def test_a_bucket_lists_and_reads_as_the_folder_does(four, bucket, tmp_path):
    for file in tmp_path.rglob("*"):
        if file.is_file():
            bucket.put(f"data/{file.relative_to(tmp_path)}", file.read_bytes())
    for path, options in four.values():
        local, here = listed(path, **options)
        remote, there = listed(f"{bucket.address}/data/{path.relative_to(tmp_path)}", **options)

        def facts(entries):
            return [(e.uri, e.size, e.offset, e.label, e.split) for e in entries]

        assert facts(here) == facts(there)
        assert all(e.stamp.startswith("etag:") for e in there)
        travelled = pickle.loads(pickle.dumps(remote))
        assert list(local.read(places(here))) == list(travelled.read(places(there)))


def test_a_folder_is_known_by_what_it_holds(tmp_path):
    write_tar(tmp_path / "shards/0.tar", PICTURES)
    write_parquet(tmp_path / "table/0.parquet", PICTURES)
    write_parquet(tmp_path / "both/annotations.parquet", PICTURES)
    write_folder(tmp_path / "both", PICTURES)
    kinds = {"shards": "tar", "table": "parquet", "both": "folder", "shards/*.tar": "tar"}
    kinds |= {"*/0.parquet": "parquet"}
    for name, kind in kinds.items():
        assert isinstance(listed(tmp_path / name)[0], SOURCES[kind]), name


def test_a_parquet_file_of_names_is_a_manifest(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_folder(tmp_path, PICTURES)
    table = pa.table({"uri": list(PICTURES), "thumbnail": [b"x"] * len(PICTURES)})
    pq.write_table(table, tmp_path / "x.parquet")
    source, entries = listed(tmp_path / "x.parquet", image="uri")
    assert isinstance(source, SOURCES["manifest"])
    assert len(entries) == len(PICTURES)
    assert isinstance(listed(tmp_path / "x.parquet")[0], SOURCES["parquet"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "is empty"),
        ("missing", "does not exist"),
        ("missing.tar", "does not exist"),
        ("missing/*.tar", "does not exist"),
        ("x.tar.gz", "unpack it"),
        ("x.docx", "expected a folder"),
        ("*.zip", "expected a folder"),
        ("https://example.org/x.tar", "https://"),
    ],
)
def test_sources_that_cannot_be_are_refused_in_one_line(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    for name in ("x.tar.gz", "x.docx"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ConfigError, match=message) as refused:
        open_source(CollectConfig(source=source))
    assert "\n" not in str(refused.value)


def test_a_missing_prefix_is_refused(bucket):
    for kind in ("auto", *SOURCES):
        with pytest.raises(ConfigError, match="does not exist"):
            open_source(CollectConfig(source=f"{bucket.address}/none", kind=kind))


def test_a_folder_without_pictures_says_what_it_holds(tmp_path):
    write_folder(tmp_path, {"a.txt": b"", "b/c.md": b"", "d": b""})
    config = CollectConfig(source=str(tmp_path))
    source, entries = listed(tmp_path)
    assert isinstance(source, Folder)
    assert entries == []
    message = str(nothing_listed(config, source))
    assert "3 other files" in message
    assert "jpeg, jpf, jpg" in message
    assert "allow_empty" in message


def test_an_empty_folder_lists_nothing(tmp_path):
    assert listed(tmp_path)[1] == []
