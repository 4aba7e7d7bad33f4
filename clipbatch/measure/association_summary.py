"""How far noise moves each class's diagram and what it takes from its accuracy, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure import rank_correlation
from clipbatch.measure.accuracy_summary import METHODS
from clipbatch.measure.accuracy_tables import lost_by_class
from clipbatch.measure.base import Finding
from clipbatch.measure.homology_summary import METRICS
from clipbatch.measure.homology_tables import paired_by_class

Array = NDArray[np.float64]

DIMS: Final = (0, 1)
HYPOTHESES: Final = tuple((m, d, k) for m in METHODS for d in METRICS for k in DIMS)
"""(method, metric, dimension of homology) of every correlation that is asked for."""
PRIMARY: Final = ("probe", "wasserstein", 0)  # chosen before any was looked at


@dataclass(frozen=True)
class Cells:
    """C classes at L noisy levels, for the H of ``HYPOTHESES``.

    Attributes:
        names: (C,) classes that both findings answer for.
        variants: (L,).
        moved: (H, L, C) from clean to noisy diagram; NaN where it was not computed.
        lost: (H, L, C) clean less noisy accuracy; NaN where the method did not answer.
        why_not: (H, L) why a level cannot be asked, "" where it can.
    """

    names: tuple[str, ...]
    variants: tuple[int, ...]
    moved: Array
    lost: Array
    why_not: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, homology: Finding, accuracy: Finding, min_classes: int, margin: float) -> "Cells":
        """Set the quantities of two findings side by side."""
        moved = {(d, k): paired_by_class(homology, d, k) for d in METRICS for k in DIMS}
        lost = {m: lost_by_class(accuracy, m) for m in METHODS}
        known = [table for table in (*moved.values(), *lost.values()) if table]
        variants = tuple(sorted({v for table in known for _, v in table}))
        names = tuple(sorted(_in_all(known, variants)))
        few = (
            f"{min_classes} classes that homology and accuracy both answer for are needed, got "
            f"{len(names)}"
        )

        def array(tables: list[dict[tuple[str, int], float]]) -> Array:
            cells = [[[t.get((n, v), np.nan) for n in names] for v in variants] for t in tables]
            return np.array(cells, np.float64).reshape(len(tables), len(variants), len(names))

        why_not = tuple(
            tuple(
                few
                if len(names) < min_classes
                else _unmoved(moved[metric, dim], v, dim) or _unlost(accuracy, method, v, margin)
                for v in variants
            )
            for method, metric, dim in HYPOTHESES
        )
        return cls(
            names=names,
            variants=variants,
            moved=array([moved[metric, dim] for _, metric, dim in HYPOTHESES]),
            lost=array([lost[method] for method, _, _ in HYPOTHESES]),
            why_not=why_not,
        )

    @property
    def asked(self) -> NDArray[np.bool_]:
        """Which levels can be asked, (H, L)."""
        shape = (len(HYPOTHESES), len(self.variants))
        return np.array([[not why for why in row] for row in self.why_not], bool).reshape(shape)


def _in_all(tables: list[dict[tuple[str, int], float]], variants: tuple[int, ...]) -> set[str]:
    names = {name for table in tables for name, _ in table}
    return {n for n in names if all((n, v) in table for table in tables for v in variants)}


def _unmoved(moved: Mapping[tuple[str, int], float], variant: int, dim: int) -> str:
    """Say why there are no distances, or none that differ."""
    values = [value for (_, v), value in moved.items() if v == variant]
    if not values:
        return "homology has no distances by class at this level"
    if len(set(values)) == 1:
        return f"the H{dim} diagrams of all classes move alike"
    return ""


def _unlost(accuracy: Finding, method: str, variant: int, margin: float) -> str:
    """Say why nothing can be read from what accuracy is lost."""
    numbers = {number.name: number for number in accuracy.numbers}
    wanted = [f"{method}_clean", f"{method}_{variant}", f"{method}_lost_{variant}", "chance"]
    found = [numbers.get(name) for name in wanted]
    clean, noisy, lost, chance = found
    if clean is None or noisy is None or lost is None or chance is None:
        return "accuracy was not asked at this level"
    if clean.value is None or noisy.value is None or lost.value is None or chance.value is None:
        return next(one.note for one in (clean, noisy, lost, chance) if one.value is None)
    least = chance.value + margin
    if (clean.low if clean.low is not None else clean.value) <= least:
        return f"clean accuracy {clean.value:.2f} is near chance, {chance.value:.2f}"
    if noisy.value <= least:
        return (
            f"accuracy {noisy.value:.2f} is near chance, {chance.value:.2f}: what is lost is the "
            "clean accuracy itself, whatever the noise did"
        )
    if (lost.low if lost.low is not None else lost.value) <= 0:
        return "no accuracy is lost beyond chance"
    values = [value for (_, v), value in lost_by_class(accuracy, method).items() if v == variant]
    return "all classes lose the same accuracy" if len(set(values)) == 1 else ""


@dataclass(frozen=True)
class Answer:
    """Rank correlations of the H of ``HYPOTHESES``; NaN where not answerable.

    Attributes:
        by_level: (H, L). rho: (H,) their mean.
        p: (H,) by permutation. corrected: (H,) for all that were asked.
        low, high: (H,) ends of the bootstrap's 95 % interval.
        detectable: (H,) what the size of rho exceeds by chance in 5 % of permutations.
        naive: (H,) of all levels' cells together, which the level confounds; of those that cannot
            be asked, too.
    """

    by_level: Array
    rho: Array
    p: Array
    corrected: Array
    low: Array
    high: Array
    detectable: Array
    naive: Array

    @classmethod
    def of(
        cls,
        cells: tuple[Array, Array, NDArray[np.bool_]],
        seed: int,
        draws: tuple[int, int],
    ) -> "Answer":
        """Correlate what can be asked.

        Args:
            cells: ``moved``, ``lost`` and ``asked`` of ``Cells``.
            seed: of all draws.
            draws: permutations and bootstrap draws.
        """
        moved, lost = (np.where(cells[2][..., None], side, np.nan) for side in cells[:2])
        rng = {purpose: seeds.generator(seed, purpose) for purpose in ("permute", "draw")}
        rho = rank_correlation.pooled(moved, lost)
        null = rank_correlation.permuted(moved, lost, rng["permute"], draws[0])
        p, corrected = rank_correlation.p_values(rho, null)
        drawn = rank_correlation.bootstrapped(moved, lost, rng["draw"], draws[1])
        low, high = rank_correlation.interval(drawn)
        return cls(
            by_level=rank_correlation.spearman(moved, lost),
            rho=rho,
            p=p,
            corrected=corrected,
            low=low,
            high=high,
            detectable=np.quantile(np.abs(null), 0.95, axis=0),
            naive=rank_correlation.naive(cells[0], cells[1]),
        )
