import threading

import pytest

from clipbatch import storage
from clipbatch.errors import ConfigError, Transient
from clipbatch.storage import local
from tests.stores import OddStore

pytestmark = pytest.mark.quick


def test_a_local_folder_passes_and_is_left_as_it_was(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    storage.probe(str(tmp_path))
    storage.probe(str(tmp_path / "made" / "on the way"))
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["made", "on the way", "x"]


def test_a_store_that_honours_conditions_passes_and_is_left_as_it_was(bucket):
    bucket.put("db/x", b"")
    storage.probe(f"{bucket.address}/db")
    assert bucket.keys() == ["db/x"]


def test_a_store_that_ignores_conditions_is_refused_and_cleaned(monkeypatch):
    with OddStore(monkeypatch) as store:
        with pytest.raises(ConfigError, match="If-None-Match"):
            storage.probe("s3://bucket/db")
        assert store.objects == {}


def test_a_file_system_that_ignores_exclusive_creation_is_refused_and_cleaned(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(local, "create", lambda address, data: local.write(address, data) or True)
    with pytest.raises(ConfigError, match="conditional writes"):
        storage.probe(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "expected", "message"),
    [
        (403, ConfigError, "rights"),
        (501, ConfigError, "conditional"),
        (412, ConfigError, "exists already"),
        (503, Transient, "503"),
    ],
)
def test_a_store_that_refuses_the_write_is_named(monkeypatch, answer, expected, message):
    with OddStore(monkeypatch, answer), pytest.raises(expected, match=message):
        storage.probe("s3://bucket/db", timeout_s=0.5)


def test_a_root_that_cannot_be_written_is_a_config_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="folder"):
        storage.probe(str(tmp_path / "file"))

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(local, "_write_synced", refuse)
    with pytest.raises(ConfigError, match="Read-only"):
        storage.probe(str(tmp_path))


def test_reading_ahead_keeps_order_and_holds_few_answers():
    under_way, most, lock = [0], [0], threading.Lock()

    def slow(number):
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        threading.Event().wait(0.002 * (number % 3))
        with lock:
            under_way[0] -= 1
        return number

    taken = []

    def numbers():
        for number in range(60):
            taken.append(number)
            yield number

    answers = storage.ahead(slow, numbers(), at_once=4)
    assert next(answers) == 0
    assert len(taken) <= 8
    assert list(answers) == list(range(1, 60))
    assert 1 < most[0] <= 4
    assert list(storage.ahead(slow, range(5))) == list(range(5))
