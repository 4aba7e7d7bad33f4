"""From what is to do and how fast it goes to bytes, seconds and memory."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from clipbatch.config import Config
from clipbatch.measure.base import Analysis
from clipbatch.measure.cost import Cost, Size

# Bytes a row on disk, beside the numbers of a vector: `du` of the sample database's tables after
# one audit (2,054 images, 1,393 contents, 5,572 vectors), the versions in between included.
CATALOG_ROW: Final = 250
CONTENTS_ROW: Final = 1_400
VECTOR_ROW: Final = 24
COMMITS: Final = 350_000  # manifests, transactions and footers, seen with 100 pictures
# Bytes a content that the driver of `measure` holds at its peak: 4.5 kB of Python and NumPy by
# tracemalloc in index.read.load, and the Arrow columns that they are made from.
DRIVER_CONTENT: Final = 6_500
FEW: Final = 4_096  # pictures that collect opens in the driver, one after the other


@dataclass(frozen=True)
class ToDo:
    """What the source and the tables say before anything is opened.

    Attributes:
        pictures: listed.
        to_open: of these, whose bytes are unknown yet: new, changed or to be tried again.
        known: contents that the tables know already.
        have: wanted vectors that exist.
        classes: labels of at least 20 pictures.
        labels: all labels, "none" counted as one; noise is sampled from each.
        bytes: of the pictures to open; None where the listing does not tell.
        seconds: that the listing took.
    """

    pictures: int
    to_open: int
    known: int = 0
    have: int = 0
    classes: int = 0
    labels: int = 1
    bytes: int | None = None
    seconds: float = 0.0

    def grown(self, factor: int) -> "ToDo":
        """Return a collection of the same classes, so many times larger, that nobody knows yet."""
        if factor == 1:
            return self
        return replace(
            self,
            pictures=self.pictures * factor,
            to_open=self.pictures * factor,
            known=0,
            have=0,
            bytes=None,
            seconds=self.seconds * factor,
        )


@dataclass(frozen=True)
class Rates:
    """What a probe of the real stages measured on workers like those of the run.

    Attributes:
        sample: pictures it looked at; bad ones of them.
        bad: of the sample, could not be used.
        open_s: seconds to read and hash a picture.
        decode_s: to read, decode and prepare it.
        vector_s: for one vector, on one actor with its threads, while the others work beside it.
        start_s: until a worker had loaded the encoder.
        choose_s: to choose the batch shape; 0 where it is given, or pinned with a table.
        task_s: until a worker had loaded what any analysis computes with.
        actor_bytes: memory of such a worker at its peak.
        batch_size: rows of a forward pass.
    """

    sample: int
    bad: int
    open_s: float
    decode_s: float
    vector_s: float
    start_s: float
    choose_s: float
    task_s: float
    actor_bytes: int
    batch_size: int


@dataclass(frozen=True)
class Workers:
    """Where the run will take place.

    Attributes:
        nodes: (CPUs, GPUs) of each.
        memory: bytes that the largest node offers to tasks.
        actors: that encode.
        threads: CPU threads of each.
        gpus: of each; 0 on CPUs.
        start_s: seconds that Ray took to start.
    """

    nodes: tuple[tuple[float, float], ...]
    memory: float
    actors: int
    threads: int
    gpus: float
    start_s: float = 0.0

    @property
    def cpus(self) -> float:
        """Cores of all nodes."""
        return max(1.0, sum(cpus for cpus, _ in self.nodes))


@dataclass(frozen=True)
class Forecast:
    """What a run is expected to make and take.

    Attributes:
        pictures: listed.
        contents: distinct ones, at most: equal bytes are found only by opening them.
        rows: vectors to make, at most.
        bytes: by which the tables grow: catalog, contents, vectors, and what analyses keep.
        seconds: collect, embed and measure, each with the start of its workers.
        gpu_hours, cpu_hours: of the devices that are held while it runs.
        driver_bytes: memory of the process that runs the command.
        analyses: name -> its cost; None where the analysis declares none.
    """

    pictures: int
    contents: int
    rows: int
    bytes: int
    seconds: Mapping[str, float]
    gpu_hours: float
    cpu_hours: float
    driver_bytes: int
    analyses: Mapping[str, Cost | None]

    @property
    def total_seconds(self) -> float:
        """Seconds of all verbs."""
        return sum(self.seconds.values())


def forecast(
    config: Config,
    analyses: tuple[Analysis[Any], ...],
    todo: ToDo,
    rates: Rates,
    workers: Workers,
    dim: int,
) -> Forecast:
    """Say what a run over ``todo`` would make and take.

    Args:
        config: of the run.
        analyses: that it asks for.
        todo: what is missing.
        rates: of the stages.
        workers: where it runs.
        dim: numbers a vector.
    """
    contents = todo.known + todo.to_open
    wanted = wanted_rows(config, contents, todo.labels)
    rows = max(0, wanted - todo.have)
    decoded = -(-contents * rows // max(1, wanted))  # a picture is decoded once for all its rows
    size = Size(contents, dim, todo.classes, len(config.embed.levels))
    costs = {
        analysis.name: analysis.cost(size, config.measure.parameters[analysis.name])
        if analysis.cost
        else None
        for analysis in analyses
    }
    seconds = {
        "collect": _collect(todo, rates, workers),
        "embed": _embed(rows, decoded, rates, workers) if rows else 0.0,
        "measure": _measure(costs, rates, workers) if rows or todo.to_open else 0.0,
    }
    if rows or todo.to_open:
        seconds["embed" if rows else "measure"] += workers.start_s
    hours = sum(seconds.values()) / 3600
    kept = sum(cost.stored for cost in costs.values() if cost)  # each passes through the driver
    number = {"float32": 4, "float16": 2}[config.embed.dtype]
    return Forecast(
        pictures=todo.pictures,
        contents=contents,
        rows=rows,
        bytes=rows * (dim * number + VECTOR_ROW)
        + todo.to_open * (CATALOG_ROW + CONTENTS_ROW)
        + (COMMITS + kept) * bool(rows or todo.to_open),
        seconds=seconds,
        gpu_hours=workers.actors * workers.gpus * seconds["embed"] / 3600,
        cpu_hours=hours * workers.cpus,
        driver_bytes=contents * DRIVER_CONTENT + kept,
        analyses=costs,
    )


def wanted_rows(config: Config, contents: int, labels: int) -> int:
    """Count the vectors that a collection wants: clean of all, noise of all or of a sample."""
    noisy = contents
    if contents > config.embed.noise_all_below:
        noisy = min(contents, config.embed.noise_per_class * max(1, labels))
    return contents + noisy * len(config.embed.levels)


def _collect(todo: ToDo, rates: Rates, workers: Workers) -> float:
    """A few pictures are opened one after the other, many by every core."""
    at_once = 1.0 if todo.to_open <= FEW else workers.cpus
    return todo.seconds + todo.to_open * rates.open_s / at_once


def _embed(rows: int, decoded: int, rates: Rates, workers: Workers) -> float:
    """On CPUs decoding and encoding share the cores; beside a GPU the slower of the two counts."""
    # The first run of an encoder starts a worker to choose the batch shape, before the actors.
    start = rates.start_s * (2 if rates.choose_s else 1) + rates.choose_s
    decoding = decoded * rates.decode_s / workers.cpus
    if workers.gpus:
        return start + max(decoding, rows * rates.vector_s / workers.actors)
    busy = workers.actors * workers.threads
    share = max(1.0, busy / workers.cpus)  # more threads than cores take turns
    return start + decoding + rows * rates.vector_s * share / workers.actors


def _measure(costs: Mapping[str, Cost | None], rates: Rates, workers: Workers) -> float:
    return rates.task_s + sum(cost.seconds for cost in costs.values() if cost) / workers.cpus
