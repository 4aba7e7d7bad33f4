import time

import pytest

from clipbatch import storage
from clipbatch.errors import BadImage, ConfigError, Reason, Transient
from tests.stores import OddStore

pytestmark = pytest.mark.quick

# Keys that an object store takes and obstore can name; moto itself knows no newline in a key.
KEYS = [
    "plain/a.jpg",
    "<script>alert(1).jpg",
    "=cmd|' '!A0.jpg",
    "n" * 240 + ".jpg",
    "a#b?c=d.jpg",
    "50%41 & 50%.jpg",
    "caf\u00e9+\u732b.jpg",
]


def test_hostile_keys_are_listed_once_each_and_read_back(bucket):
    for key in KEYS:
        bucket.put(f"pics/{key}", key.encode())
    bucket.put("pics2/other.jpg", b"")
    bucket.put("pics/.hidden/x.jpg", b"")
    root = f"{bucket.address}/pics"
    found = list(storage.walk(root))
    assert sorted(storage.decode_uri(f.uri).decode() for f in found) == sorted(KEYS)
    for f in found:
        key = storage.decode_uri(f.uri).decode()
        assert f.size == len(key.encode())
        assert f.stamp.startswith("etag:")
        assert storage.read(root, f.uri) == key.encode()
        assert storage.status(root, f.uri) == f


def test_a_changed_object_has_another_stamp(bucket):
    bucket.put("x", b"one")
    before = storage.status(bucket.address, "x").stamp
    bucket.put("x", b"two")
    assert storage.status(bucket.address, "x").stamp != before


def test_listings_longer_than_a_page_are_whole(bucket):
    names = [f"{n:04d}.jpg" for n in range(1001)]
    bucket.put_empty(names)
    assert [f.uri for f in storage.walk(bucket.address)] == names


def test_a_depth_bounds_the_names(bucket):
    bucket.put_empty(["p/a.jpg", "p/b/c.jpg", "p/b/d/e.jpg"])
    found = [[f.uri for f in storage.walk(f"{bucket.address}/p", depth=d)] for d in (1, 2, 3)]
    assert found == [["a.jpg"], ["a.jpg", "b/c.jpg"], ["a.jpg", "b/c.jpg", "b/d/e.jpg"]]


def test_kinds(bucket):
    bucket.put("folder/x.tar", b"x")
    assert storage.kind(f"{bucket.address}/folder") == "folder"
    assert storage.kind(f"{bucket.address}/folder/") == "folder"
    assert storage.kind(f"{bucket.address}/folder/x.tar") == "file"
    assert storage.kind(f"{bucket.address}/fold") == "missing"
    assert storage.kind(bucket.address) == "folder"


def test_a_bucket_that_does_not_exist_is_a_config_error(bucket):
    for use in (storage.kind, lambda root: list(storage.walk(root)), storage.probe):
        with pytest.raises(ConfigError, match="no such bucket"):
            use("s3://no-such-bucket-here")
    with pytest.raises(ConfigError, match="names no bucket"):
        storage.kind("s3://")


def test_a_key_that_no_reader_can_name_stops_the_listing_and_is_named(bucket):
    bucket.put("pics/a//b.jpg", b"")
    with pytest.raises(ConfigError, match=r"a//b\.jpg"):
        list(storage.walk(f"{bucket.address}/pics"))


def test_spans_and_limits(bucket):
    bucket.put("x", b"0123456789")
    assert storage.read(bucket.address, "x", span=(2, 3)) == b"234"
    assert storage.read(bucket.address, "x", span=(8, 5)) == b"89"
    with pytest.raises(BadImage) as large:
        storage.read(bucket.address, "x", max_bytes=9)
    assert large.value.reason is Reason.TOO_MANY_BYTES
    with pytest.raises(BadImage) as gone:
        storage.read(bucket.address, "y")
    assert gone.value.reason is Reason.VANISHED


def test_an_opened_object_reads_as_a_file_does(bucket, tmp_path):
    data = bytes(range(256)) * 20_000  # several requests
    bucket.put("x", data)
    (tmp_path / "x").write_bytes(data)
    moves = [(0, 0, 10), (4_000_000, 0, 2_000_000), (-5, 2, 50), (-20, 1, 8), (10**9, 0, 4)]
    with storage.open_file(bucket.address, "x") as remote, (tmp_path / "x").open("rb") as local:
        for offset, whence, size in moves:
            assert remote.seek(offset, whence) == local.seek(offset, whence)
            assert remote.read(size) == local.read(size)
    with pytest.raises(FileNotFoundError):
        storage.open_file(bucket.address, "missing")


def test_writing_puts_a_whole_object(bucket):
    storage.write_atomic(f"{bucket.address}/out/report.html", b"one")
    storage.write_atomic(f"{bucket.address}/out/report.html", b"two")
    assert storage.read(bucket.address, "out/report.html") == b"two"


def test_a_store_that_does_not_answer_times_out(monkeypatch):
    with OddStore(monkeypatch, delay_s=20):
        started = time.monotonic()
        with pytest.raises(BadImage) as late:
            storage.read("s3://bucket", "x", timeout_s=0.3)
        assert late.value.reason is Reason.TIMED_OUT
        with pytest.raises(Transient, match="did not answer"):
            list(storage.walk("s3://bucket", timeout_s=0.3))
        with pytest.raises(Transient, match="did not answer"):
            storage.open_file("s3://bucket", "x", timeout_s=0.3)
        assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("answer", "listing", "advice"),
    [
        (403, ConfigError, "403 Forbidden; check the credentials"),
        (503, Transient, "503 Service Unavailable; run the same command again"),
        (301, ConfigError, "AWS_REGION"),
    ],
)
def test_an_answer_says_who_must_act_and_no_secret(monkeypatch, answer, listing, advice):
    with OddStore(monkeypatch, answer):
        with pytest.raises(listing, match=advice) as refused:
            list(storage.walk("s3://bucket/x", timeout_s=0.5))
        with pytest.raises(BadImage) as unread:
            storage.read("s3://bucket", "x.jpg", timeout_s=0.5)
    assert unread.value.reason is Reason.UNREADABLE
    for message in (str(refused.value), unread.value.message):
        assert "a-secret" not in message
        assert "x.jpg" not in message


def test_plain_http_needs_consent(monkeypatch):
    with OddStore(monkeypatch):
        monkeypatch.delenv("AWS_ALLOW_HTTP")
        with pytest.raises(ConfigError, match="AWS_ALLOW_HTTP"):
            list(storage.walk("s3://bucket/x"))


def test_a_key_that_is_not_utf8_is_a_bad_image(bucket):
    with pytest.raises(BadImage) as refused:
        storage.read(bucket.address, "%ff.jpg")
    assert refused.value.reason is Reason.UNREADABLE
