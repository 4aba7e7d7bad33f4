"""Are the libraries those that clipbatch was made for, and the encoder's weights in place?"""

import importlib.metadata
import platform
import sys
from collections.abc import Iterator
from typing import Final

from packaging.requirements import Requirement

from clipbatch import __version__
from clipbatch.config import Config
from clipbatch.doctor.diagnosis import Diagnosis, Status, graded
from clipbatch.errors import ClipbatchError, ConfigError
from clipbatch.versions import KNOWN_GOOD, refuse_known_bad

LEAST_PYTHON: Final = (3, 11)


def versions(_config: Config) -> Iterator[Diagnosis]:
    """Compare what is installed with what the package declares."""
    told = f"Python {platform.python_version()}, clipbatch {__version__}"
    old = sys.version_info[:2] < LEAST_PYTHON
    yield graded("python", told, "install Python 3.11 or newer" if old else "")
    yield _engine()
    unmet = [text for text in map(_unmet, _requirements()) if text]
    yield graded(
        "libraries",
        "; ".join(unmet) or "all requirements of the package are met",
        "install the versions it names: pip install --upgrade clipbatch" if unmet else "",
    )


def _engine() -> Diagnosis:
    """Ray runs the work, pylance writes the tables, lancedb reads them: tested together, or not."""
    got = {name: _version(name) or "missing" for name in KNOWN_GOOD}
    told, good = (
        ", ".join(f"{name} {version}" for name, version in each.items())
        for each in (got, KNOWN_GOOD)
    )
    try:
        refuse_known_bad()
    except ConfigError as error:
        return Diagnosis("engine", Status.FAIL, told, str(error))
    untested = f"known good are {good}; install these if rows or nights go wrong"
    return graded("engine", told, "" if got == KNOWN_GOOD else untested, Status.WARN)


def _requirements() -> list[Requirement]:
    declared = map(Requirement, importlib.metadata.requires("clipbatch") or [])
    return [r for r in declared if r.marker is None or r.marker.evaluate({"extra": ""})]


def _unmet(requirement: Requirement) -> str:
    """Return what is wrong with one requirement, or ""."""
    version = _version(requirement.name)
    if version is None:
        return f"got no {requirement.name}, expected {requirement.specifier or 'any'}"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"got {requirement.name} {version}, expected {requirement.specifier}"
    return ""


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def weights(config: Config) -> Iterator[Diagnosis]:
    """Look for the encoder's files and check their hash, without building its network."""
    from clipbatch import embed

    if config.embed.encoder == "pixels":
        yield Diagnosis("weights", Status.OK, "encoder pixels needs none")
        return
    try:
        spec = embed.describe(config.embed)
    except ClipbatchError as error:
        yield Diagnosis("weights", Status.FAIL, config.embed.encoder, str(error))
        return
    yield Diagnosis("weights", Status.OK, f"{spec.name} {spec.weights}: in place, {spec.dim} wide")
