"""A store that fails is asked again, and is never taken for one that is empty."""

import lance
import pytest

from clipbatch import schema
from clipbatch.errors import ConfigError, Transient
from clipbatch.index import table
from tests.unit.index.test_table import vectors

pytestmark = pytest.mark.quick


@pytest.fixture
def db(tmp_path, monkeypatch):
    table.create(str(tmp_path), "v", schema.vectors_schema(8))
    monkeypatch.setattr(table.time, "sleep", lambda _: None)
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
    assert table.retry(lambda: table.merge(db, "v", rows, update=False), "merging") == 2
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
