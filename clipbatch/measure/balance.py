"""How many pictures has each class, and do the splits hold the classes in the same shares?

Answered from the catalog alone: no vector is looked at, so no unit is planned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from clipbatch.errors import ConfigError
from clipbatch.measure import balance_finding
from clipbatch.measure.base import Analysis, Contents, Finding, Inputs, Result, Results, Unit
from clipbatch.measure.cost import Cost, Size


@dataclass(frozen=True)
class BalanceParams:
    """How often chance is asked, and how much is listed.

    Attributes:
        bootstraps: draws behind an interval.
        permutations: random tables with the same margins, for p-value and controls.
        table_rows: rows of an evidence table.
    """

    bootstraps: int = 500
    permutations: int = 999
    table_rows: int = 1000

    def __post_init__(self) -> None:
        least = {"bootstraps": 2, "permutations": 19, "table_rows": 0}
        for name, bound in least.items():
            if (got := getattr(self, name)) < bound:
                raise ConfigError(f"measure.balance.{name}: got {got}, expected {bound} or more")


def plan(contents: Contents, params: BalanceParams) -> Sequence[Unit]:
    """Ask for nothing: the catalog knows the classes and the splits."""
    return []


def compute(inputs: Inputs, unit: Unit, params: BalanceParams) -> Result:
    """Answer no unit: ``plan`` asks for none."""
    return {}


def combine(contents: Contents, results: Results, params: BalanceParams) -> Finding:
    """Count, test and tell."""
    return balance_finding.tell(contents, params.bootstraps, params.permutations, params.table_rows)


def cost(size: Size, params: BalanceParams) -> Cost:
    """Tell what counting and resampling take: 1e-6 s a content, 1e-5 s a resampled table."""
    drawn = params.bootstraps + params.permutations
    return Cost(size.contents * 64, 1e-6 * size.contents + 1e-5 * drawn)


ANALYSIS: Final = Analysis(
    name="balance",
    version=1,
    params=BalanceParams,
    plan=plan,
    compute=compute,
    combine=combine,
    needs_labels=True,
    cost=cost,
)
