"""What to do when Lance or its store fails: try again, or say what a person must mend.

Lance raises OSError, RuntimeError or ValueError for anything; only the text tells them apart.
"""

import re
import time
from collections.abc import Callable
from typing import Final, TypeVar

from clipbatch.errors import ClipbatchError, ConfigError, ContractBroken, Refused, Transient
from clipbatch.text import redact

T = TypeVar("T")

ATTEMPTS: Final = 5
LANCE_ERRORS: Final = (OSError, RuntimeError, ValueError)


def retry(work: Callable[[], T], what: str) -> T:
    """Do idempotent work again after any failure of the store, with growing pauses.

    Raises:
        Refused: the place may not be written.
        Transient: it failed every time; or the disk is full, which no pause mends.
    """
    for attempt in range(ATTEMPTS):
        try:
            return work()
        except (*LANCE_ERRORS, Transient) as error:
            if final := told(what, error):
                raise final from error
            if attempt == ATTEMPTS - 1:
                raise Transient(
                    f"{what} failed {ATTEMPTS} times, last: {short(error)}; "
                    "see to the store, then run the same command again"
                ) from error
            time.sleep(0.2 * 4**attempt)
    raise AssertionError("unreachable")


def told(what: str, error: Exception) -> ClipbatchError | None:
    """Return the error for what only a person can mend: a full disk, or one that is read-only."""
    text = str(error)
    if re.search(r"os error (28|122)\b|No space left|quota exceeded", text):
        return Transient(
            f"{what}: the disk is full; what was merged before is kept: free some space, "
            "then run the same command again"
        )
    if refused := re.search(r"40[13] (Forbidden|Unauthorized)", text):
        return Refused(
            f"{what}: the store answered {refused[0]}; check the credentials and their rights"
        )
    if re.search(r"os error 20\b", text):
        return ConfigError(
            f"{what}: there is a file where a folder is needed; name another index.database"
        )
    if re.search(r"os error (1|13|30)\b|Read-only file system", text):
        return Refused(
            f"{what}: it may not be written; expected a place that may: mend its permissions or "
            "mount, or name another index.database"
        )
    return None


def damaged(error: Exception) -> ContractBroken | None:
    """Return the error for a table that lacks one of its files, whatever wraps Lance's word."""
    missing = re.search(r"Not found: (\S+\.lance)/((data|_deletions)/\S+?)[,:]?(\s|$)", str(error))
    if missing is None:
        return None
    return ContractBroken(
        f"{redact(missing[1])}: got no {missing[2]}, expected every file that its manifest names; "
        "restore the folder from a copy, or move it away and run the same command again: what it "
        "held is made anew"
    )


def is_absent(error: Exception) -> bool:
    """Tell whether there is no such table, rather than a store that does not answer."""
    return isinstance(error, FileNotFoundError) or "was not found" in str(error)


def short(error: Exception) -> str:
    """Return an error's text without the place in Lance's source where it arose."""
    text = re.sub(r",? *(location: )?\S*/rust/\S+\.rs:\d+:\d+", "", " ".join(str(error).split()))
    return f"{text[:400]}..." if len(text) > 400 else text
