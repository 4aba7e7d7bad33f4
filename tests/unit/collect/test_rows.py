import pickle
import random

import pyarrow.parquet as pq
import pytest

from clipbatch.collect import rows
from clipbatch.collect.base import Place
from clipbatch.collect.parquet import Parquet
from clipbatch.config import CollectConfig
from clipbatch.errors import BadImage, Reason, Transient
from tests.pictures import collection, write_parquet

pytestmark = pytest.mark.quick


def places(entries):
    return [Place(e.uri, e.size, e.offset) for e in entries]


def source_of(path, **options):
    return Parquet(CollectConfig(source=str(path), **options))


@pytest.fixture
def unpacked(monkeypatch):
    """The row groups unpacked, in turn."""
    groups = []
    original = pq.ParquetFile.iter_batches

    def spy(self, *args, **options):
        groups.extend(options.get("row_groups", ()))
        return original(self, *args, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    return groups


def test_each_row_group_is_read_once_for_places_in_any_order(tmp_path, unpacked):
    pictures = collection(each=4)
    source = source_of(write_parquet(tmp_path / "x.parquet", pictures, rows_a_group=4))
    entries = list(source.entries())
    random.Random(2).shuffle(entries)
    assert len(list(source.read(places(entries)))) == 16
    assert unpacked == [0, 1, 2, 3]


def test_small_tasks_in_one_worker_share_what_was_unpacked_until_the_file_changes(
    tmp_path, unpacked
):
    path = write_parquet(tmp_path / "x.parquet", {f"s/c/{n}": b"%d" % n for n in range(9)}, 9)
    source = source_of(path)
    asked = places(source.entries())
    packed = pickle.dumps(source)
    found = [next(pickle.loads(packed).read([place])) for place in asked]
    assert found == [b"%d" % n for n in range(9)]
    assert unpacked == [0]
    write_parquet(path, {f"s/c/{n}": b"other" for n in range(9)}, 9)
    assert next(pickle.loads(packed).read(asked[:1])) == b"other"


def test_a_damaged_row_group_is_tried_once_and_spares_the_others(tmp_path, unpacked):
    pictures = {f"s/c/{n}": bytes([n]) * 5000 for n in range(30)}
    path = write_parquet(tmp_path / "x.parquet", pictures, rows_a_group=10)
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    path.write_bytes(data)
    source = source_of(path)
    answers = list(source.read(places(source.entries())))
    reasons = [a.reason if isinstance(a, BadImage) else "ok" for a in answers]
    assert reasons == ["ok"] * 10 + [Reason.DAMAGED_CONTAINER] * 10 + ["ok"] * 10
    assert unpacked == [0, 1, 2]


def test_a_large_row_group_is_read_in_parts_with_the_same_answers(tmp_path, monkeypatch):
    pictures = collection(each=10)
    path = write_parquet(tmp_path / "x.parquet", pictures, rows_a_group=40)
    monkeypatch.setattr(rows, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(rows, "PART_BYTES", 5000)
    source = source_of(path)
    entries = list(source.entries())
    data = list(pictures.values())
    assert list(source.read(places(entries))) == data
    assert 0 < len(rows._KEPT.rows.held) < 20
    assert list(source.read(places(entries[::-7]))) == data[::-7]


def test_a_store_that_fails_is_a_reason_and_is_asked_again(tmp_path, monkeypatch):
    source = source_of(write_parquet(tmp_path / "x.parquet", {"s/c/1": b"1"}))
    asked = places(source.entries())
    original = rows.storage.open_file

    def fail(*_):
        raise Transient("the store did not answer")

    monkeypatch.setattr(rows.storage, "open_file", fail)
    (late,) = source.read(asked)
    assert late.reason is Reason.TIMED_OUT
    monkeypatch.setattr(rows.storage, "open_file", original)
    assert list(source.read(asked)) == [b"1"]
