"""What no picture causes ends a run soon and says what to do; no picture is isolated for it."""

import pytest

from clipbatch.errors import Incomplete
from clipbatch.runtime import attempt, embed, isolate
from clipbatch.runtime.actor import Embedder
from tests import groceries
from tests.ray import world

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


class NeverUp(Embedder):
    """Cannot be started, e.g. for want of a driver's library on its node."""

    def __init__(self, **_):
        raise RuntimeError("libcuda is too old")


class Raises(Embedder):
    """Starts, but every forward pass raises."""

    def __call__(self, block):
        raise RuntimeError("device-side assert")


@pytest.mark.parametrize(
    ("encoder", "told"),
    [(NeverUp, "no encoder comes up, tried 2 times"), (Raises, "device-side assert")],
)
def test_an_encoder_that_fails_is_no_pictures_fault(tmp_path, monkeypatch, encoder, told):
    groceries.folder(tmp_path / "pictures", 12)
    monkeypatch.setattr(attempt, "Embedder", encoder)
    monkeypatch.setattr(isolate, "STARTS", 2)
    monkeypatch.setattr(embed.Work, "_fewer", lambda *_: pytest.fail("pictures are suspected"))
    with pytest.raises(Incomplete, match=told):
        world.audit(world.load(tmp_path))
