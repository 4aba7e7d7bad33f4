import io
import json
import pickle
import random
import tarfile

import pytest

from clipbatch.collect.base import Place
from clipbatch.collect.tar import Tar
from clipbatch.config import CollectConfig
from clipbatch.errors import BadImage, ConfigError, Reason
from tests.pictures import collection, write_tar

pytestmark = pytest.mark.quick


def places(entries):
    return [Place(e.uri, e.size, e.offset) for e in entries]


def tar(path, **options):
    return Tar(CollectConfig(source=str(path), **options))


def test_members_are_listed_from_headers_and_read_where_they_lie(tmp_path):
    pictures = collection()
    source = tar(write_tar(tmp_path / "x.tar", pictures), label="parent")
    entries = list(source.entries())
    assert [e.uri for e in entries] == [f"x.tar#{name}" for name in pictures]
    raw = (tmp_path / "x.tar").read_bytes()
    for e, (name, data) in zip(entries, pictures.items(), strict=True):
        assert raw[e.offset : e.offset + e.size] == data
        split, label, _ = name.split("/")
        assert (e.split, e.label) == (split, label)
    backwards = list(reversed(entries))
    assert list(source.read(places(backwards))) == list(reversed(pictures.values()))


def test_webdataset_siblings_tell_label_split_and_caption(tmp_path):
    told = json.dumps({"label": ["x", "y"], "split": "val", "caption": "from json"}).encode()
    members = {
        "0.jpg": b"0",
        "0.cls": b"3\n",
        "0.txt": b"a cat",
        "a/1.cls": b"dog",
        "a/1.jpg": b"1",
        "a/1.mask.png": b"1m",
        "a/2.jpg": b"2",
        "a/3.json": told,
        "a/3.jpg": b"3",
        "a/4.jpg": b"4",
        "a/4.json": b"{broken",
        "a/5.json": b'{"label": "\\ud800"}',
        "a/5.jpg": b"5",
        "readme": b"",
    }
    source = tar(write_tar(tmp_path / "x.tar", members))
    found = {e.uri.partition("#")[2]: e for e in source.entries()}
    assert {name: (e.label, e.labels, e.split, e.caption) for name, e in found.items()} == {
        "0.jpg": ("3", (), None, "a cat"),
        "a/1.jpg": ("dog", (), None, None),
        "a/1.mask.png": ("dog", (), None, None),
        "a/2.jpg": (None, (), None, None),
        "a/3.jpg": (None, ("x", "y"), "val", "from json"),
        "a/4.jpg": (None, (), None, None),
        "a/5.jpg": ("?", (), None, None),
    }
    assert source.skipped == 1


def test_other_members_tell_where_the_configuration_says_so(tmp_path):
    path = write_tar(tmp_path / "x.tar", {"0.jpg": b"", "0.kind": b"cat", "0.alt": b"text"})
    (entry,) = tar(path, label="member:kind", caption="member:alt").entries()
    assert (entry.label, entry.caption) == ("cat", "text")
    (entry,) = tar(path, label="none", caption="none").entries()
    assert (entry.label, entry.caption) == (None, None)
    with pytest.raises(ConfigError, match=r"collect\.caption"):
        tar(path, caption="alt")


def test_folders_and_patterns_of_shards(tmp_path):
    write_tar(tmp_path / "train/0.tar", {"a.jpg": b"1"})
    write_tar(tmp_path / "train/1.tar", {"a.jpg": b"2"})
    write_tar(tmp_path / "val/0.tar", {"b.jpg": b"3"})
    (tmp_path / "notes.txt").write_bytes(b"")
    source = tar(tmp_path)
    assert [(e.uri, e.split) for e in source.entries()] == [
        ("train/0.tar#a.jpg", "train"),
        ("train/1.tar#a.jpg", "train"),
        ("val/0.tar#b.jpg", "val"),
    ]
    assert list(source.read(places(source.entries()))) == [b"1", b"2", b"3"]
    assert [e.uri for e in tar(tmp_path / "*/0.tar").entries()] == [
        "train/0.tar#a.jpg",
        "val/0.tar#b.jpg",
    ]
    shard = r"regex:(train|val)/\d+\.tar"
    assert [e.split for e in tar(tmp_path / "*/0.tar", split=shard).entries()] == ["train", "val"]
    with pytest.raises(ConfigError, match=r"4 other files.*\.tar"):
        list(tar(tmp_path / "t*/*.tgz").entries())


def test_names_are_only_names(tmp_path):
    names = ["../../etc/x.jpg", "/abs.jpg", "./a.jpg", "a#b.jpg", "50%.jpg", "n" * 240 + ".jpg"]
    names += [
        "<script>.jpg",
        "=1.jpg",
        "new\nline.jpg",
        b"\xff.jpg".decode(errors="surrogateescape"),
    ]
    source = tar(write_tar(tmp_path / "x.tar", {n: n.encode(errors="replace") for n in names}))
    entries = list(source.entries())
    assert len({e.uri for e in entries}) == len(names)
    assert all(e.uri.isprintable() and e.uri.count("#") == 1 for e in entries)
    assert list(source.read(places(entries))) == [n.encode(errors="replace") for n in names]
    assert [p.name for p in tmp_path.iterdir()] == ["x.tar"]


def test_hidden_members_are_left_out(tmp_path):
    members = {"._a.jpg": b"", "__/.x/b.jpg": b"", "./c.jpg": b"c"}
    assert [e.uri for e in tar(write_tar(tmp_path / "x.tar", members)).entries()] == [
        "x.tar#./c.jpg"
    ]


def test_a_repeated_name_gets_a_uri_of_its_own(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for data in (b"one", b"two", b"three"):
            header = tarfile.TarInfo("a.jpg")
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    source = tar(path)
    entries = list(source.entries())
    assert [e.uri for e in entries] == ["x.tar#a.jpg", "x.tar#a.jpg#2", "x.tar#a.jpg#3"]
    assert list(source.read(places(entries))) == [b"one", b"two", b"three"]


def test_links_inside_are_bad_rows_and_never_followed(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        header = tarfile.TarInfo("link.jpg")
        header.type, header.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(header)
    source = tar(path)
    (answer,) = source.read(places(source.entries()))
    assert answer.reason is Reason.UNSUPPORTED


@pytest.mark.parametrize("keep", ["half a picture", "a whole picture", "half a header"])
def test_a_tar_that_breaks_off_keeps_what_came_before_and_says_so(tmp_path, keep):
    pictures = {f"{n}.jpg": bytes([n]) * 700 for n in range(4)}
    path = write_tar(tmp_path / "x.tar", pictures)
    whole = list(tar(path).entries())
    cut = {
        "half a picture": whole[2].offset + 300,
        "a whole picture": whole[2].offset + 1024,
        "half a header": whole[2].offset + 1024 + 100,
    }[keep]
    path.write_bytes(path.read_bytes()[:cut])
    source = tar(path)
    entries = list(source.entries())
    assert [e.uri for e in entries] == ["x.tar#0.jpg", "x.tar#1.jpg", "x.tar#2.jpg", "x.tar"]
    *answers, last, container = source.read(places(entries))
    assert answers == list(pictures.values())[:2]
    assert container.reason is Reason.DAMAGED_CONTAINER
    if keep == "half a picture":
        assert last.reason is Reason.DAMAGED_CONTAINER
    else:
        assert last == pictures["2.jpg"]


@pytest.mark.parametrize("data", [b"", b"not a tar", b"\x1f\x8b" + b"x" * 2000, b"\0" * 100])
def test_a_file_that_is_no_tar_is_one_bad_row(tmp_path, data):
    (tmp_path / "x.tar").write_bytes(data)
    source = tar(tmp_path / "x.tar")
    entries = list(source.entries())
    assert [e.uri for e in entries] == ["x.tar"]
    (answer,) = source.read(places(entries))
    assert answer.reason is Reason.DAMAGED_CONTAINER


def test_an_empty_tar_lists_nothing_and_is_not_damaged(tmp_path):
    assert list(tar(write_tar(tmp_path / "x.tar", {})).entries()) == []


def test_no_damage_escapes_as_an_exception(tmp_path):
    members = {f"{n}.{e}": b"x" * 300 for n in range(5) for e in ("jpg", "json", "cls")}
    members |= {"n" * 200 + ".jpg": b"long name"}
    good = write_tar(tmp_path / "x.tar", members).read_bytes()
    rng = random.Random(0)
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            start = rng.randrange(len(bad) // 512) * 512
            bad[start + rng.randrange(512)] = rng.randrange(256)
        (tmp_path / "x.tar").write_bytes(bad)
        source = tar(tmp_path / "x.tar")
        entries = list(source.entries())
        assert len({e.uri for e in entries}) == len(entries)
        for answer in source.read(places(entries)):
            assert isinstance(answer, bytes | BadImage)


def test_a_rewritten_shard_or_member_has_other_stamps(tmp_path):
    path = write_tar(tmp_path / "x.tar", {"a.jpg": b"1"})
    (before,) = tar(path).entries()
    assert before.stamp.startswith("mtime_ns:")
    write_tar(path, {"a.jpg": b"2"})
    (after,) = tar(path).entries()
    assert after.stamp != before.stamp


def test_it_travels_to_another_process(tmp_path):
    source = tar(write_tar(tmp_path / "x.tar", {"a.jpg": b"a"}))
    entries = list(source.entries())
    assert list(pickle.loads(pickle.dumps(source)).read(places(entries))) == [b"a"]
