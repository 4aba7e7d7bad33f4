import subprocess
import sys
import time

import numpy as np
import pytest

from clipbatch.runtime import limits

pytestmark = pytest.mark.quick

LOOP = """
import time
from clipbatch.runtime import limits
with limits.within(0.5, 1 << 30):
    pass
time.sleep(1)  # the limit is gone with the block
print("alive", flush=True)
with limits.within(0.5, 1 << 30):
    time.sleep(60)
print("never")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds private memory")
def test_an_allocation_beyond_the_bound_fails_and_one_within_does_not():
    with limits.within(60, 300 << 20):
        assert np.ones(100 << 20, np.uint8).all()
        with pytest.raises(MemoryError):
            np.ones(600 << 20, np.uint8)
    assert np.ones(600 << 20, np.uint8).all()


def test_a_limit_that_is_there_already_stays(monkeypatch):
    asked = []
    monkeypatch.setattr(limits.resource, "getrlimit", lambda _: (1 << 20, 1 << 40))
    monkeypatch.setattr(limits.resource, "setrlimit", lambda _, limit: asked.append(limit))
    with limits.within(60, 1 << 60):
        pass
    assert set(asked) == {(1 << 20, 1 << 40)}


def test_a_loop_without_an_end_ends_its_process():
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", LOOP], capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode != 0
    assert done.stdout == "alive\n"
    assert time.monotonic() - start < 50


def test_the_bound_grows_with_pixels_and_bytes():
    small = limits.memory_bound(0, 0)
    assert limits.memory_bound(10, 0) - small == 10 * limits.BYTES_A_PIXEL
    assert limits.memory_bound(0, 10) - small == 10 * limits.COPIES
