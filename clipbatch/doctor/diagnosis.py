"""One line of the doctor: what was looked at, what was found, what to do."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

KIB: Final = 1024


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"  # an audit runs, but slower or less safely than it could
    FAIL = "fail"  # an audit would be refused, or would not end


@dataclass(frozen=True)
class Diagnosis:
    """What one examination says.

    Attributes:
        name: what was looked at.
        status: ok, warn or fail.
        found: in words and numbers.
        advice: what to do about it; empty where it is ok.
    """

    name: str
    status: Status
    found: str
    advice: str = ""


def graded(name: str, found: str, trouble: str = "", status: Status = Status.FAIL) -> Diagnosis:
    """Return ok where there is no trouble, else the status with the trouble as advice."""
    return Diagnosis(name, status if trouble else Status.OK, found, trouble)


def size(count: float) -> str:
    """Write bytes as a person reads them: 1.5 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < KIB:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= KIB
    return f"{count:.1f} TiB"
