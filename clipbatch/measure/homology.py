"""Does the cloud of vectors have components and loops that persist, and does noise change them?

Every unit draws two disjoint subsamples of the whole collection or of one class, builds the
persistence diagrams of the first, clean and at every noise level, of the second, clean, and of a
featureless cloud like both, and measures the distances among them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.errors import ConfigError, UnitFailed
from clipbatch.measure import diagrams, homology_finding, repeats
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
from clipbatch.measure.homology_summary import AGAIN, METRICS, NULL, Summary, pairs_of
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


def plan(contents: Contents, params: HomologyParams) -> list[Unit]:
    """Cut the work into one unit a scope and repeat.

    Raises:
        UnitFailed: a unit would not fit ``memory_gb`` or ``limit_s``.
    """
    scopes, _ = scopes_of(contents, params)
    variants = variants_of(contents, params)
    units = []
    for scope in scopes:
        pairs = len(pairs_of(variants)) if params.distances else 0
        dims = params.maxdim + 1
        memory, seconds = diagrams.estimate(scope.size, 3 + len(variants), dims, pairs)
        if memory > params.memory_gb * 1e9 or seconds > params.limit_s:
            raise UnitFailed(
                f"homology: one unit over {scope.size} points needs about {memory / 1e9:.1f} GB "
                f"and {seconds:.0f} s, got limits of {params.memory_gb:g} GB and "
                f"{params.limit_s:g} s; lower measure.homology.sample or class_sample, or raise "
                "memory_gb or limit_s"
            )
        for repeat in range(params.repeats):
            key = f"{scope.key};repeat={repeat}"
            rows = repeats.draw(contents, scope.rows, f"homology {repeat}", 2 * scope.size)
            units.append(Unit(key, rows, (CLEAN, *variants), memory=memory))
    return units


def compute(inputs: Inputs, unit: Unit, params: HomologyParams) -> Result:
    """Answer one unit: its diagrams, and the distances among them.

    Returns:
        "h<dimension> <cloud>": (B, 2) float32 births and deaths, clouds named as in ``pairs_of``;
        "bottleneck" and "wasserstein": (pairs, dimensions) float64; "unit_length": bool.
    """
    for vectors in inputs.vectors.values():
        check_vectors(vectors)
    size = len(unit.rows) // 2
    noisy = [variant for variant in unit.variants if variant != CLEAN]
    clean = inputs.vectors[CLEAN]
    with repeats.one_thread():
        generator = seeds.generator(inputs.seed, "featureless")
        clouds: dict[str, NDArray[Any]] = {
            str(v): inputs.vectors[v][:size] for v in (CLEAN, *noisy)
        }
        clouds[AGAIN] = clean[size:]
        clouds[NULL] = diagrams.featureless(clean, size, generator)
        found = {
            name: diagrams.persistence(diagrams.distances(cloud), params.maxdim)
            for name, cloud in clouds.items()
        }
        result: dict[str, NDArray[Any]] = {"unit_length": np.array(diagrams.is_unit(clean))}
        if params.distances:
            result |= _distances(found, noisy)
    for name, by_dim in found.items():
        for dim, diagram in enumerate(by_dim):
            result[f"h{dim} {name}"] = diagram.astype(np.float32)
    return result


def _distances(
    found: Mapping[str, list[diagrams.Diagram]], noisy: list[int]
) -> dict[str, NDArray[np.float64]]:
    metrics = {"bottleneck": diagrams.bottleneck, "wasserstein": diagrams.wasserstein}
    return {
        name: np.array(
            [
                [metrics[name](one, other) for one, other in zip(found[a], found[b], strict=True)]
                for a, b in pairs_of(noisy)
            ]
        )
        for name in METRICS
    }


def combine(contents: Contents, results: Results, params: HomologyParams) -> Finding:
    """Join the repeats of every scope."""
    scopes, groups = scopes_of(contents, params)
    variants = variants_of(contents, params)
    summaries = {
        scope.key: Summary(
            scope.key.removeprefix("class="),
            scope.size,
            variants,
            tuple(results[f"{scope.key};repeat={r}"] for r in range(params.repeats)),
        )
        for scope in scopes
    }
    whole = summaries.pop("whole", None)
    notes = repeats.left_out(groups, params.min_class) if params.class_sample else ()
    return homology_finding.tell(
        whole,
        list(summaries.values()),
        (range(params.maxdim + 1), variants),
        (*notes, *_left_out(contents, params)),
    )


def _left_out(contents: Contents, params: HomologyParams) -> list[str]:
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


ANALYSIS: Final = Analysis(
    name="homology",
    version=1,
    params=HomologyParams,
    plan=plan,
    compute=compute,
    combine=combine,
    names_positions=False,
)
