"""Is this machine ready for an audit? Every check says what it found and what to do about it."""

from collections.abc import Callable, Iterator
from typing import Final

from clipbatch.config import Config
from clipbatch.doctor import cluster, installation, machine, stores
from clipbatch.doctor.diagnosis import Diagnosis, Status

__all__ = ["Diagnosis", "Status", "examine"]

_EXAMINATIONS: Final[tuple[Callable[[Config], Iterator[Diagnosis]], ...]] = (
    installation.versions,
    installation.weights,
    stores.source,
    stores.outputs,
    machine.disks,
    machine.memory,
    machine.shared_memory,
    machine.open_files,
    machine.gpus,
    cluster.ray,
)


def examine(config: Config) -> Iterator[Diagnosis]:
    """Yield one diagnosis after the other; nothing is written but the probes of the stores."""
    for examination in _EXAMINATIONS:
        yield from examination(config)
