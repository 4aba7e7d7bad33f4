import os
import stat
from pathlib import Path

import pytest

from clipbatch import storage
from clipbatch.errors import BadImage, ConfigError, Reason, Transient
from clipbatch.storage import local

pytestmark = pytest.mark.quick

HOSTILE = [
    b"new\nline.jpg",
    b"not-utf8-\xff\xfe.jpg",
    b"<script>alert(1)</script".replace(b"/", b"_") + b".jpg",
    b"=cmd|' '!A0.jpg",
    b"n" * 240 + b".jpg",
    b"a#b.jpg",
    b"50%41.jpg",
    b"  spaces .jpg",
    "caf\u00e9.jpg".encode(),
]


def uris(root):
    return [found.uri for found in storage.walk(str(root))]


def test_hostile_names_are_listed_once_each_and_read_back(tmp_path):
    for number, name in enumerate(HOSTILE):
        (tmp_path / os.fsdecode(name)).write_bytes(b"x" * number)
    found = list(storage.walk(str(tmp_path)))
    assert {storage.decode_uri(f.uri) for f in found} == set(HOSTILE)
    assert len(found) == len(HOSTILE)
    for f in found:
        number = HOSTILE.index(storage.decode_uri(f.uri))
        assert f.size == number
        assert storage.read(str(tmp_path), f.uri) == b"x" * number
        assert storage.status(str(tmp_path), f.uri) == f


def test_the_order_is_that_of_the_bytes_of_the_whole_names(tmp_path):
    names = ["a/b", "a.c", "a/a", "B", "a-b/z", "a0"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert uris(tmp_path) == sorted(names)


def test_hidden_names_are_left_out_at_every_depth(tmp_path):
    for name in [".hidden.jpg", ".git/x.jpg", "a/.x.jpg", "a/y.jpg"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert uris(tmp_path) == ["a/y.jpg"]


def test_a_depth_bounds_where_it_looks(tmp_path, monkeypatch):
    for name in ["a.jpg", "b/c.jpg", "b/d/e.jpg"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    looked = []
    original = os.scandir
    monkeypatch.setattr(local.os, "scandir", lambda path: looked.append(path) or original(path))
    found = [[f.uri for f in storage.walk(str(tmp_path), depth=d)] for d in (1, 2, 3)]
    assert found == [["a.jpg"], ["a.jpg", "b/c.jpg"], ["a.jpg", "b/c.jpg", "b/d/e.jpg"]]
    assert len(looked) == 1 + 2 + 3


def test_links_are_followed_but_never_in_circles(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a/x.jpg").write_bytes(b"1")
    (tmp_path / "a/up").symlink_to("..")
    (tmp_path / "b/to-a").symlink_to("../a")
    (tmp_path / "itself.jpg").symlink_to("itself.jpg")
    (tmp_path / "nowhere.jpg").symlink_to("missing")
    listed = uris(tmp_path)
    assert {"a/x.jpg", "b/to-a/x.jpg", "itself.jpg", "nowhere.jpg"} <= set(listed)
    assert len(listed) < 12
    sizes = {f.uri: f.size for f in storage.walk(str(tmp_path))}
    assert sizes["nowhere.jpg"] == sizes["itself.jpg"] == -1
    with pytest.raises(BadImage) as gone:
        storage.read(str(tmp_path), "nowhere.jpg")
    assert gone.value.reason is Reason.VANISHED


def test_a_pipe_is_neither_listed_nor_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("pipe.jpg")
    assert uris(tmp_path) == []
    with pytest.raises(BadImage) as refused:
        storage.read(str(tmp_path), "pipe.jpg")
    assert refused.value.reason is Reason.UNREADABLE


def test_deep_trees_do_not_exhaust_the_stack(tmp_path):
    deep = tmp_path.joinpath(*["d"] * 600)
    deep.mkdir(parents=True)
    (deep / "x.jpg").write_bytes(b"")
    assert uris(tmp_path) == ["d/" * 600 + "x.jpg"]


def test_a_missing_or_locked_folder_is_a_config_error_and_a_failing_disk_is_not(
    tmp_path, monkeypatch
):
    with pytest.raises(ConfigError, match="no such folder"):
        list(storage.walk(str(tmp_path / "missing")))
    (tmp_path / "x.jpg").write_bytes(b"")
    with pytest.raises(ConfigError):
        list(storage.walk(str(tmp_path / "x.jpg")))
    for code, expected in ((13, ConfigError), (5, Transient)):

        def refuse(_, code=code):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(local.os, "scandir", refuse)
        with pytest.raises(expected):
            list(storage.walk(str(tmp_path)))


def test_spans_end_where_the_file_does(tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    root = str(tmp_path)
    assert storage.read(root, "x", span=(2, 3)) == b"234"
    assert storage.read(root, "x", span=(8, 5)) == b"89"
    assert storage.read(root, "x", span=(20, 5)) == b""
    assert storage.read(root, "x", span=(3, 0)) == b""


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("missing", Reason.VANISHED),
        ("x/below", Reason.VANISHED),
        (".", Reason.UNREADABLE),
        ("nul%00", Reason.UNREADABLE),
        ("x", Reason.TOO_MANY_BYTES),
    ],
)
def test_what_cannot_be_read_has_its_reason(tmp_path, uri, reason):
    (tmp_path / "x").write_bytes(b"0123456789")
    with pytest.raises(BadImage) as refused:
        storage.read(str(tmp_path), uri, max_bytes=9)
    assert refused.value.reason is reason
    assert str(tmp_path) not in refused.value.message


def test_writing_replaces_whole_files_and_leaves_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "new" / "report.html"
    storage.write_atomic(str(target), b"one")
    storage.write_atomic(str(target), b"two")
    assert target.read_bytes() == b"two"
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~_umask()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local.os, "replace", fail)
    with pytest.raises(Transient, match="No space"):
        storage.write_atomic(str(target), b"three")
    assert target.read_bytes() == b"two"
    assert [p.name for p in target.parent.iterdir()] == ["report.html"]


def test_a_folder_that_cannot_be_made_is_a_config_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError):
        storage.write_atomic(str(tmp_path / "file" / "report.html"), b"x")


def test_file_addresses_and_the_home_folder_are_understood(tmp_path, monkeypatch):
    (tmp_path / "a b").write_bytes(b"x")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert storage.kind(f"file://{tmp_path}/a%20b") == "file"
    assert storage.kind("~") == "folder"
    assert storage.kind("~/none") == "missing"
    with storage.open_file(str(tmp_path), "a b") as file:
        assert file.read() == b"x"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_path_of_a_name_lies_below_its_root():
    assert local.path_of("/data", "a%20b") == b"/data/a b"
    assert Path(os.fsdecode(local.path_of("/", "x/y"))) == Path("/x/y")


def test_names_are_those_of_one_folder_and_none_of_no_folder(tmp_path):
    for name in ("b.json", "a b.json", ".hidden", "below/c.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "nowhere").symlink_to("missing")
    assert storage.names(str(tmp_path)) == ["a b.json", "b.json", "below", "nowhere"]
    assert storage.names(str(tmp_path / "missing")) == []
