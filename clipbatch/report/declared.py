"""The declared checks: the defaults, the ones given over them, and the evidence of each number."""

import difflib
import tomllib
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from clipbatch.build import build
from clipbatch.config import Check
from clipbatch.errors import ConfigError

COLLECTION: Final = "collection"  # what the counts of a run are called in a check
NEW: Final = "new"  # what is called so in a check was not there at the baseline
OFF: Final = "off"  # the severity that takes a default check away


def default_checks() -> dict[str, Check]:
    """Return the checks of checks.toml, by name."""
    return {
        name: build(Check, table, f"checks.{name}.") for name, table in _toml()["checks"].items()
    }


def merged_checks(given: Mapping[str, Check]) -> dict[str, Check]:
    """Return the defaults with the given checks over them; severity "off" removes one."""
    checks = default_checks() | dict(given)
    return {name: check for name, check in checks.items() if check.severity != OFF}


def refuse_unknown(checks: Mapping[str, Check], analyses: Collection[str]) -> None:
    """Refuse, before any work, checks that name no analysis.

    Raises:
        ConfigError: a check's value is not "<analysis>.<number>" or "collection.<count>".
    """
    known = [
        COLLECTION,
        NEW,
        *analyses,
        *(c.value.partition(".")[0] for c in default_checks().values()),
    ]
    for name, check in checks.items():
        analysis, _, number = check.value.partition(".")
        if analysis not in known or not number:
            raise ConfigError(
                f"report.checks.{name}.value: got {check.value!r}, expected "
                f'"<analysis>.<number>"; {nearest(analysis, known)}'
            )


def evidence(number: str, encoder: str = "") -> str:
    """Return the query or command that lists what stands behind a number."""
    queries: dict[str, str] = _toml()["evidence"]
    parts = number.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    query = next((queries[name] for name in names if name in queries), queries[""])
    return query.replace("{encoder}", encoder).replace("{analysis}", parts[0])


def nearest(got: str, known: Iterable[str]) -> str:
    """Return a hint: the names most like the one that was got, or all of them."""
    names = sorted(set(known))
    near = difflib.get_close_matches(got, names, n=3, cutoff=0.4)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"


@cache
def _toml() -> dict[str, Any]:
    file = resources.files("clipbatch.report") / "checks.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))
