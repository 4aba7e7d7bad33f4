"""Run an analysis in this process: the oracle that every other runner must agree with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure.base import Analysis, Contents, Finding, Inputs, NextRound, Result, Unit

Compute = Callable[[Analysis[Any], Sequence[Unit]], Mapping[str, Result]]


def inputs_for(
    analysis: Analysis[Any],
    unit: Unit,
    contents: Contents,
    vectors: Mapping[int, NDArray[np.float32]],
) -> Inputs:
    """Cut one unit's rows out of arrays that hold every content, variant -> (N, D)."""
    return Inputs(
        content_id=contents.content_id[unit.rows],
        label=labels_for(analysis, unit, contents),
        vectors={v: vectors[v][unit.rows] for v in unit.variants},
        seed=seeds.derive(contents.seed, analysis.name, unit.key),
    )


def labels_for(analysis: Analysis[Any], unit: Unit, contents: Contents) -> NDArray[np.int32]:
    """Return the labels of a unit's rows, or -1 where the analysis does not declare that it looks.

    So what was not fingerprinted cannot be seen either.
    """
    label = contents.label[unit.rows]
    return label if analysis.reads_labels else np.full_like(label, -1)


def with_needed(
    analysis: Analysis[Any], contents: Contents, vectors: Mapping[int, NDArray[np.float32]]
) -> Contents:
    """Answer what an analysis needs and does not have yet, by defaults."""
    from clipbatch.measure import ANALYSES

    needed = [a for a in ANALYSES if a.name in analysis.needs and a.name not in contents.found]
    found = {a.name: run(a, contents, vectors) for a in needed}
    return replace(contents, found={**contents.found, **found})


def run_rounds(
    analysis: Analysis[Any], contents: Contents, params: Any, compute: Compute
) -> Finding:
    """Plan, compute and combine until the analysis answers; ``compute`` runs a list of units."""
    results: dict[str, Result] = {}
    units = analysis.plan(contents, params)
    while True:
        results |= compute(analysis, units)
        answer = analysis.combine(contents, results, params)
        if not isinstance(answer, NextRound):
            return answer
        units = answer.units


def run(
    analysis: Analysis[Any],
    contents: Contents,
    vectors: Mapping[int, NDArray[np.float32]],
    params: Any = None,
) -> Finding:
    """Answer one analysis, unit after unit; what it needs is answered first, by defaults.

    Args:
        analysis: what to ask.
        contents: the collection.
        vectors: variant -> (N, D) float32, NaN rows where a vector does not exist.
        params: of ``analysis.params``; its defaults when None.
    """
    params = analysis.params() if params is None else params
    contents = with_needed(analysis, contents, vectors)

    def compute(analysis: Analysis[Any], units: Sequence[Unit]) -> Mapping[str, Result]:
        return {
            unit.key: analysis.compute(inputs_for(analysis, unit, contents, vectors), unit, params)
            for unit in units
        }

    return run_rounds(analysis, contents, params, compute)
