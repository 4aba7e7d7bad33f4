"""Are the pictures that came since the last good night like those that were there before?

Compared class by class, in the vectors and in facts of the decode: a camera gone blurry, a dark
batch, a broken resize or another domain shows in the new pictures long before it shows in all.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.errors import ConfigError
from clipbatch.measure import arrivals_finding, arrivals_looks, pairs
from clipbatch.measure.arrivals_finding import Settings
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
from clipbatch.measure.repeats import CLEAN, one_thread

KEY: Final = "new against old"
_ASSUMED_DIM: Final = 2048  # for the estimate only: plans do not see vectors


@dataclass(frozen=True)
class ArrivalsParams:
    """How new pictures are compared, and which difference matters.

    Attributes:
        sample: new and old contents at most, each those of the smallest seeded hash.
        min_new: new contents, copies of each other counted once, that an answer needs.
        min_class: old contents that a class must have to be compared by itself.
        neighbours: nearest old contents that novelty is the mean distance to.
        copy_cosine: contents this similar are copies.
        effect: chance that a new content lies beyond an old one, from which on it counts.
        outside: share of new contents beyond almost all old ones, from which on it counts.
        alpha: corrected p-value up to which a difference is no chance.
        bootstraps: draws behind an interval.
        permutations: of old and new within each class, for p-values and controls.
    """

    sample: int = 1500
    min_new: int = 8
    min_class: int = 10
    neighbours: int = 5
    copy_cosine: float = 0.98
    effect: float = 0.75
    outside: float = 0.1
    alpha: float = 0.01
    bootstraps: int = 500
    permutations: int = 1999

    def __post_init__(self) -> None:
        least = {"sample": 50, "min_new": 4, "min_class": 4, "neighbours": 1}
        least |= {"bootstraps": 2, "permutations": 19}
        for name, bound in least.items():
            if (got := getattr(self, name)) < bound:
                raise ConfigError(f"measure.arrivals.{name}: got {got}, expected {bound} or more")
        for name in ("copy_cosine", "outside", "alpha"):
            if not 0.0 < (share := getattr(self, name)) <= 1.0:
                raise ConfigError(f"measure.arrivals.{name}: got {share}, expected above 0, to 1")
        if not 0.5 <= self.effect < 1.0:
            raise ConfigError(
                f"measure.arrivals.effect: got {self.effect}, expected 0.5 to less than 1"
            )

    @property
    def settings(self) -> Settings:
        """What the finding is told by."""
        return Settings(self.effect, self.outside, self.alpha, self.min_new)


def plan(contents: Contents, params: ArrivalsParams) -> list[Unit]:
    """Ask for the new contents and a sample of the old ones of the same classes."""
    if contents.new is None:
        return []
    stratum = _strata(contents, contents.new, params.min_class)
    sides = [np.flatnonzero((stratum >= 0) & side) for side in (contents.new, ~contents.new)]
    if len(sides[0]) < params.min_new:
        return []
    rows = np.sort(np.concatenate([_sample(contents, side, params.sample) for side in sides]))
    unit = Unit(
        key=KEY,
        rows=rows,
        arguments={
            "new": contents.new[rows],
            "stratum": stratum[rows],
            "facts": arrivals_looks.facts(contents.facts, rows),
        },
        memory=8 * len(rows) * (_ASSUMED_DIM + 2 * len(rows) + params.permutations),
    )
    return [unit]


def _strata(contents: Contents, new: NDArray[np.bool_], least: int) -> NDArray[np.int64]:
    """Return the class each content is compared within, (N,).

    Small classes, and contents without a label, are one together; -1 where even that has fewer
    than ``least`` old contents.
    """
    label = contents.label.astype(np.int64)
    width = len(contents.label_names)
    label[label < 0] = width
    old = np.bincount(label[~new], minlength=width + 1)
    label[old[label] < least] = width
    if (~new & (label == width)).sum() < least:
        label[label == width] = -1
    return label


def _sample(contents: Contents, rows: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    ids = contents.content_id[rows].tolist()
    return rows[seeds.sample(contents.seed, "arrivals", ids, size)]


def compute(inputs: Inputs, unit: Unit, params: ArrivalsParams) -> Result:
    """Count copies among the new ones once, and compare what is left with the old ones."""
    vectors = inputs.vectors[CLEAN]
    check_vectors(vectors)
    new, stratum, facts = (unit.arguments[name] for name in ("new", "stratum", "facts"))
    x = pairs.directions(vectors)
    with one_thread():
        kept = arrivals_looks.once(x, new, params.copy_cosine)
        told: dict[str, NDArray[np.generic]] = {"rows": unit.rows[kept], "new": new[kept]}
        if new[kept].sum() < params.min_new:
            return told
        world = arrivals_looks.World(x[kept], new[kept], stratum[kept])
        rng = seeds.generator(inputs.seed, "arrivals")
        looks = [
            arrivals_looks.novelty(world, params.neighbours, params.copy_cosine),
            *arrivals_looks.looks(facts[kept], stratum[kept]),
        ]
        draws = (params.bootstraps, params.permutations)
        for look, answer in zip(
            looks, arrivals_looks.compare(world, looks, draws, rng), strict=True
        ):
            told |= {f"{look.name} {part}": value.round(9) for part, value in answer.items()}
    return told


def combine(contents: Contents, results: Results, params: ArrivalsParams) -> Finding:
    """Correct for the number of comparisons, and tell."""
    return arrivals_finding.tell(contents, results.get(KEY), params.settings)


def cost(size: Size, params: ArrivalsParams) -> Cost:
    """Tell what one comparison of full samples takes; measured on one core."""
    n = min(size.contents, 2 * params.sample)
    memory = 8 * n * (size.dim + 2 * n + params.permutations)
    return Cost(memory, 1e-7 * n * params.permutations + 1e-10 * n * n * size.dim)


ANALYSIS: Final = Analysis(
    name="arrivals",
    version=1,
    params=ArrivalsParams,
    plan=plan,
    compute=compute,
    combine=combine,
    cost=cost,
    reads_new=True,
)
