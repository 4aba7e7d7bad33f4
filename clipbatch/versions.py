"""Are the libraries here those that clipbatch was tested with? Asked of metadata, not by import."""

import importlib.metadata
import platform
import re
from collections.abc import Mapping
from typing import Final

from clipbatch import __version__
from clipbatch.errors import ConfigError
from clipbatch.progress import say

KNOWN_GOOD: Final = {"ray": "2.60.0", "pylance": "14.0.2", "lancedb": "0.40.0"}

# Library -> (from, below, what breaks outside). "" is open.
LIMITS: Final = {
    "ray": ("2.60", "2.64", "Ray Data 2.64 drops the limits of retries that end a bad night"),
    "pylance": ("14.0.2", "", "older ones repeat rows or leave a lost commit unreported"),
    "lancedb": ("0.40", "", "older ones cannot read tables of storage version 2.2 as written here"),
}

# On every node these must be as the driver's: what travels between them is of one form.
SHARED: Final = ("clipbatch", "ray", "pylance", "pyarrow", "python")


def found() -> dict[str, str]:
    """Return the versions here of what must fit together."""
    here = {name: _version(name) for name in (*KNOWN_GOOD, "pyarrow")}
    return here | {"clipbatch": __version__, "python": platform.python_version()}


def refuse_known_bad(here: Mapping[str, str] | None = None) -> None:
    """Refuse libraries that are known to break something; tell of those that were not tested.

    Raises:
        ConfigError: naming what was got, what is wrong with it, and the trio known to be good.
    """
    here = here or found()
    good = ", ".join(f"{name} {version}" for name, version in KNOWN_GOOD.items())
    for name, (low, high, why) in LIMITS.items():
        got = here[name]
        if _parts(got) < _parts(low) or (high and _parts(got) >= _parts(high)):
            wanted = f"at least {low}" + (f" and below {high}" if high else "")
            raise ConfigError(
                f"got {name} {got}, expected {wanted} ({why}); known good: {good}; install that"
            )
    untested = [n for n, version in KNOWN_GOOD.items() if _parts(here[n])[0] > _parts(version)[0]]
    for name in untested:
        say("versions", f"{name} {here[name]} was not tested; known good: {good}")


def refuse_other(node: str, there: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Refuse a node whose versions are not the driver's.

    Raises:
        ConfigError: naming the node and each library.
    """
    other = [n for n in SHARED if _shared(n, there[n]) != _shared(n, here[n])]
    if other:
        got = ", ".join(f"{name} {there[name]}" for name in other)
        wanted = ", ".join(f"{name} {here[name]}" for name in other)
        raise ConfigError(
            f"node {node}: got {got}, expected the driver's {wanted}; use one image or environment "
            "for the driver and all nodes"
        )


def _shared(name: str, version: str) -> str:
    """Of Python, a patch release more or less does no harm."""
    return version.rpartition(".")[0] if name == "python" else version


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise ConfigError(
            f"got no {name}, expected it installed; run `pip install {name}`"
        ) from None


def _parts(version: str) -> tuple[int, ...]:
    """Return the numbers of a version: 14.0.2 is (14, 0, 2); what follows them is left out."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])
