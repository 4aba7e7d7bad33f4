"""Units that failed: the others go on first, so that nothing finished is lost with them."""

from typing import Final

from ray.exceptions import RayError

from clipbatch.errors import ClipbatchError, UnitFailed
from clipbatch.runtime.stream import last_line, ours

MOST: Final = 3  # failed units of an analysis; after them no other is started


class Failures:
    """What went wrong in the units of one analysis."""

    def __init__(self, analysis: str) -> None:
        self.analysis = analysis
        self.found: list[ClipbatchError] = []
        self.final = False

    def add(self, unit: str, error: RayError) -> None:
        """Note that a unit failed; ``final`` then says whether to start no other.

        A contract that is broken for one unit is broken for all. So, most likely, is what failed
        ``MOST`` times.
        """
        failed = ours(error) or UnitFailed(
            f"{self.analysis}, unit {unit}: {last_line(error)}; "
            "run the same command again: finished units are kept"
        )
        failed.__cause__ = error
        self.found.append(failed)
        broken = not isinstance(failed, UnitFailed)
        self.final = self.final or broken or len(self.found) >= MOST

    def check(self) -> None:
        """Raise the gravest failure, if there was one, and say how many there were.

        Raises:
            ClipbatchError: of the class that a unit raised; UnitFailed for anything else.
        """
        for failed in self.found:
            if not isinstance(failed, UnitFailed):
                raise failed
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            message = f"{self.found[0]} ({len(self.found)} units failed)"
            raise UnitFailed(message) from self.found[0].__cause__
