"""Which classes vary along the same directions? Principal angles between class subspaces.

Every subspace is spanned by the same number of contents and has the same dimension, so that pairs
of classes, the two halves of one class (the floor) and shuffled labels (the control) compare.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.errors import ConfigError, UnitFailed
from clipbatch.measure import angles_finding, angles_unit, repeats, subspaces
from clipbatch.measure.angles_summary import Summary
from clipbatch.measure.base import (
    Analysis,
    Contents,
    Finding,
    Inputs,
    NextRound,
    Result,
    Results,
    Unit,
    check_vectors,
)
from clipbatch.measure.cost import Cost, Size
from clipbatch.measure.repeats import CLEAN, Groups

CLASSES: Final = 64  # whose dimension one unit tells
EVIDENCE_ROWS: Final = 500  # contents of a class searched for them
ASSUMED_DIM: Final = 2048  # for the estimate only: plan does not see vectors
ASSUMED_K: Final = 16
UNIT_S: Final = 0.5  # a unit takes about this long, so that starting it and reading cost little


@dataclass(frozen=True)
class AnglesParams:
    """How class subspaces are built and compared.

    Attributes:
        k: dimension of every subspace; 0 takes the median over classes of the smallest number of
            principal directions that hold ``share`` of a class's variance. Either way at most
            half - 1 and half the vectors' length.
        share: (0, 1].
        half: contents that span a subspace: half of the smallest class, at most this many.
        min_class: smaller classes are left out and counted.
        repeats: how often the contents are drawn again.
        shown: closest pairs of classes in the tables.
        evidence: of these, with thumbnails.
        memory_gb: for one unit.
    """

    k: int = 0
    share: float = 0.5
    half: int = 100
    min_class: int = 20
    repeats: int = 20
    shown: int = 12
    evidence: int = 4
    memory_gb: float = 4.0

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ConfigError(f"measure.angles.share: got {self.share}, expected above 0, to 1")
        least = {"k": 0, "half": 2, "min_class": 4, "repeats": 2, "shown": 1, "evidence": 0}
        for name, bound in least.items():
            if (got := getattr(self, name)) < bound:
                raise ConfigError(f"measure.angles.{name}: got {got}, expected {bound} or more")
        if self.memory_gb <= 0:
            raise ConfigError(
                f"measure.angles.memory_gb: got {self.memory_gb}, expected a number above 0"
            )


def groups_of(contents: Contents, params: AnglesParams) -> Groups:
    """Choose the classes that are large enough, and the common size of their halves."""
    return repeats.groups_of(contents, contents.variants[CLEAN], params.half, params.min_class)


def plan(contents: Contents, params: AnglesParams) -> list[Unit]:
    """Ask every class how many directions it needs.

    Raises:
        UnitFailed: a later unit would not fit ``memory_gb``.
    """
    groups = groups_of(contents, params)
    if len(groups.names) < 2:
        return []
    needed = estimate(len(groups.names), groups.half, params.k or ASSUMED_K)
    if needed > params.memory_gb * 1e9:
        raise UnitFailed(
            f"angles: one repeat over {len(groups.names)} classes needs about "
            f"{needed / 1e9:.1f} GB, got a limit of {params.memory_gb:g} GB; lower "
            "measure.angles.half or k, or raise memory_gb"
        )
    return [
        Unit(
            key,
            np.concatenate(
                [repeats.draw(contents, groups.rows[c], "angles 0", groups.half) for c in block]
            ),
            arguments={"half": groups.half},
        )
        for key, block in _class_blocks(groups)
    ]


def _class_blocks(groups: Groups) -> list[tuple[str, range]]:
    """Name the units of the first round and say which classes each holds."""
    count = len(groups.names)
    blocks = [range(at, min(at + CLASSES, count)) for at in range(0, count, CLASSES)]
    return [(f"classes={block[0]}-{block[-1]}", block) for block in blocks]


def estimate(classes: int, half: int, k: int) -> int:
    """Bytes a repeat holds: vectors and their shuffle, bases, products of bases."""
    vectors = 2 * classes * 2 * half * ASSUMED_DIM * 4
    bases = 2 * classes * 2 * ASSUMED_DIM * k * 8
    return vectors + bases + 2 * (classes * k) ** 2 * 8


def compute(inputs: Inputs, unit: Unit, params: AnglesParams) -> Result:
    """Answer one unit: dimensions of classes, angles of repeats, or the evidence of a pair."""
    vectors = inputs.vectors[CLEAN]
    check_vectors(vectors)
    with repeats.one_thread():
        if unit.key.startswith("classes="):
            samples = vectors.reshape(-1, int(unit.arguments["half"]), vectors.shape[1])
            return {
                "needed": np.array([subspaces.dimension(one, params.share) for one in samples]),
                "dim": np.array(vectors.shape[1]),
            }
        if unit.key.startswith("repeats="):
            return angles_unit.compare(vectors, unit.arguments)
        return angles_unit.nearest(inputs, unit.arguments)


def combine(contents: Contents, results: Results, params: AnglesParams) -> Finding | NextRound:
    """Choose k, then compare all classes, then find evidence for the closest pairs, then tell."""
    groups = groups_of(contents, params)
    notes = repeats.left_out(groups, params.min_class)
    if len(groups.names) < 2:
        why = f"two classes of {params.min_class} contents are needed, got {len(groups.names)}"
        return angles_finding.unanswerable(why, notes)
    k = common_dimension(groups, results, params)
    if k < 1:
        return angles_finding.unanswerable("no class varies in a direction of its own", notes)
    dim = int(results[_class_blocks(groups)[0][0]]["dim"])
    blocks = _blocks(params.repeats, seconds(len(groups.names), groups.half, k, dim))
    if missing := {key: block for key, block in blocks.items() if key not in results}:
        return NextRound(
            [_block_unit(contents, groups, key, block, k) for key, block in missing.items()]
        )
    found = [
        repeats.only(results[key], f"{repeat} ")
        for key, block in blocks.items()
        for repeat in block
    ]
    summary = Summary.of(groups, found)
    if len(summary.names) < 2:
        return angles_finding.unanswerable(f"fewer than two classes span {k} directions", notes)
    pairs = [summary.pair(i) for i in summary.closest("affine")[: params.evidence]]
    units = _evidence_units(contents, groups, pairs, k)
    if missing_evidence := [unit for unit in units if unit.key not in results]:
        return NextRound(missing_evidence)
    nearest = [results[unit.key] for unit in units]
    return angles_finding.tell(summary, params.shown, notes, list(zip(pairs, nearest, strict=True)))


def common_dimension(groups: Groups, results: Results, params: AnglesParams) -> int:
    """Choose one dimension for all classes; 0 where the question has no answer."""
    answers = [results[key] for key, _ in _class_blocks(groups)]
    needed = sorted(n for n in np.concatenate([a["needed"] for a in answers]).tolist() if n > 0)
    if not needed:
        return 0
    # Two subspaces of more than half the dimensions always meet: their smallest angle is 0.
    cap = min(groups.half - 1, int(answers[0]["dim"]) // 2)
    return min(params.k or needed[(len(needed) - 1) // 2], cap)


def _blocks(repeats: int, seconds: float) -> dict[str, range]:
    """Name the units and say which repeats each holds; ``seconds`` is what one repeat takes."""
    step = min(repeats, max(1, round(UNIT_S / seconds)))
    blocks = [range(at, min(at + step, repeats)) for at in range(0, repeats, step)]
    return {f"repeats={block[0]}-{block[-1]}": block for block in blocks}


def _block_unit(contents: Contents, groups: Groups, key: str, block: range, k: int) -> Unit:
    drawn = np.stack([_drawn(contents, groups, repeat) for repeat in block])
    rows, places = np.unique(drawn, return_inverse=True)
    # Of the repeat and not of the unit, so that the cut does not change the answer.
    of_repeats = {str(r): seeds.derive(contents.seed, "angles", f"repeat={r}") for r in block}
    by_repeat = zip(of_repeats, places.reshape(drawn.shape), strict=True)
    return Unit(
        key,
        rows,
        arguments={"half": groups.half, "k": k, "seeds": of_repeats, "places": dict(by_repeat)},
        memory=estimate(len(groups.names), groups.half, k) + 4 * ASSUMED_DIM * len(rows),
    )


def _drawn(contents: Contents, groups: Groups, repeat: int) -> NDArray[np.int64]:
    return np.concatenate(
        [repeats.draw(contents, rows, f"angles {repeat}", 2 * groups.half) for rows in groups.rows]
    )


def _evidence_units(
    contents: Contents, groups: Groups, pairs: Sequence[tuple[str, str]], k: int
) -> list[Unit]:
    units = []
    rows = dict(zip(groups.names, groups.rows, strict=True))
    for a, b in pairs:
        drawn = [repeats.draw(contents, rows[name], "angles 0", EVIDENCE_ROWS) for name in (a, b)]
        arguments = {"first": len(drawn[0]), "k": k}
        units.append(Unit(f"pair={a!r},{b!r}", np.concatenate(drawn), arguments=arguments))
    return units


def seconds(classes: int, half: int, k: int, dim: int) -> float:
    """Tell what a repeat takes: a basis 3e-10 s for each half^2 D, a pair 1e-10 s for each D k^2.

    Both were timed on one core, with 40 contents of 1280 numbers and k = 10.
    """
    return 8 * classes * 3e-10 * half**2 * dim + classes**2 * 1e-10 * dim * k**2


def cost(size: Size, params: AnglesParams) -> Cost:
    """Tell what the repeats take; see ``seconds``."""
    half, k = size.half(params.half), params.k or ASSUMED_K
    once = seconds(size.classes, half, k, size.dim)
    return Cost(estimate(size.classes, half, k), params.repeats * once)


ANALYSIS: Final = Analysis(
    name="angles",
    version=2,
    params=AnglesParams,
    plan=plan,
    compute=compute,
    combine=combine,
    needs_labels=True,
    names_positions=False,
    cost=cost,
)
