import threading

import pytest

from clipbatch.collect.base import Place
from clipbatch.collect.places import containers, open_place, read_ahead, split_pattern
from clipbatch.config import CollectConfig
from clipbatch.errors import BadImage, ConfigError, Reason
from tests.pictures import write_folder

pytestmark = pytest.mark.quick


def names(source):
    return [found.uri for found in containers(str(source), (".tar",), 30).files(30)]


def test_one_file_a_folder_or_a_pattern(tmp_path):
    write_folder(tmp_path, {"a.tar": b"", "b.TAR": b"", "c/d.tar": b"", "c/e/f.tar": b"", "g": b""})
    assert names(tmp_path / "a.tar") == ["a.tar"]
    assert names(tmp_path) == ["a.tar", "b.TAR", "c/d.tar", "c/e/f.tar"]
    assert names(tmp_path / "*.tar") == ["a.tar"]
    assert names(tmp_path / "c/*.tar") == ["d.tar"]
    assert names(tmp_path / "?/?.tar") == ["c/d.tar"]


def test_brackets_in_a_name_that_exists_are_no_pattern(tmp_path):
    write_folder(tmp_path, {"[1]/a.tar": b""})
    assert names(tmp_path / "[1]/a.tar") == ["a.tar"]
    assert names(tmp_path / "[1]") == ["a.tar"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a/b.tar", ("a/b.tar", "")),
        ("*.tar", (".", "*.tar")),
        ("/*.tar", ("/", "*.tar")),
        ("/a/b?/*.tar", ("/a", "b?/*.tar")),
        ("s3://bucket/a/*.tar", ("s3://bucket/a", "*.tar")),
    ],
)
def test_patterns_begin_at_the_first_part_with_a_wildcard(source, expected):
    assert split_pattern(source) == expected


def test_nothing_found_is_a_config_error(tmp_path):
    write_folder(tmp_path, {"a.txt": b"", "b.txt": b""})
    with pytest.raises(ConfigError, match=r"got 2 other files, expected .*\.tar"):
        names(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        names(tmp_path / "none.tar")


def test_a_place_is_a_whole_file_of_its_listed_size_or_a_span_inside(tmp_path):
    write_folder(tmp_path, {"x": b"0123456789"})

    def opened(place, **options):
        answer = open_place(str(tmp_path), "x", place, CollectConfig(**options))
        return answer.reason if isinstance(answer, BadImage) else answer

    assert opened(Place("x", 10)) == b"0123456789"
    assert opened(Place("x", -1)) == b"0123456789"
    assert opened(Place("x", 9)) is Reason.CHANGED
    assert opened(Place("x", 4, 3)) == b"3456"
    assert opened(Place("x", 4, 8)) is Reason.DAMAGED_CONTAINER
    assert opened(Place("x", 4, 3), max_bytes=3) is Reason.TOO_MANY_BYTES
    assert opened(Place("x", -1), max_bytes=9) is Reason.TOO_MANY_BYTES


@pytest.mark.parametrize("at_once", [1, 8])
def test_reading_ahead_keeps_the_order_and_holds_a_bounded_number_of_bytes(at_once):
    sizes = [10, 20, 30, 90, -1, 5, 100, 100, 1, 1, 1]
    places = [Place(str(i), size) for i, size in enumerate(sizes)]
    lock, held, most = threading.Lock(), set[str](), []

    def opened(place):
        with lock:
            held.add(place.uri)
            most.append(sum(max(0, sizes[int(uri)]) for uri in held))
        return place.uri.encode()

    found = []
    for data in read_ahead(opened, places, at_once, 100):
        found.append(data)
        with lock:
            held.discard(data.decode())
    assert found == [place.uri.encode() for place in places]
    assert max(most) <= 100 + (at_once == 1) * 100
    assert not held
