"""How many encoding actors, with how much of a machine each."""

from dataclasses import dataclass

from clipbatch.config import EmbedConfig

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
        return Placement(config.actors or max(1, fit), 1.0, num_gpus, threads or 1)
    smallest = max(1, int(min(cpu for cpu, _ in nodes if cpu >= 1)))
    per_node = min(MOST_PER_NODE, max(1, smallest // max(1, threads)))
    count = config.actors or sum(
        min(MOST_PER_NODE, max(1, int(cpu) // max(1, threads))) for cpu, _ in nodes if cpu >= 1
    )
    return Placement(
        count=count,
        num_cpus=smallest / per_node / 2,
        num_gpus=0.0,
        threads=threads or max(1, smallest // per_node),
    )
