"""A plan: the forecast of one run, and of the same collection ten and a hundred times larger."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from clipbatch.plan.forecast import Forecast, Rates, ToDo, Workers

GROWTH: Final = (1, 10, 100)


@dataclass(frozen=True)
class Plan:
    """What was found, measured and concluded.

    Attributes:
        todo: what the source and the tables say.
        rates: what the probe measured.
        workers: where the run would take place.
        forecasts: for each factor of GROWTH.
        refused: why it cannot run as it is; got, expected and what to do, each.
    """

    todo: ToDo
    rates: Rates
    workers: Workers
    forecasts: tuple[Forecast, ...]
    refused: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        tree = {
            "todo": dataclasses.asdict(self.todo),
            "rates": dataclasses.asdict(self.rates),
            "workers": dataclasses.asdict(self.workers),
        }
        grown = {
            str(factor): dataclasses.asdict(told) | {"total_seconds": told.total_seconds}
            for factor, told in zip(GROWTH, self.forecasts, strict=True)
        }
        return tree | {"forecast": grown, "refused": list(self.refused)}
