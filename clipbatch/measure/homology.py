"""Does the cloud of vectors have components and loops that persist, and does noise change them?

Every repeat draws two disjoint subsamples of the whole collection or of one class, builds the
persistence diagrams of the first, clean and at every noise level, of the second, clean, and of a
featureless cloud like both, and measures the distances among them.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.errors import UnitFailed
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
from clipbatch.measure.cost import Cost, Size
from clipbatch.measure.homology_scopes import (
    HomologyParams,
    Scope,
    left_out,
    scopes_of,
    variants_of,
)
from clipbatch.measure.homology_summary import AGAIN, METRICS, NULL, Summary, pairs_of
from clipbatch.measure.repeats import CLEAN

SMALL: Final = 100  # points; up to here all repeats of a scope are one unit


def plan(contents: Contents, params: HomologyParams) -> list[Unit]:
    """Cut the work into units of some 0.1 to 3 seconds: repeats of one scope.

    Raises:
        UnitFailed: a repeat would not fit ``memory_gb`` or ``limit_s``.
    """
    scopes, _ = scopes_of(contents, params)
    variants = (CLEAN, *variants_of(contents, params))
    pairs = len(pairs_of(variants[1:])) if params.distances else 0
    units = []
    for scope in scopes:
        memory, seconds = diagrams.estimate(scope.size, len(variants) + 2, params.maxdim + 1, pairs)
        if memory > params.memory_gb * 1e9 or seconds > params.limit_s:
            raise UnitFailed(
                f"homology: one repeat over {scope.size} points needs about {memory / 1e9:.1f} GB "
                f"and {seconds:.0f} s, got limits of {params.memory_gb:g} GB and "
                f"{params.limit_s:g} s; lower measure.homology.sample or class_sample, or raise "
                "memory_gb or limit_s"
            )
        for key, block in _blocks(scope, params.repeats):
            drawn = np.stack(
                [
                    repeats.draw(contents, scope.rows, f"homology {repeat}", 2 * scope.size)
                    for repeat in block
                ]
            )
            rows, places = np.unique(drawn, return_inverse=True)
            arguments = {"first": block.start, "places": places.reshape(drawn.shape)}
            units.append(Unit(key, rows, variants, arguments, memory))
    return units


def _blocks(scope: Scope, repeats: int) -> list[tuple[str, range]]:
    """Name the units of a scope and say which repeats each holds."""
    step = repeats if scope.size <= SMALL else 1
    blocks = [range(start, start + step) for start in range(0, repeats, step)]
    return [(f"{scope.key};repeats={block[0]}-{block[-1]}", block) for block in blocks]


def compute(inputs: Inputs, unit: Unit, params: HomologyParams) -> Result:
    """Answer one unit: the diagrams of its repeats, and the distances among them.

    Returns:
        Under "<repeat> ": "h<dimension> <cloud>", (B, 2) float32 births and deaths, clouds named
        as in ``pairs_of``; "scale <cloud>", the median distance between its points; "bottleneck"
        and "wasserstein", (pairs, dimensions) float64; "unit_length", bool.
    """
    for vectors in inputs.vectors.values():
        check_vectors(vectors)
    result: dict[str, NDArray[Any]] = {}
    with repeats.one_thread():
        for repeat, places in enumerate(unit.arguments["places"], unit.arguments["first"]):
            drawn = {v: inputs.vectors[v][places] for v in unit.variants}
            generator = seeds.generator(inputs.seed, "featureless", repeat)
            answer = _repeat(drawn, params, generator)
            result |= {f"{repeat} {name}": array for name, array in answer.items()}
    return result


def _repeat(
    drawn: Mapping[int, NDArray[np.float32]],
    params: HomologyParams,
    generator: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    """Build and compare the diagrams of one draw: variant -> (2 size, D)."""
    clean = drawn[CLEAN]
    size = len(clean) // 2
    clouds: dict[str, NDArray[Any]] = {str(v): vectors[:size] for v, vectors in drawn.items()}
    clouds[AGAIN] = clean[size:]
    clouds[NULL] = diagrams.featureless(clean, size, generator)
    result: dict[str, NDArray[Any]] = {"unit_length": np.array(diagrams.is_unit(clean))}
    found = {}
    for name, cloud in clouds.items():
        matrix = diagrams.distances(cloud)
        found[name] = diagrams.persistence(matrix, params.maxdim)
        result[f"scale {name}"] = np.array(np.median(matrix[np.triu_indices(size, 1)]))
    if params.distances:
        metrics = {"bottleneck": diagrams.bottleneck, "wasserstein": diagrams.wasserstein}
        pairs = pairs_of([v for v in drawn if v != CLEAN])
        for name in METRICS:
            result[name] = np.array(
                [[*map(metrics[name], found[a], found[b])] for a, b in pairs], np.float64
            )
    for name, by_dim in found.items():
        for dim, diagram in enumerate(by_dim):
            result[f"h{dim} {name}"] = diagram.astype(np.float32)
    return result


def combine(contents: Contents, results: Results, params: HomologyParams) -> Finding:
    """Join the repeats of every scope."""
    scopes, groups = scopes_of(contents, params)
    variants = variants_of(contents, params)
    summaries = {}
    for scope in scopes:
        found = []
        for key, block in _blocks(scope, params.repeats):
            found += [repeats.only(results[key], f"{repeat} ") for repeat in block]
        name = scope.key.removeprefix("class=")
        summaries[scope.key] = Summary(name, scope.size, variants, tuple(found))
    whole = summaries.pop("whole", None)
    notes = repeats.left_out(groups, params.min_class) if params.class_sample else ()
    return homology_finding.tell(
        whole,
        list(summaries.values()),
        (range(params.maxdim + 1), variants),
        (*notes, *left_out(contents, params)),
    )


def cost(size: Size, params: HomologyParams) -> Cost:
    """Tell what the diagrams of all scopes and repeats take; see ``diagrams.estimate``."""
    noisy = min(size.noisy, len(params.levels) or size.noisy)
    compared = len(pairs_of(range(noisy))) if params.distances else 0
    memory, seconds, stored = 0, 0.0, 0
    whole, classes = min(params.sample, size.contents // 2), size.half(params.class_sample)
    for scopes, points in ((1, whole), (size.classes, classes)):
        bytes_, once = diagrams.estimate(points, noisy + 3, params.maxdim + 1, compared)
        memory, seconds = max(memory, bytes_), seconds + scopes * params.repeats * once
        # A diagram has some 1.4 bars a point, two float32 each, and a header.
        stored += scopes * params.repeats * (noisy + 3) * (11 * points + 800)
    return Cost(memory, seconds, stored)


ANALYSIS: Final = Analysis(
    name="homology",
    version=2,
    params=HomologyParams,
    plan=plan,
    compute=compute,
    combine=combine,
    names_positions=False,
    cost=cost,
)
