"""The contract of an analysis: arrays in, a small finding out; no engine, no table, no path.

An analysis cuts its question into units (``plan``), answers each alone (``compute``) and joins the
answers (``combine``), which may ask for another round of units. Runners (``serial`` here,
``clipbatch.runtime.measure`` on Ray) hand every unit only the rows and variants it asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure.cost import Cost, Size

P = TypeVar("P")

Result = Mapping[str, NDArray[Any]]
"""A unit's answer: named arrays (scalars as 0-d), never objects, so it stores without pickle."""


@dataclass(frozen=True)
class Contents:
    """The N distinct contents of a run and the M images that hold them; no vectors.

    Sorted by content_id, so that no answer can depend on the order of rows in a table.

    Attributes:
        content_id: (N,) str, ascending.
        label: (N,) int32 index into label_names; -1 where there is none, several, or the images
            of this content disagree.
        label_names: sorted.
        variants: variant -> (N,) bool, whether the vector exists (noise may be a sample).
        image_content: (M,) int64, which content each image holds; images sorted by uri.
        image_uri: (M,) str.
        image_label: (M,) int32 index into label_names, -1 where none.
        image_split: (M,) int32 index into split_names, -1 where none.
        split_names: sorted.
        facts: facts of the decode, name -> (N,) array (see schema.FACTS); thumbnail is (N, 32, 32)
            uint8.
        seed: the collection's.
        encoder: slug of the table the vectors come from.
        found: the findings that the analysis needs (``Analysis.needs``), by name.
        before: this analysis's finding of an earlier night, by the same parameters, where the
            analysis ``mends``. The answer may not depend on whether it is there.
        text: prompts -> (n, D) float32 by the run's encoder; raises NotImplementedError where that
            has no text tower. None where there is no encoder at hand. Loads weights when called,
            so it is for ``plan``; what comes of it travels in a unit's arguments. Only for an
            analysis that ``reads_text``.
        new: (N,) bool, contents that no picture of the baseline run held; None where there is no
            baseline, and for analyses that do not declare ``reads_new``.
    """

    content_id: NDArray[np.str_]
    label: NDArray[np.int32]
    label_names: tuple[str, ...]
    variants: Mapping[int, NDArray[np.bool_]]
    image_content: NDArray[np.int64]
    image_uri: NDArray[np.str_]
    image_label: NDArray[np.int32]
    image_split: NDArray[np.int32]
    split_names: tuple[str, ...]
    facts: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    seed: int = 0
    encoder: str = ""
    found: Mapping[str, "Finding"] = field(default_factory=dict)
    before: "Finding | None" = None
    text: Callable[[Sequence[str]], NDArray[np.float32]] | None = None
    new: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.content_id)


@dataclass(frozen=True)
class Unit:
    """One piece of work that can run anywhere, alone.

    Attributes:
        key: unique within the analysis and stable from night to night ("class=corn;repeat=3").
        rows: (n,) positions in Contents whose vectors are wanted.
        variants: which variants of them.
        arguments: what else compute needs: small arrays or scalars (centroids, a noise level).
        memory: bytes the unit is expected to hold at its peak; 0 where it is small.
    """

    key: str
    rows: NDArray[np.int64]
    variants: tuple[int, ...] = (0,)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    memory: int = 0


@dataclass(frozen=True)
class Inputs:
    """What one unit may look at.

    Attributes:
        content_id: (n,) str, the unit's rows in the order it asked for.
        label: (n,) int32; -1 for an analysis that does not declare ``reads_labels``.
        vectors: variant -> (n, D) float32; a row is NaN where the vector does not exist.
        seed: for this unit alone, from (collection seed, analysis, unit key).
    """

    content_id: NDArray[np.str_]
    label: NDArray[np.int32]
    vectors: Mapping[int, NDArray[np.float32]]
    seed: int


@dataclass(frozen=True)
class Number:
    """One named number of a finding.

    Attributes:
        name: stable, for checks ("exact_groups"); checks name it "<analysis>.<name>".
        value: finite; None means: not answerable, and ``note`` says why.
        unit: "pairs", "degrees", "" for a ratio.
        low, high: ends of the interval, where there is one.
        interval: what low..high is: "bootstrap 95 %", "spread of 5 repeats (not a confidence
            interval)", ...; empty without one.
        note: the control beside it, or why it cannot be answered.
    """

    name: str
    value: float | None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    interval: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A small table of evidence: column name -> cells (str, int, float or None), equal lengths."""

    title: str
    columns: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Figure:
    """A picture of the numbers, drawn by the report.

    Attributes:
        kind: "heatmap" | "bars" | "lines" | "scatter" | "histogram" | "diagram".
        title, x_label, y_label: text, with units.
        data: what the kind needs, as JSON values:
            heatmap: {"z": [[...]], "rows": [...], "columns": [...]}
            bars: {"names": [...], "values": [...], "low": [...]?, "high": [...]?}
            lines: {"x": [...], "series": {name: [...]}, "low": {name: [...]}?, "high": {...}?}
            scatter: {"x": [...], "y": [...], "group": [...]?}
            histogram: {"edges": [...], "counts": [...]}
            diagram: {"births": {name: [...]}, "deaths": {name: [...]}}
    """

    kind: str
    title: str
    data: Mapping[str, Any]
    x_label: str = ""
    y_label: str = ""


@dataclass(frozen=True)
class Evidence:
    """Contents shown together as thumbnails.

    Attributes:
        title: e.g. "group 3: 2 images, smallest cosine 0.991".
        content_ids: at most a dozen.
        captions: one line under each.
    """

    title: str
    content_ids: tuple[str, ...]
    captions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pairs:
    """Bulk evidence: pairs of positions in Contents, a < b by content_id.

    Attributes:
        a, b: (K,) int64. cosine: (K,) float32 or float64.
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    cosine: NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Finding:
    """The answer to an analysis.

    Attributes:
        headline: one sentence a person can act on.
        numbers: with uncertainty and controls.
        meaning: how to read the numbers, one to three sentences.
        tables, figures, evidence: what stands behind them.
        notes: what was left out, capped or refused, and why.
        per_content: (N, ...) arrays by name, for later analyses (a cluster, or the nearest
            neighbours, of every content).
        pairs: bulk evidence for the pairs table.
    """

    headline: str
    numbers: tuple[Number, ...]
    meaning: str = ""
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    notes: tuple[str, ...] = ()
    per_content: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    pairs: Pairs | None = None


@dataclass(frozen=True)
class NextRound:
    """What ``combine`` answers when it needs more units before it can tell."""

    units: Sequence[Unit]


Results = Mapping[str, Result]
"""Unit key -> result, of all rounds so far."""


@dataclass(frozen=True)
class Analysis(Generic[P]):
    """One question asked of the vectors.

    Attributes:
        name: the config table ``[measure.<name>]`` and the report section.
        version: raise it when the arithmetic changes; old findings are then not reused.
        params: a frozen dataclass with defaults; ``__post_init__`` raises ConfigError.
        plan: (contents, params) -> units of the first round. Raises UnitFailed, with the estimate,
            when the work cannot fit.
        compute: (inputs, unit, params) -> arrays. Pure; runs in any process.
        combine: (contents, results, params) -> Finding, or NextRound.
        needs_labels: skipped with a reason where the collection has fewer than two classes.
        names_positions: whether unit results name positions in Contents; then they are reused
            only while those positions hold the same contents.
        needs: analyses, earlier in the list, whose findings it reads from ``Contents.found``. They
            are answered first, also where the configuration does not ask for them.
        cost: (size, params) -> what it would take; None where nobody declared it.
        mends: whether it can start from its finding of an earlier night (``Contents.before``).
        reads_new: whether it looks at ``Contents.new``; its findings are then reused only while the
            same contents are new.
        reads_labels: whether ``compute`` looks at ``Inputs.label``; the units of all others are
            reused when pictures are relabelled.
        reads_text: whether ``plan`` calls ``Contents.text``.
        graph: params -> how many neighbours of each content it wants of the shared graph.
    """

    name: str
    version: int
    params: type[P]
    plan: Callable[[Contents, P], Sequence[Unit]]
    compute: Callable[[Inputs, Unit, P], Result]
    combine: Callable[[Contents, Results, P], Finding | NextRound]
    needs_labels: bool = False
    names_positions: bool = True
    needs: tuple[str, ...] = ()
    cost: Callable[[Size, P], Cost] | None = None
    mends: bool = False
    reads_new: bool = False
    reads_labels: bool = False
    reads_text: bool = False
    graph: Callable[[P], int] | None = None


def check_vectors(vectors: NDArray[np.float32]) -> None:
    """Refuse vectors that are not finite.

    Raises:
        ContractBroken: a value is NaN or infinite.
    """
    from clipbatch.errors import ContractBroken

    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise ContractBroken(
            f"got {int(bad.sum())} of {len(vectors)} vectors with NaN or infinity, expected none; "
            "the table is damaged: run `clipbatch index` to verify it"
        )
