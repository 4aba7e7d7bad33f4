"""Does topology follow accuracy? Rank correlation across classes, within each noise level.

For every class and level: how far noise moves the class's persistence diagram, and how much
accuracy it takes from the class. Both come from the findings of homology and accuracy.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from clipbatch.errors import ConfigError
from clipbatch.measure import association_finding
from clipbatch.measure.association_summary import Answer, Cells
from clipbatch.measure.base import Analysis, Contents, Finding, Inputs, Result, Results, Unit
from clipbatch.measure.cost import Cost, Size

LEAST: Final = 4  # classes: below, ranks have hardly an order to share


@dataclass(frozen=True)
class AssociationParams:
    """When the question can be answered, and how chance is asked.

    Attributes:
        min_classes: fewer are not answerable: an interval over 7 classes spans nearly everything.
        margin: mean accuracy over classes above chance, up to which it counts as near chance.
        permutations: of classes.
        bootstraps: draws of classes.
    """

    min_classes: int = 8
    margin: float = 0.05
    permutations: int = 2000
    bootstraps: int = 2000

    def __post_init__(self) -> None:
        least = {"min_classes": LEAST, "permutations": 99, "bootstraps": 99}
        for name, bound in least.items():
            if (got := getattr(self, name)) < bound:
                raise ConfigError(
                    f"measure.association.{name}: got {got}, expected {bound} or more"
                )
        if not 0 <= self.margin < 1:
            raise ConfigError(
                f"measure.association.margin: got {self.margin}, expected from 0 to below 1"
            )


def plan(contents: Contents, params: AssociationParams) -> list[Unit]:
    """Make one unit, which looks at no vector: both quantities are in findings."""
    cells = _cells(contents, params)
    arguments = {"moved": cells.moved, "lost": cells.lost, "asked": cells.asked}
    return [Unit("classes", np.empty(0, np.int64), (), arguments)]


def compute(inputs: Inputs, unit: Unit, params: AssociationParams) -> Result:
    """Correlate what can be asked; returns the fields of ``Answer``."""
    given = unit.arguments
    answer = Answer.of(
        (given["moved"], given["lost"], given["asked"]),
        inputs.seed,
        (params.permutations, params.bootstraps),
    )
    return {field.name: getattr(answer, field.name) for field in fields(Answer)}


def combine(contents: Contents, results: Results, params: AssociationParams) -> Finding:
    """Tell what was found, and of what was not asked why not."""
    cells = _cells(contents, params)
    return association_finding.tell(cells, Answer(**results["classes"]), contents.found["accuracy"])


def _cells(contents: Contents, params: AssociationParams) -> Cells:
    homology, accuracy = contents.found["homology"], contents.found["accuracy"]
    return Cells.of(homology, accuracy, params.min_classes, params.margin)


def cost(size: Size, params: AssociationParams) -> Cost:
    """Tell what the bootstrap takes: 2.5e-5 s a class and draw, for 12 questions at 3 levels."""
    return Cost(0, 2.5e-5 * params.bootstraps * max(size.classes, 10))


ANALYSIS: Final = Analysis(
    name="association",
    version=1,
    params=AssociationParams,
    plan=plan,
    compute=compute,
    combine=combine,
    needs_labels=True,
    names_positions=False,
    needs=("homology", "accuracy"),
    cost=cost,
)
