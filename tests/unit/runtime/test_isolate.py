"""The book-keeping of isolation, with workers that only pretend; tests/ray has real ones."""

from types import SimpleNamespace

import pyarrow as pa
import pytest
from ray.exceptions import OutOfMemoryError

from clipbatch import config as configs
from clipbatch import schema
from clipbatch.errors import Incomplete
from clipbatch.index import ledger, table
from clipbatch.runtime import isolate

pytestmark = pytest.mark.quick

NAMES = ["a", "b", "c", "d"]


class Workers:
    """Stands for the task and the actor: dies of some pictures, some number of times."""

    def __init__(self, deaths: dict[str, int], database: str) -> None:
        self.deaths, self.database = dict(deaths), database
        self.tried: list[tuple[str, int]] = []

    def __call__(self, _stages):
        return self

    def embed(self, row):
        uri = row.column("uri")[0].as_py()
        self.tried.append((uri, attempts(self.database)[uri]))
        if self.deaths.get(uri, 0) < 0:
            raise Incomplete("a node was lost")
        if self.deaths.get(uri, 0):
            self.deaths[uri] -= 1
            return None
        return row


@pytest.fixture
def config(tmp_path):
    found = configs.load(None, [f"index.database={tmp_path}", "embed.crash_limit=3"])
    table.create(str(tmp_path), schema.CATALOG, schema.CATALOG_SCHEMA)
    table.create(str(tmp_path), schema.CONTENTS, schema.CONTENTS_SCHEMA)
    rows = [
        {"uri": name, "content_id": name * 64, "status": schema.PENDING, "attempts": 0}
        for name in NAMES
    ]
    catalog = pa.Table.from_pylist(rows, schema=schema.CATALOG_SCHEMA)
    table.merge(str(tmp_path), schema.CATALOG, catalog, update=True)
    return found


def attempts(database):
    return {row["uri"]: row["attempts"] for row in ledger.images(database, NAMES)}


def run(config, monkeypatch, deaths):
    workers = Workers(deaths, config.index.database)
    monkeypatch.setattr(isolate, "_Alone", workers)
    todo = pa.table({"uri": NAMES, "content_id": [name * 64 for name in NAMES]})
    survived = []
    for block in isolate.isolate(config, todo, None, "run"):
        survived += block.column("uri").to_pylist()
    refused = table.open_table(config.index.database, schema.CONTENTS).to_table().to_pylist()
    return workers, survived, {row["content_id"][0]: row for row in refused}


def test_who_kills_to_the_limit_is_refused_and_everybody_else_survives(config, monkeypatch):
    workers, survived, refused = run(config, monkeypatch, {"b": 99, "c": 2, "d": 99})
    assert survived == ["a", "c"]
    assert refused.keys() == {"b", "d"}
    assert {row["reason"] for row in refused.values()} == {"crashed_worker"}
    assert "3 times" in refused["b"]["message"]
    assert [uri for uri, _ in workers.tried] == [*"abcd", *"bcd", *"bcd"]
    assert all(count >= 1 for _, count in workers.tried)  # written before the try
    assert attempts(config.index.database) == {"a": 0, "b": 3, "c": 0, "d": 3}


def test_tries_of_an_interrupted_run_count_and_a_lost_node_is_nobodys_fault(config, monkeypatch):
    with pytest.raises(Incomplete):
        run(config, monkeypatch, {"b": 99, "c": -1})
    assert attempts(config.index.database)["b"] == 1
    workers, survived, refused = run(config, monkeypatch, {"b": 99})
    assert survived == ["a", "c", "d"]
    assert refused.keys() == {"b"}
    assert [uri for uri, _ in workers.tried].count("b") == 2
    assert attempts(config.index.database) == {"a": 0, "b": 3, "c": 0, "d": 0}


class Remote:
    """Stands for a method of an actor: what it gives, or the error that Ray has for it."""

    def __init__(self, answer):
        self.answer = answer

    def remote(self, *_arguments, **_settings):
        return self.answer


class Encoder:
    """Stands for an actor; one that was killed for memory answers every call with that."""

    def __init__(self, killed):
        answer = OutOfMemoryError("the memory monitor killed it")
        self.__ray_ready__ = Remote("up")
        self.__call__ = Remote(answer if killed else pa.table({"uri": ["a"]}))
        self.killed = killed


def test_an_encoder_killed_for_memory_is_the_fault_of_one_picture_only():
    def get(answer):
        if isinstance(answer, Exception):
            killed.__ray_ready__ = Remote(answer)
            raise answer
        return answer

    killed = Encoder(killed=True)
    started = iter([killed, Encoder(killed=False)])
    alone = isolate._Alone.__new__(isolate._Alone)
    actor = SimpleNamespace(start=lambda: next(started))
    patience = SimpleNamespace(get=get)
    alone.stages = SimpleNamespace(settings={}, actor=actor, patience=patience)
    alone.decode, alone.encoder = Remote("decoded"), None
    assert alone.embed(None) is None
    assert alone.embed(None).num_rows == 1
    alone.decode = Remote(OutOfMemoryError("decoding it took all memory"))
    assert alone.embed(None) is None


def test_an_encoder_that_never_comes_up_condemns_nobody():
    def get(answer):
        if isinstance(answer, Exception):
            raise answer
        return answer

    dead = Encoder(killed=True)
    dead.__ray_ready__ = Remote(OutOfMemoryError("no memory to start it"))
    alone = isolate._Alone.__new__(isolate._Alone)
    actor, patience = SimpleNamespace(start=lambda: dead), SimpleNamespace(get=get)
    alone.stages = SimpleNamespace(settings={}, actor=actor, patience=patience)
    alone.decode, alone.encoder = Remote("decoded"), None
    with pytest.raises(Incomplete, match="no encoder comes up"):
        alone.embed(None)
