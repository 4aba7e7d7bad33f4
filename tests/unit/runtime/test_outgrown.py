"""When is a stream begun anew because the cluster has room for more encoders?"""

from types import SimpleNamespace

import pytest

from clipbatch.config import EmbedConfig
from clipbatch.runtime import attempt as attempts
from clipbatch.runtime.placement import place

pytestmark = pytest.mark.quick


@pytest.fixture
def attempt(monkeypatch):
    """An attempt on one node of two CPUs, an hour of work ahead, half a minute after its start."""
    found = object.__new__(attempts.Attempt)
    found.nodes = [(2.0, 0.0)]
    found.work = SimpleNamespace(
        progress=SimpleNamespace(total=40_000, done=4_000, rate=10.0),
        stores=SimpleNamespace(shape=SimpleNamespace(threads=1, batch_size=32)),
        place=lambda threads: place(EmbedConfig(), found.nodes, threads),
    )
    found.now, found.counted = 30.0, 0.0
    monkeypatch.setattr(attempts.time, "monotonic", lambda: found.now)
    monkeypatch.setattr(attempts, "say", lambda *_: None)
    return found


def test_a_node_more_is_used_once_a_minute_has_passed(attempt):
    attempt.nodes.append((2.0, 0.0))
    assert not attempt._outgrown(2)
    attempt.now = 61.0
    assert attempt._outgrown(2)
    assert attempt.work.progress.total == 4_000  # the rest is counted by the next stream


def test_the_same_cluster_or_a_smaller_one_goes_on(attempt):
    attempt.now = 61.0
    assert not attempt._outgrown(2)
    attempt.now = 122.0
    assert not attempt._outgrown(4)


@pytest.mark.parametrize("left", [64, 500])
def test_what_is_nearly_done_is_not_begun_anew(attempt, left):
    attempt.nodes.append((2.0, 0.0))
    attempt.now, attempt.work.progress.done = 61.0, 40_000 - left
    assert not attempt._outgrown(2)
