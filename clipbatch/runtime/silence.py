"""Is it these pictures that cannot be read, or is their store down? Told by how many in a row."""

from collections.abc import Iterable
from typing import Final

from clipbatch import storage
from clipbatch.errors import Incomplete

IN_A_ROW: Final = 16


class Silence:
    """Counts pictures in a row for which nothing answered; any other answer begins anew."""

    def __init__(self) -> None:
        self.count = 0

    def hear(self, answers: Iterable[tuple[str | None, str | None]]) -> None:
        """Look at some answers, before they are written down as failures of their pictures.

        Args:
            answers: (reason, message) of each; a reason of None is an answer with bytes.

        Raises:
            Incomplete: the store is down. Without this a store that is away for some minutes would
                make every picture of the night a bad row.
        """
        for reason, message in answers:
            self.count = self.count + 1 if storage.is_down(reason, message) else 0
            if self.count >= IN_A_ROW:
                raise Incomplete(
                    f"the place of the pictures does not answer: {self.count} in a row could not "
                    f"be read (last: {message}); they are not counted as bad: see to it, then run "
                    "the same command again"
                )
