"""Pictures that kill their worker, on a real Ray: found, recorded, and no mate lost with them."""

import ctypes
import os
import signal
import time

import pytest
from PIL import Image

from clipbatch.runtime import attempt, decode, embed, limits
from clipbatch.runtime.actor import Embedder
from tests import groceries
from tests.ray import world

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]

MATES = 10


def _segfault():
    ctypes.string_at(0)


def _fill_the_memory():
    os.kill(os.getpid(), signal.SIGKILL)  # what the kernel does then


DEATHS = {
    b"segfault": _segfault,
    b"memory!!": _fill_the_memory,
    b"os._exit": lambda: os._exit(0),
    b"os.abort": os.abort,
    b"for ever": lambda: time.sleep(600),
}


def _deadly_decode(data, *, max_pixels):
    """Decode as ever, but die of some pictures: what a faulty C library does."""
    DEATHS.get(data[-8:], bytes)()
    from clipbatch.collect.decode import decode as real

    return real(data, max_pixels=max_pixels)


def _deadly_block(block, source, preprocess, max_pixels):
    decode.decode, limits.DECODE_S = _deadly_decode, 3.0  # in the worker's own process
    return decode.decode_block(block, source, preprocess, max_pixels)


class DeadlyEmbedder(Embedder):
    """Embeds as ever, but a picture that is wholly white kills the process."""

    def __call__(self, block):
        for pixels in block.column("pixels").to_pylist():
            if pixels and not pixels.strip(b"\xff"):
                _segfault()
        return super().__call__(block)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(attempt, "decode_block", _deadly_block)
    monkeypatch.setattr(attempt, "Embedder", DeadlyEmbedder)
    groceries.folder(tmp_path / "pictures", MATES)
    return tmp_path


def _add_deadly(folder, *deaths):
    whole = next(folder.rglob("*.jpg")).read_bytes()
    for death in deaths:
        (folder / f"{death.decode()}.jpg").write_bytes(whole + death)


@pytest.mark.timeout(600)
def test_pictures_that_kill_are_bad_rows_and_their_mates_keep_their_bits(root, monkeypatch):
    passes = []
    one_pass = embed.Work.one_pass
    monkeypatch.setattr(embed.Work, "one_pass", lambda self: passes.append(1) or one_pass(self))
    plain = world.load(root, "embed.levels=[1.0]")
    world.audit(plain)
    undisturbed = world.vectors(plain)
    assert len(undisturbed) == 2 * MATES
    _add_deadly(root / "pictures", *DEATHS)
    Image.new("L", (64, 64), 255).save(root / "pictures" / "white.png")
    (root / "pictures" / "empty.jpg").touch()
    config = world.load(root, "embed.levels=[1.0]", f"index.database={root / 'other'}")
    passes.clear()
    code, counts = world.audit(config)
    assert code == 1  # too many bad pictures, says a check
    assert len(passes) == 2  # one that settles every picture, and one that finds nothing left
    rows = world.catalog(config)
    reasons = {uri: row["reason"] for uri, row in rows.items() if row["status"] == "bad"}
    killers = {f"{death.decode().replace('!', '%21')}.jpg" for death in DEATHS} | {"white.png"}
    assert reasons == dict.fromkeys(killers, "crashed_worker") | {"empty.jpg": "empty"}
    assert {rows[uri]["attempts"] for uri in killers} == {config.embed.crash_limit}
    assert all("2 times" in rows[uri]["message"] for uri in killers)
    assert (counts["ok"], counts["pending"]) == (MATES, 0)
    assert {row["attempts"] for row in rows.values() if row["status"] == "ok"} == {0}
    assert world.vectors(config) == undisturbed
    _, again = world.audit(config)
    assert (again["decoded"], again["retried"]) == (0, 0)
