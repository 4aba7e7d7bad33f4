"""How many encoding actors, with how much of a machine each."""

from dataclasses import dataclass

from clipbatch.config import EmbedConfig
from clipbatch.errors import ConfigError

MOST_PER_NODE = 8  # actors on one CPU node; each holds its own copy of the weights


@dataclass(frozen=True)
class Placement:
    """The second stage of embedding: count actors of this size.

    Attributes:
        count: actors.
        num_cpus, num_gpus: that Ray sets aside for each.
        threads: that each computes with on a CPU.
    """

    count: int
    num_cpus: float
    num_gpus: float
    threads: int


def place(config: EmbedConfig, nodes: list[tuple[float, float]], threads: int = 0) -> Placement:
    """Choose the actors for a cluster.

    On CPU nodes actors compute with every core but reserve half, so that decoding tasks are
    scheduled beside them and the operating system keeps all cores busy.

    Args:
        config: may fix the number of actors, their threads and their share of a GPU.
        nodes: (CPUs, GPUs) of each.
        threads: that the table's vectors are computed with; 0 before there is a table.
    """
    threads = threads or config.threads
    gpus = sum(gpu for _, gpu in nodes)
    num_gpus = config.num_gpus if config.num_gpus >= 0 else min(1.0, gpus)
    if num_gpus > 0:
        fit = sum(int(gpu / num_gpus) for _, gpu in nodes)
        # At least half of a GPU node's CPUs are left to decoding.
        share = min((cpu * num_gpus / gpu / 2 for cpu, gpu in nodes if gpu >= num_gpus), default=1)
        return Placement(config.actors or max(1, fit), min(1.0, share), num_gpus, threads or 1)
    usable = [int(cpu) for cpu, _ in nodes if cpu >= 1]
    if not usable:
        raise ConfigError(
            f"got nodes with {[cpu for cpu, _ in nodes]} CPUs, expected one with 1 or more; "
            "start Ray with --num-cpus=1 or add a worker"
        )
    smallest = min(usable)
    per_node = min(MOST_PER_NODE, max(1, smallest // max(1, threads)))
    count = config.actors or sum(
        min(MOST_PER_NODE, max(1, cpu // max(1, threads))) for cpu in usable
    )
    return Placement(
        count=count,
        num_cpus=min(smallest / per_node, sum(usable) / count) / 2,
        num_gpus=0.0,
        threads=threads or max(1, smallest // per_node),
    )
