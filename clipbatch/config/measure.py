"""[measure]: which analyses, with which parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from clipbatch.build import build, refuse, unknown
from clipbatch.errors import ConfigError


@dataclass(frozen=True)
class MeasureConfig:
    """Which analyses, with which parameters.

    Attributes:
        analyses: names, in the report's order; empty takes every registered one.
        memory_gb: for one unit; what does not fit is refused with its estimate. 0: half of RAM.
        parameters: analysis -> its parameters (``[measure.<name>]`` tables).
    """

    analyses: tuple[str, ...] = ()
    memory_gb: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def prepared(values: Mapping[str, Any]) -> dict[str, Any]:
        """Turn ``[measure.<analysis>]`` tables into parameter objects, defaults included."""
        return _split_parameters(values)


def _split_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ``[measure.<analysis>]`` tables into parameter objects."""
    from clipbatch.measure import ANALYSES

    plain = {k: v for k, v in values.items() if k in ("analyses", "memory_gb")}
    if not isinstance(plain.get("analyses", []), list | tuple):
        raise refuse("measure.analyses", plain["analyses"], "a list of names")
    names = {a.name: a for a in ANALYSES}
    for name in [*plain.get("analyses", ()), *(k for k in values if k not in plain)]:
        if name not in names:
            raise ConfigError(unknown(f"measure.{name}", name, {*names, "analyses", "memory_gb"}))
    for name, given in values.items():
        if name in names and not isinstance(given, Mapping):
            raise refuse(f"measure.{name}", given, "a table")
    tables = {n: build(a.params, values.get(n, {}), f"measure.{n}.") for n, a in names.items()}
    asked = [a for n, a in names.items() if n in (plain.get("analyses") or names)]
    wanted = max((a.graph(tables[a.name]) for a in asked if a.graph), default=0)
    graph = tables["neighbours"]
    if "k" not in values.get("neighbours", {}) and graph.k < wanted:
        tables["neighbours"] = replace(graph, k=wanted)
    return plain | {"parameters": tables}
