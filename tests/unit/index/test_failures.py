"""A store that fails is asked again, and is never taken for one that is empty."""

import lance
import pytest

from clipbatch import schema
from clipbatch.errors import ConfigError, Transient
from clipbatch.index import failures, table
from tests.unit.index.test_table import vectors

pytestmark = pytest.mark.quick


@pytest.fixture
def db(tmp_path, monkeypatch):
    table.create(str(tmp_path), "v", schema.vectors_schema(8))
    monkeypatch.setattr(failures.time, "sleep", lambda _: None)
    return str(tmp_path)


def failing(monkeypatch, times, error):
    """Make the next openings fail, as a store that answers 500 does."""
    real, left = lance.dataset, [times]

    def dataset(*arguments, **named):
        if left[0]:
            left[0] -= 1
            raise error
        return real(*arguments, **named)

    monkeypatch.setattr(table.lance, "dataset", dataset)


def test_a_merge_survives_a_store_that_fails_for_a_while(db, monkeypatch):
    rows = vectors(["a", "b"])
    failing(monkeypatch, 3, ValueError("LanceError(IO): error sending request"))
    assert failures.retry(lambda: table.merge(db, "v", rows, update=False), "merging") == 2
    assert table.open_table(db, "v").count_rows() == 2


def test_a_store_that_fails_for_good_is_transient_and_not_a_missing_table(db, monkeypatch):
    failing(monkeypatch, 1000, ValueError("LanceError(IO): error sending request"))
    with pytest.raises(Transient, match="see to the store"):
        table.merge(db, "v", vectors(["a"]), update=False)
    with pytest.raises(Transient):
        table.exists(db, "v")


def test_a_table_that_is_not_there_says_what_comes_first(db):
    assert not table.exists(db, "w")
    with pytest.raises(ConfigError, match="clipbatch audit"):
        table.open_table(db, "w")


def test_a_commit_whose_answer_was_lost_is_merged_again_and_repeats_nothing(db, monkeypatch):
    """The rows land, then the answer is an error: the same merge again inserts none."""
    rows, lost = vectors(["a", "b", "c"]), []
    real = table.open_table

    class Lossy:
        def __init__(self, dataset):
            self.dataset, self.schema = dataset, dataset.schema

        def merge_insert(self, key):
            return LossyBuilder(self.dataset.merge_insert(key))

    class LossyBuilder:
        def __init__(self, builder):
            self.builder = builder

        def __getattr__(self, name):
            def call(*arguments, **named):
                answer = getattr(self.builder, name)(*arguments, **named)
                if name == "execute" and not lost:
                    lost.append(answer)
                    raise OSError("Commit result for version 2 is unknown")
                return LossyBuilder(answer) if name != "execute" else answer

            return call

    monkeypatch.setattr(table, "open_table", lambda *a, **n: Lossy(real(*a, **n)))
    assert table.merge(db, "v", rows, update=False) == 0
    assert lost
    assert sorted(real(db, "v").to_table()["content_id"].to_pylist()) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("LanceError(IO): No space left on device (os error 28)", Transient, "disk is full"),
        ("Disk quota exceeded (os error 122)", Transient, "disk is full"),
        ("Read-only file system (os error 30)", ConfigError, "may not be written"),
        ("Permission denied (os error 13)", ConfigError, "permissions"),
        ("/a/file/db: Not a directory (os error 20)", ConfigError, "file where a folder"),
        ("status code: 403 Forbidden: ", ConfigError, "credentials"),
    ],
)
def test_what_no_retry_mends_is_told_at_once(monkeypatch, text, kind, words):
    tried = []

    def work():
        tried.append(1)
        raise OSError(text)

    with pytest.raises(kind, match=words):
        failures.retry(work, "s3://b/db: merging 3 rows into catalog")
    assert len(tried) == 1


def test_a_missing_file_of_a_table_is_named_and_the_place_in_lances_source_is_not():
    text = "External error: Not found: /d/db/v.lance/data/0101.lance, /home/x/rust/lance/io.rs:27:4"
    told = str(failures.damaged(ValueError(text)))
    assert "/d/db/v.lance: got no data/0101.lance" in told
    assert "io.rs" not in failures.short(ValueError(text))
    assert failures.damaged(ValueError("Not found: /d/db/v.lance/_versions/3.manifest")) is None
