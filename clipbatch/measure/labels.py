"""Which labels are likely wrong, and how sure is that?

The nearest neighbours of a picture vote on its label. What a vote is worth is measured by planting
wrong labels in the collection itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from clipbatch.errors import ConfigError
from clipbatch.measure import labels_finding, nearest
from clipbatch.measure.base import Analysis, Contents, Finding, Inputs, Result, Results, Unit
from clipbatch.measure.cost import Cost, Size
from clipbatch.measure.labels_calibration import Ballot
from clipbatch.measure.labels_story import Settings


@dataclass(frozen=True)
class LabelsParams:
    """Who votes, and when a label is told as suspect.

    Attributes:
        neighbours: how many nearest contents vote.
        copy_cosine: from this cosine on a neighbour is a copy of the picture, and does not vote.
        probability: of a wrong label from which it is suspect, at the planted rate.
        planted: share of the labels that are swapped to measure what a score is worth; twice the
            share that may be wrong already where that is more.
        repeats: times this is done.
        table_rows: rows of an evidence table.
    """

    neighbours: int = 20
    copy_cosine: float = 0.999
    probability: float = 0.5
    planted: float = 0.03
    repeats: int = 10
    table_rows: int = 1000

    def __post_init__(self) -> None:
        least = {"neighbours": 1, "repeats": 4, "table_rows": 0}
        for name, bound in least.items():
            if (got := getattr(self, name)) < bound:
                raise ConfigError(f"measure.labels.{name}: got {got}, expected {bound} or more")
        for name in ("copy_cosine", "probability", "planted"):
            if not 0.0 < (share := getattr(self, name)) <= 1.0:
                raise ConfigError(f"measure.labels.{name}: got {share}, expected above 0, to 1")


def plan(contents: Contents, params: LabelsParams) -> Sequence[Unit]:
    """Ask for nothing: the shared graph knows the neighbours."""
    return []


def compute(inputs: Inputs, unit: Unit, params: LabelsParams) -> Result:
    """Answer no unit: ``plan`` asks for none."""
    return {}


def combine(contents: Contents, results: Results, params: LabelsParams) -> Finding:
    """Vote, calibrate and tell."""
    near = nearest.of(contents)  # more than vote: copies leave their vote to the next
    may_vote = nearest.voters(contents, near, params.copy_cosine)
    may_vote &= contents.label[near.neighbour] >= 0
    first = np.argsort(~may_vote, axis=1, kind="stable")[:, : params.neighbours]
    used, label = np.unique(contents.label, return_inverse=True)
    none = int((used < 0).any())  # -1, where any content has no label, comes first
    ballot = Ballot(
        content_id=contents.content_id,
        neighbour=np.take_along_axis(near.neighbour, first, axis=1),
        may_vote=np.take_along_axis(may_vote, first, axis=1),
        label=(label - none).astype(np.int64),
        classes=len(used) - none,
        seed=contents.seed,
    )
    names = tuple(contents.label_names[c] for c in used[none:])
    settings = Settings(params.probability, params.planted, params.repeats, params.table_rows)
    return labels_finding.tell(contents, ballot, names, settings)


def cost(size: Size, params: LabelsParams) -> Cost:
    """Tell what voting takes: 1e-8 s a content and pair of neighbours, five times the repeats.

    Timed on one core, with 6,300 contents; the neighbours are those of the shared graph.
    """
    votes = 5 * params.repeats * size.contents * params.neighbours**2
    # The whole graph is looked at for who may vote, in some five arrays of 8 bytes a neighbour.
    asked = size.contents * max(params.neighbours, nearest.WIDTH) * 5 * 8
    return Cost(asked + size.contents * params.neighbours * 64, 1e-8 * votes, size.contents * 8)


ANALYSIS: Final = Analysis(
    name="labels",
    version=2,
    params=LabelsParams,
    plan=plan,
    compute=compute,
    combine=combine,
    needs_labels=True,
    needs=(nearest.GRAPH, "duplicates"),
    cost=cost,
    graph=lambda params: params.neighbours,
)
