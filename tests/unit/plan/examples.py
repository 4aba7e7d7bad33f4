"""A probe and a machine with round numbers."""

from dataclasses import replace

from clipbatch import config
from clipbatch.measure import ANALYSES
from clipbatch.measure.cost import Cost
from clipbatch.plan.forecast import Rates, ToDo, Workers

DIM = 1280
RATES = Rates(
    sample=64,
    bad=0,
    open_s=0.001,
    decode_s=0.004,
    vector_s=0.01,
    start_s=5.0,
    choose_s=0.0,
    task_s=2.0,
    actor_bytes=10**9,
    batch_size=32,
)
CPUS = Workers(((4.0, 0.0),), 16e9, actors=4, threads=1, gpus=0.0, start_s=6.0)
GPUS = Workers(((16.0, 2.0),), 64e9, actors=2, threads=1, gpus=1.0, start_s=6.0)
NEW = ToDo(pictures=1000, to_open=1000, classes=4, labels=4)


def quadratic(size, _params):
    """Return 100 bytes and 0.1 microseconds a pair of contents."""
    return Cost(100 * size.contents**2, 1e-7 * size.contents**2)


CHOSEN = tuple(
    replace(analysis, cost=quadratic)
    for analysis in ANALYSES
    if analysis.name in ("duplicates", "clusters")
)


def load(*overrides):
    return config.load(None, ["measure.analyses=['duplicates','clusters']", *overrides])
