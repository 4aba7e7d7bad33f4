"""What cannot fit into the memory and the disks there are?"""

import shutil
from typing import Any

from clipbatch import storage
from clipbatch.config import Config
from clipbatch.doctor.machine import available, existing
from clipbatch.plan.forecast import Forecast, Rates, Workers

GB = 1e9


def refusals(config: Config, told: Forecast, rates: Rates, workers: Workers) -> tuple[str, ...]:
    """Say what would not fit: got, expected and what to do, one line each."""
    found = [
        _sample(rates),
        _disk(config, told.bytes),
        _driver(told.driver_bytes, available()[0]),
        _actors(rates, workers),
        *(
            _analysis(name, cost.memory, config, workers.memory)
            for name, cost in told.analyses.items()
            if cost
        ),
    ]
    return tuple(text for text in found if text)


def _sample(rates: Rates) -> str:
    if rates.bad < rates.sample or not rates.sample:
        return ""
    return (
        f"source: got {rates.sample} pictures of which none could be used, expected most of them "
        "to be; look at a few, and see collect.image, collect.max_bytes and collect.max_pixels"
    )


def _disk(config: Config, needed: int) -> str:
    if storage.is_remote(config.index.database):
        return ""
    folder = existing(config.index.database)
    free = shutil.disk_usage(folder).free
    if needed <= free:
        return ""
    return (
        f"disk: the tables need about {needed / GB:.1f} GB, got {free / GB:.1f} GB free at "
        f"{folder}; make room, name another index.database, or set embed.dtype=float16 or fewer "
        "embed.levels"
    )


def _driver(needed: int, total: int) -> str:
    if needed <= total:
        return ""
    return (
        f"memory: the command itself needs about {needed / GB:.1f} GB to measure, got a machine of "
        f"{total / GB:.1f} GB; run it on a larger one (ray job submit), or split the collection"
    )


def _actors(rates: Rates, workers: Workers) -> str:
    if workers.gpus:
        return ""
    here = -(-workers.actors // max(1, len(workers.nodes)))
    needed = here * rates.actor_bytes
    if needed <= workers.memory:
        return ""
    return (
        f"memory: {here} encoding actors a node need about {needed / GB:.1f} GB, got "
        f"{workers.memory / GB:.1f} GB; set embed.actors lower"
    )


def _analysis(name: str, needed: int, config: Config, node: float) -> str:
    """Hold an analysis to the limits that it will meet when it runs."""
    allowed = min(node, config.measure.memory_gb * GB) if config.measure.memory_gb else node / 2
    own: Any = getattr(config.measure.parameters[name], "memory_gb", None)
    limit = min(allowed, own * GB) if own else allowed
    if needed <= limit:
        return ""
    return (
        f"memory: one unit of {name} needs about {needed / GB:.1f} GB, and {limit / GB:.1f} GB are "
        f"allowed; make its samples smaller ([measure.{name}]), raise its memory_gb and "
        "measure.memory_gb, or use larger nodes"
    )
