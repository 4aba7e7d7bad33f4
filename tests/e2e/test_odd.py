"""Odd and hostile pictures through the whole pipeline: each is an ok row or a row with a reason."""

import csv
import ctypes
import io
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from clipbatch.collect import open_source
from clipbatch.collect.base import Place
from clipbatch.collect.folder import Folder
from clipbatch.embed.encoder import Preprocess
from clipbatch.errors import BadImage, ExitCode, Reason
from clipbatch.runtime import verbs
from clipbatch.runtime.collect import READS, failed
from clipbatch.runtime.decode import UNREAD, decode_block
from tests import groceries, odd
from tests.pictures import encode, picture, write_folder, write_manifest, write_tar
from tests.ray import world
from tests.stores import OddStore

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2

KNOWN = {
    "hopper.jpg": "",
    "flower.webp": "",
    "avif/hopper.avif": "",
    "truncated_jpeg.jpg": "truncated",
    "bmp/b/shortfile.bmp": "truncated",
    "libtiff_segfault.tif": "corrupt",
    "crash-b82e64d4f3f76d7465b6af535283029eda211259.sgi": "corrupt",
    "decompression_bomb.gif": "too_many_pixels",
    "bmp/b/reallybig.bmp": "too_many_pixels",
    "png_decompression_dos.png": "too_much_memory",
    "avif/hopper.heif": "unsupported",
    "eps/1.eps": "unsupported",
    "hopper.mic": "not_an_image",
    "drawing.wmf": "not_an_image",
    "test-ole-file.doc": "not_an_image",
}


@pytest.fixture(scope="module")
def images() -> Path:
    try:
        return odd.corpus()
    except ConnectionError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def rejects(config) -> dict[str, str]:
    """Return uri -> reason as the command lists them."""
    done = subprocess.run(
        [sys.executable, "-m", "clipbatch.cli", "rejects", "--db", config.index.database],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert f"{len(rows)} pictures cannot be used" in done.stderr
    assert all(row["message"] for row in rows)
    return {row["uri"]: row["reason"] for row in rows}


@pytest.mark.e2e
@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_every_file_of_pillows_corpus_and_every_bomb_is_a_row(tmp_path, images):
    bombs = {name: data for name, (data, _) in odd.bombs().items()}
    write_folder(tmp_path / "bombs", bombs)
    paths = [*odd.files(images), *odd.files(tmp_path / "bombs")]
    assert len(paths) == odd.FILES + len(bombs)
    write_manifest(tmp_path / "all.csv", [{"uri": str(path)} for path in paths])
    config = world.load(
        tmp_path,
        f"collect.source={tmp_path / 'all.csv'}",
        "embed.levels=[]",
        "collect.max_pixels=12000000",
    )
    code, counts = world.audit(config)
    rows = {row["uri"]: row for row in world.catalog(config).values()}
    assert len(rows) == len(paths)
    found = {uri: row["reason"] or "" for uri, row in rows.items()}
    assert {row["status"] for row in rows.values()} == {"ok", "bad"}
    assert all((row["status"] == "ok") is (row["reason"] is None) for row in rows.values())
    by_reason = Counter(filter(None, found.values()))
    print(dict(by_reason))
    assert set(by_reason) <= set(Reason) - {Reason.CRASHED_WORKER}
    assert counts["rejects"] == by_reason
    assert counts["ok"] + by_reason.total() == len(paths)
    assert counts["ok"] > 750
    for name, reason in KNOWN.items():
        assert next(r for uri, r in found.items() if uri.endswith(f"images/{name}")) == reason
    for name, (_, reason) in odd.bombs().items():
        answer = next(r for uri, r in found.items() if uri.endswith(f"bombs/{name}"))
        assert (answer or "ok") == reason
    assert rejects(config) == {uri: reason for uri, reason in found.items() if reason}
    assert code == ExitCode.FAILED_AUDIT
    checks = {check["name"]: check for check in world.verdict(config)["checks"]}
    assert checks["bad_images"]["status"] == "fail"
    assert checks["bad_images"]["value"] == by_reason.total() / len(paths)
    assert checks["bad_images"]["evidence"] == "clipbatch rejects"


def test_decoding_reaches_for_no_program_and_no_other_file(images):
    usual = (".png", ".bmp", ".gif", ".jpg")
    found = list(odd.examine([p for p in odd.files(images) if p.suffix not in usual], 100_000_000))
    assert len(found) > 400
    assert {row["name"]: row["touched"] for row in found if row["touched"]} == {}
    assert {row["reason"] for row in found} <= {"ok", *Reason}
    assert found[-1]["peak"] <= max(row["bound"] for row in found)


def test_what_a_picture_costs_its_worker_is_bounded(tmp_path):
    side = 2_000
    bombs = odd.bombs()
    write_folder(tmp_path, {name: data for name, (data, _) in bombs.items()})
    paths = [tmp_path / name for name in bombs] + odd.largest(tmp_path, side)
    found = list(odd.examine(paths, side * side))
    for row in found:
        name = Path(row["name"]).name
        assert row["reason"] == (bombs[name][1] if name in bombs else "ok"), name
        assert row["peak"] <= row["bound"], name
    (free,) = odd.examine([tmp_path / "tile.tif"], side * side, guarded=False)
    assert free["peak"] > 1.5 * free["bound"]  # the guard is what bounds it


@pytest.mark.e2e
@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_files_that_vanish_or_change_are_rows_and_come_back_the_next_night(tmp_path, monkeypatch):
    folder = groceries.folder(tmp_path / "pictures", 6)
    first = [encode(picture(n), "png") for n in range(8)]
    names = ("vanishes", "changes", "grows", "gone-later", "changed-later", "link")
    for name, data in zip(names, first, strict=False):
        (folder / f"{name}.png").write_bytes(data)
    listed = Folder.entries

    def entries(self):
        yield from listed(self)
        if (folder / "vanishes.png").exists():  # between the listing and the reading
            (folder / "vanishes.png").unlink()
            (folder / "grows.png").write_bytes(first[2] + b"more")

    config = world.load(tmp_path, "embed.levels=[]")
    monkeypatch.setattr(Folder, "entries", entries)
    assert verbs.run("collect", config) == ExitCode.PASSED
    monkeypatch.undo()
    (folder / "gone-later.png").unlink()  # between the hash and the decode
    (folder / "changed-later.png").write_bytes(first[6])
    assert verbs.run("embed", config) == ExitCode.PASSED
    assert verbs.run("index", config) == ExitCode.PASSED
    assert rejects(config) == {
        "vanishes.png": "vanished",
        "grows.png": "changed",
        "gone-later.png": "vanished",
        "changed-later.png": "changed",
    }
    (folder / "vanishes.png").write_bytes(first[7])
    _, counts = world.audit(config)
    statuses = {uri: row["status"] for uri, row in world.catalog(config).items()}
    assert statuses.pop("gone-later.png") == "gone"
    assert set(statuses.values()) == {"ok"}
    assert (counts["bad"], counts["ok"], counts["gone"]) == (0, 11, 1)


def _obey_permissions() -> None:
    """Root reads everything; without these two capabilities it obeys permissions like others."""
    if os.getuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


def test_what_may_not_be_read_is_a_row_and_nothing_waits(tmp_path):
    folder = write_folder(tmp_path / "pictures", {"a.png": encode(picture(0))})
    (folder / "secret.png").write_bytes(encode(picture(1)))
    (folder / "locked").mkdir()
    (folder / "locked/b.png").write_bytes(encode(picture(2)))
    (folder / "names-only").mkdir()
    (folder / "names-only/c.png").write_bytes(encode(picture(3)))
    (folder / "nowhere.png").symlink_to("missing")
    (folder / "itself.png").symlink_to("itself.png")
    (folder / "up").symlink_to("..")
    (folder / "device.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.png")
    (folder / "a-folder.png").mkdir()
    modes = {"secret.png": 0o000, "locked": 0o000, "names-only": 0o444}
    for name, mode in modes.items():
        (folder / name).chmod(mode)
    config = world.load(tmp_path, "embed.levels=[]")
    done = subprocess.run(
        [sys.executable, "-m", "clipbatch.cli", "collect", folder, "--db", config.index.database],
        preexec_fn=_obey_permissions,
        timeout=120,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = world.catalog(config)
    assert {uri: row["reason"] for uri, row in rows.items()} == {
        "a.png": None,
        "secret.png": "unreadable",
        "locked/": "damaged_container",
        "names-only/c.png": "unreadable",
        "nowhere.png": "vanished",
        "itself.png": "unreadable",
    }
    for name in modes:
        (folder / name).chmod(0o755)
    assert verbs.run("collect", config) == ExitCode.PASSED
    statuses = {uri: row["status"] for uri, row in world.catalog(config).items()}
    assert statuses == {
        "a.png": "pending",
        "secret.png": "pending",
        "locked/": "gone",
        "locked/b.png": "pending",
        "names-only/c.png": "pending",
        "nowhere.png": "bad",
        "itself.png": "bad",
    }


def test_a_read_that_times_out_is_asked_again_and_then_a_row(tmp_path, monkeypatch):
    row = {"uri": str(tmp_path / "a.png"), "size": "", "stamp": ""}
    late = {"uri": "s3://bucket/late.png", "size": "7", "stamp": "etag:1"}
    (tmp_path / "a.png").write_bytes(encode(picture(0)))
    write_manifest(tmp_path / "two.csv", [row, late])
    source = f"collect.source={tmp_path / 'two.csv'}"
    config = world.load(tmp_path, source, "collect.timeout_s=0.5")
    with OddStore(monkeypatch, delay_s=30.0) as store:
        assert verbs.run("collect", config) == ExitCode.PASSED
        rows = world.catalog(config)
        assert rows.pop(late["uri"])["reason"] == "timed_out"
        assert [row["status"] for row in rows.values()] == ["pending"]
        # The same while embedding: it says nothing about the content, and is asked again.
        block = pa.Table.from_pylist(
            [{"uri": late["uri"], "content_id": "0", "size": 7, "offset": None, "variants": [0]}]
        )
        answer = decode_block(block, open_source(config.collect), Preprocess(8, 8), 1000)
        (told,) = answer.to_pylist()
        assert (told["status"], told["reason"]) == (UNREAD, "timed_out")
        first = failed({"attempts": 0}, "timed_out")
        assert first == {"status": "pending", "attempts": 1}
        assert failed({"attempts": READS - 1}, "timed_out")["status"] == "bad"
        store.stopped.set()  # the store answers again, and the next night asks it
        assert verbs.run("collect", config) == ExitCode.PASSED
    assert world.catalog(config)[late["uri"]]["reason"] != "timed_out"


@pytest.mark.parametrize("name", ["pipe.tar", "pipe.parquet"])
def test_a_pipe_for_a_container_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    source = open_source(world.load(tmp_path, f"collect.source={tmp_path / name}").collect)
    entries = list(source.entries())
    (answer,) = source.read([Place(e.uri, e.size, e.offset) for e in entries])
    assert isinstance(answer, BadImage)
    assert answer.reason is Reason.DAMAGED_CONTAINER
    assert "not a regular file" in answer.message


def test_a_tar_that_may_not_be_opened_says_so(tmp_path):
    write_tar(tmp_path / "a.tar", {"x.png": encode(picture(0))})
    source = open_source(world.load(tmp_path, f"collect.source={tmp_path / 'a.tar'}").collect)
    shutil.move(tmp_path / "a.tar", tmp_path / "b.tar")
    (answer,) = source.read([Place("a.tar", -1)])
    assert isinstance(answer, BadImage)
    assert "gone since it was listed" in answer.message
