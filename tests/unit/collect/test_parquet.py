import json
import pickle
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipbatch.collect.base import Place
from clipbatch.collect.parquet import Parquet
from clipbatch.config import CollectConfig
from clipbatch.errors import BadImage, ConfigError, Reason
from tests.pictures import collection, write_parquet

pytestmark = pytest.mark.quick


def places(entries):
    return [Place(e.uri, e.size, e.offset) for e in entries]


def source_of(path, **options):
    return Parquet(CollectConfig(source=str(path), **options))


def test_rows_are_listed_from_light_columns_and_read_in_any_order(tmp_path):
    pictures = collection(each=4)
    source = source_of(write_parquet(tmp_path / "x.parquet", pictures, rows_a_group=3))
    entries = list(source.entries())
    assert [e.uri for e in entries] == [f"x.parquet#{n}" for n in range(len(pictures))]
    assert {e.size for e in entries} == {-1}
    for e, name in zip(entries, pictures, strict=True):
        assert (e.split, e.label) == tuple(name.split("/")[:2])
    order = list(range(len(pictures))) * 2
    random.Random(1).shuffle(order)
    data = list(pictures.values())
    asked = places([entries[i] for i in order])
    assert list(source.read(asked)) == [data[i] for i in order]
    assert list(source.read(places(entries))) == data


def test_listing_never_reads_the_pictures(tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "x.parquet", collection())
    asked = []
    original = pq.ParquetFile.iter_batches

    def spy(self, *args, **options):
        asked.append(options["columns"])
        return original(self, *args, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    assert len(list(source_of(path).entries())) == 8
    assert len(list(source_of(path, label="", split="none").entries())) == 8
    assert asked == [["label", "split"]]


def test_hugging_face_files_tell_bytes_and_class_names(tmp_path):
    told = {"info": {"features": {"label": {"names": ["cat", "dog"]}}}}
    table = pa.table(
        {
            "image": [{"bytes": b"a", "path": "a.jpg"}, {"bytes": None, "path": "b.jpg"}, None],
            "label": [1, 0, -1],
        }
    ).replace_schema_metadata({b"huggingface": json.dumps(told).encode()})
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data/train-0.parquet")
    source = source_of(tmp_path)
    entries = list(source.entries())
    assert [e.label for e in entries] == ["dog", "cat", None]
    first, *others = source.read(places(entries))
    assert first == b"a"
    assert [o.reason for o in others] == [Reason.EMPTY, Reason.EMPTY]


def test_several_labels_a_caption_and_the_split_of_the_folder(tmp_path):
    table = pa.table({"jpg": [b"1", b"2"], "tags": [["x", "y"], ["x"]], "text": ["one", None]})
    (tmp_path / "test").mkdir()
    pq.write_table(table, tmp_path / "test/0.parquet")
    entries = list(source_of(tmp_path, label="tags", caption="text").entries())
    assert [(e.label, e.labels, e.caption) for e in entries] == [
        (None, ("x", "y"), "one"),
        ("x", (), None),
    ]
    assert {e.split for e in entries} == {"test"}
    assert {e.split for e in source_of(tmp_path, split="none").entries()} == {None}


def test_large_pictures_and_rows_that_are_gone_have_their_reason(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", {"a/b/c": b"1" * 10, "a/b/d": b"1" * 5})
    source = source_of(path, max_bytes=9)
    entries = list(source.entries())
    large, small, beyond = source.read([*places(entries), Place("x.parquet#2", -1)])
    assert large.reason is Reason.TOO_MANY_BYTES
    assert small == b"1" * 5
    assert beyond.reason is Reason.CHANGED
    (gone,) = source.read([Place("y.parquet#0", -1)])
    assert gone.reason is Reason.VANISHED


def test_a_damaged_file_is_one_bad_row_and_the_others_are_read(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"s/c/1": b"1"})
    (tmp_path / "b.parquet").write_bytes(b"PAR1 not really PAR1")
    write_parquet(tmp_path / "c.parquet", {"s/c/2": b"2"})
    source = source_of(tmp_path)
    entries = list(source.entries())
    assert [e.uri for e in entries] == ["a.parquet#0", "b.parquet", "c.parquet#0"]
    one, broken, two = source.read(places(entries))
    assert (one, two) == (b"1", b"2")
    assert broken.reason is Reason.DAMAGED_CONTAINER


def test_no_damage_escapes_as_an_exception(tmp_path):
    pictures = {f"s/c/{n}": bytes([n]) * 200 for n in range(30)}
    good = write_parquet(tmp_path / "x.parquet", pictures, rows_a_group=10).read_bytes()
    rng = random.Random(0)
    for _ in range(150):
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        if rng.random() < 0.2:
            bad = bad[: rng.randrange(len(bad))]
        (tmp_path / "x.parquet").write_bytes(bad)
        source = source_of(tmp_path / "x.parquet")
        try:
            entries = list(source.entries())
        except ConfigError:  # the damage renamed a column
            continue
        for answer in source.read(places(entries[:40])):
            assert isinstance(answer, bytes | BadImage)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"x": ["a"]}, {}, "expected one of the columns that can hold pictures here: none"),
        ({"image": [b""], "y": [1]}, {"image": "imag"}, "did you mean 'image'"),
        ({"image": [b""], "y": [1]}, {"image": "y"}, "hold bytes"),
        ({"image": [b""], "lable": ["x"]}, {"label": "label"}, "did you mean 'lable'"),
        ({"a": [b""], "b": [b""]}, {}, "a, b"),
    ],
)
def test_columns_that_are_missing_or_unclear_are_refused(tmp_path, columns, options, message):
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match=message):
        list(source_of(tmp_path / "x.parquet", **options).entries())


def test_it_travels_to_another_process_without_its_open_file(tmp_path):
    source = source_of(write_parquet(tmp_path / "x.parquet", {"s/c/1": b"1"}))
    entries = list(source.entries())
    assert list(source.read(places(entries))) == [b"1"]
    assert list(pickle.loads(pickle.dumps(source)).read(places(entries))) == [b"1"]
