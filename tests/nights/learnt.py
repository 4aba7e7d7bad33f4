"""Thresholds that ``clipbatch calibrate`` learns from a season in which nothing is wrong."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.nights import commands
from tests.nights.season import Night, Season, plans


@dataclass(frozen=True)
class Learnt:
    """What a calm season taught.

    Attributes:
        seed: of what happened in that season.
        nights: how many of it there were, the full run with them.
        passed: of these; ``calibrate`` learns from no other.
        rate: what ``calibrate`` says of false alarms, in its words.
        checks: name -> the check with its threshold, as TOML has it.
    """

    seed: int
    nights: int
    passed: int
    rate: str
    checks: Mapping[str, Mapping[str, Any]]

    @property
    def settings(self) -> list[str]:
        """Return the checks as words for ``--set``."""
        return [f"report.checks.{name}={_inline(check)}" for name, check in self.checks.items()]


def learn(
    root: Path, seed: int, collection: int, shape: tuple[int, int, int], *, serial: bool
) -> Learnt:
    """Audit a season without faults under the shipped thresholds, and learn from it.

    Args:
        root: a new folder for it.
        seed: of what happens.
        collection: seed of the pictures that it begins with, those that will be judged.
        shape: nights, how many of them quiet, pictures to begin with.
        serial: without Ray.
    """
    root.mkdir()
    count, quiet, size = shape
    season = Season(root, collection, commands.auditor(serial), size, other=seed)
    nights: list[Night] = list(season.run(plans(seed, count, (), quiet)))
    told = commands.told(root, commands.arguments("calibrate"))
    rate = next(line for line in told.splitlines() if line.startswith("# Any of them: "))
    return Learnt(
        seed=seed,
        nights=len(nights),
        passed=sum(night.code == 0 for night in nights),
        rate=rate.removeprefix("# Any of them: "),
        checks=tomllib.loads(told)["report"]["checks"],
    )


def _inline(table: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items()) + "}"
