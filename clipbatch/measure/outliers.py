"""Which pictures resemble nothing else in the collection, or nothing else in their class?

A picture is as far as the mean distance to its nearest neighbours. How far is too far is what a
structureless cloud of the same mean, covariance and size would show.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.errors import ConfigError
from clipbatch.measure import nearest, outliers_finding, outliers_null
from clipbatch.measure.base import (
    Analysis,
    Contents,
    Finding,
    Inputs,
    Result,
    Results,
    Unit,
    check_vectors,
)
from clipbatch.measure.cost import Cost, Size
from clipbatch.measure.outliers_story import Settings, Story
from clipbatch.measure.pairs import directions
from clipbatch.measure.repeats import CLEAN, one_thread

LEAST: Final = 30  # contents; a cloud of fewer has no covariance worth the name
CHUNK: Final = 20_000  # points of a cloud in one unit
_ASSUMED_DIM: Final = 2048  # for the estimate only: plans do not see vectors


@dataclass(frozen=True)
class OutliersParams:
    """How far is too far.

    Attributes:
        neighbours: how many nearest contents the distance is the mean of.
        rate: share of a structureless cloud that lies as far, (0, 1).
        mads: how far from the median of its class an outlier of the class lies as well, in median
            absolute deviations scaled to a standard deviation.
        min_class: contents that a class must have for outliers within it to be looked for.
        sample: contents that mean and covariance are taken from, and points of a cloud that are
            measured.
        class_rows: contents of a class against which the class is measured.
        null_rows: points of a cloud at most; it is as large as the collection, up to this.
        table_rows: rows of an evidence table.
    """

    neighbours: int = 20
    rate: float = 0.001
    mads: float = 3.5
    min_class: int = LEAST
    sample: int = 4000
    class_rows: int = 4000
    null_rows: int = 200_000
    table_rows: int = 1000

    def __post_init__(self) -> None:
        least = {"neighbours": 1, "min_class": LEAST, "sample": LEAST, "class_rows": LEAST}
        least |= {"null_rows": LEAST, "table_rows": 0}
        for name, bound in least.items():
            if (got := getattr(self, name)) < bound:
                raise ConfigError(f"measure.outliers.{name}: got {got}, expected {bound} or more")
        if not 0.0 < self.rate < 1.0:
            raise ConfigError(f"measure.outliers.rate: got {self.rate}, expected between 0 and 1")
        if self.mads <= 0:
            raise ConfigError(f"measure.outliers.mads: got {self.mads}, expected a number above 0")


def plan(contents: Contents, params: OutliersParams) -> list[Unit]:
    """Ask for the cloud in chunks, and for every class alone; the graph knows the neighbours."""
    if len(contents) < LEAST:
        return []
    units = []
    rows = _sample(contents, np.arange(len(contents)), "moments", params.sample)
    size = min(len(contents), params.null_rows)
    chunks = -(-size // CHUNK)
    for chunk in range(chunks):
        points = size // chunks + (chunk < size % chunks)
        units.append(
            Unit(
                key=f"cloud;chunk={chunk};of={chunks}",
                rows=rows,
                arguments={"points": points, "seed": contents.seed},
                memory=(3 * len(rows) + 2 * points) * _ASSUMED_DIM * 8,
            )
        )
    for label in classes(contents, params):
        rows = np.flatnonzero(contents.label == label)
        rows = _sample(contents, rows, "class", len(rows))  # the references come first
        memory = (len(rows) + 4 * params.class_rows) * _ASSUMED_DIM * 12
        units.append(Unit(f"class={contents.label_names[label]}", rows, memory=memory))
    return units


def classes(contents: Contents, params: OutliersParams) -> list[int]:
    """Return the classes that are large enough to be looked at alone."""
    used, counts = np.unique(contents.label[contents.label >= 0], return_counts=True)
    large: list[int] = used[counts >= params.min_class].tolist()
    return large


def _sample(contents: Contents, rows: NDArray[np.int64], name: str, size: int) -> NDArray[np.int64]:
    ids = contents.content_id[rows].tolist()
    return rows[seeds.sample(contents.seed, f"outliers {name}", ids, size)]


def compute(inputs: Inputs, unit: Unit, params: OutliersParams) -> Result:
    """Answer one unit: a chunk of the cloud, or a class with a cloud of its own."""
    vectors = inputs.vectors[CLEAN]
    check_vectors(vectors)
    x = directions(vectors)
    with one_thread():
        if unit.key.startswith("cloud;"):
            queries = outliers_null.cloud(
                x, params.sample, seeds.generator(unit.arguments["seed"], "outliers", "queries")
            )
            rng = seeds.generator(inputs.seed, "points")
            points = outliers_null.cloud(x, int(unit.arguments["points"]), rng)
            return {"distance": outliers_null.nearest(queries, points, params.neighbours)}
        return _class(x, inputs.seed, params)


def _class(x: NDArray[np.float32], seed: int, params: OutliersParams) -> Result:
    """Measure a class against its references, and a cloud of the same size against itself."""
    references = x[: params.class_rows]
    size, k = len(references), min(params.neighbours, len(references) - 1)
    drawn = outliers_null.cloud(references, 2 * size, seeds.generator(seed, "cloud"))
    far = outliers_null.nearest(drawn[size:], drawn[:size], k)
    return {
        "distance": outliers_null.nearest(x, references, k, among=size).mean(axis=1),
        "cloud": far.mean(axis=1),
    }


def combine(contents: Contents, results: Results, params: OutliersParams) -> Finding:
    """Join neighbours, cloud and classes, and tell."""
    if len(contents) < LEAST:
        why = f"the collection has {len(contents)} contents, and {LEAST} are needed"
        return outliers_finding.unanswerable(contents, why)
    near = nearest.of(contents, params.neighbours)
    chunks = [r["distance"] for key, r in results.items() if key.startswith("cloud;")]
    cloud = np.sort(np.concatenate(chunks, axis=1), axis=1)[:, : params.neighbours]
    by_class = {}
    for label in classes(contents, params):
        rows = np.flatnonzero(contents.label == label)
        rows = _sample(contents, rows, "class", len(rows))
        by_class[label] = (rows, results[f"class={contents.label_names[label]}"])
    settings = Settings(
        params.rate, params.neighbours, params.table_rows, params.null_rows, params.mads
    )
    story = Story(contents, near, cloud.mean(axis=1), by_class, settings)
    return outliers_finding.tell(story)


def cost(size: Size, params: OutliersParams) -> Cost:
    """Tell what the clouds take; products of 1280-d rows took 5e-11 s a number on one core."""
    points = min(size.contents, params.null_rows)
    sample, within = min(params.sample, size.contents), min(params.class_rows, size.contents)
    drawn = sample * points + size.classes * within * within
    measured = sample * points + 2 * size.contents * within * (size.classes > 0)
    cloud = (3 * sample + 2 * min(points, CHUNK)) * 8
    inside = (size.contents // size.classes + 4 * params.class_rows) * 12 if size.classes else 0
    seconds = 5e-11 * (drawn + measured) * size.dim
    stored = size.contents * 24 + -(-points // CHUNK) * sample * params.neighbours * 8
    return Cost(max(cloud, inside) * size.dim, seconds, stored)


ANALYSIS: Final = Analysis(
    name="outliers",
    version=1,
    params=OutliersParams,
    plan=plan,
    compute=compute,
    combine=combine,
    needs=(nearest.GRAPH,),
    cost=cost,
    graph=lambda params: params.neighbours,
)
