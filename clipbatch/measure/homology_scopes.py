"""What homology is asked of: the whole collection and every class, at which noise levels."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.errors import ConfigError
from clipbatch.measure import repeats
from clipbatch.measure.base import Contents
from clipbatch.measure.repeats import CLEAN, Groups

LEAST: Final = 10  # points; a smaller cloud has hardly a loop


@dataclass(frozen=True)
class HomologyParams:
    """Which clouds, how often, how large.

    Attributes:
        sample: points of a subsample of the whole collection; at most half of it.
        class_sample: points of a subsample of a class: half of the smallest class, at most this
            many; 0 leaves the classes out.
        min_class: smaller classes are not answerable, and do not set the size for the others.
        repeats: how often the subsamples are drawn again.
        maxdim: 0 for components (H0), 1 for loops (H1) too.
        levels: noise levels to compare with clean; empty takes all there are.
        distances: whether bottleneck and Wasserstein distances are computed.
        memory_gb: for one unit; more is refused with the estimate.
        limit_s: likewise, seconds of one core.
    """

    sample: int = 400
    class_sample: int = 100
    min_class: int = 20
    repeats: int = 20
    maxdim: int = 1
    levels: tuple[float, ...] = ()
    distances: bool = True
    memory_gb: float = 4.0
    limit_s: float = 600.0

    def __post_init__(self) -> None:
        least = {"sample": LEAST, "class_sample": 0, "min_class": 2 * LEAST, "repeats": 2}
        for name, bound in least.items():
            if (got := getattr(self, name)) < bound:
                raise ConfigError(f"measure.homology.{name}: got {got}, expected {bound} or more")
        if 0 < self.class_sample < LEAST:
            raise ConfigError(
                f"measure.homology.class_sample: got {self.class_sample}, expected 0 (no classes) "
                f"or {LEAST} and more"
            )
        if self.maxdim not in (0, 1):
            raise ConfigError(f"measure.homology.maxdim: got {self.maxdim}, expected 0 or 1")
        for name in ("memory_gb", "limit_s"):
            if (got := getattr(self, name)) <= 0:
                raise ConfigError(f"measure.homology.{name}: got {got}, expected above 0")
        if any(level <= 0 for level in self.levels):
            raise ConfigError(
                f"measure.homology.levels: got {list(self.levels)}, expected noise levels above 0"
            )


def variants_of(contents: Contents, params: HomologyParams) -> tuple[int, ...]:
    """Return the noisy variants that are asked for and exist, ascending."""
    there = {v for v, has in contents.variants.items() if v != CLEAN and has.any()}
    asked = {round(1000 * level) for level in params.levels} or there
    return tuple(sorted(there & asked))


@dataclass(frozen=True)
class Scope:
    """A set of contents that diagrams are drawn from.

    Attributes:
        key: "whole" or "class=corn".
        rows: positions of its contents; every one has all variants.
        size: points of a subsample; two disjoint ones are drawn.
    """

    key: str
    rows: NDArray[np.int64]
    size: int


def scopes_of(contents: Contents, params: HomologyParams) -> tuple[list[Scope], Groups]:
    """Return the whole collection and each class that is large enough; and which are not.

    Only contents that have every variant are drawn: clean and noisy must show the same ones.
    """
    usable = contents.variants[CLEAN].copy()
    for variant in variants_of(contents, params):
        usable &= contents.variants[variant]
    whole = np.flatnonzero(usable)
    groups = repeats.groups_of(contents, usable, params.class_sample, params.min_class)
    scopes = [Scope("whole", whole, min(params.sample, len(whole) // 2))]
    if groups.half:
        scopes += [
            Scope(f"class={name}", rows, groups.half)
            for name, rows in zip(groups.names, groups.rows, strict=True)
        ]
    return [scope for scope in scopes if scope.size >= LEAST], groups


def left_out(contents: Contents, params: HomologyParams) -> list[str]:
    """Say which levels are missing and how many contents were not drawn."""
    notes = []
    variants = variants_of(contents, params)
    without = {round(1000 * level): level for level in params.levels}
    if missing := [level for v, level in without.items() if v not in variants]:
        notes.append(f"no vectors at noise levels {', '.join(f'{m:g}' for m in missing)}")
    everywhere = np.all([contents.variants[v] for v in (CLEAN, *variants)], axis=0)
    if count := int(len(contents) - everywhere.sum()):
        notes.append(
            f"{count} of {len(contents)} contents lack a variant (noise may be a sample) and were "
            "not drawn, from clean either"
        )
    return notes
