"""Say on standard error how far a stage is, how fast it goes and how long it will take."""

import sys
import time
from typing import Final

from clipbatch.text import one_line

EVERY_S: Final = 2.0
MINUTE: Final = 60
HOUR: Final = 3600


def duration(seconds: float) -> str:
    """Write seconds as a person would: 8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


class Progress:
    """Counts one stage's work and prints a line at most every two seconds.

    On a terminal the line is rewritten in place; elsewhere each is a log line.
    """

    def __init__(self, stage: str, unit: str, total: int | None = None) -> None:
        self.stage, self.unit, self.total = stage, unit, total
        self.done = 0
        self.started = self._said = time.monotonic()
        self._first: tuple[float, int] | None = None

    def add(self, count: int) -> None:
        """Count more work as done."""
        self.done += count
        now = time.monotonic()
        if self._first is None:
            self._first = (now, count)
        if now - self._said >= EVERY_S:
            self._said = now
            self._say(end="\r" if sys.stderr.isatty() else "\n")

    def close(self) -> None:
        """Print the stage's last line."""
        self._say(end="\n", last=True)

    @property
    def seconds(self) -> float:
        """Seconds since the stage began."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Work a second since the first of it arrived: workers' start is not counted."""
        if self._first is None or self.done == self._first[1]:
            return self.done / max(self.seconds, 1e-9)
        since, before = self._first
        return (self.done - before) / max(time.monotonic() - since, 1e-9)

    def _say(self, end: str, *, last: bool = False) -> None:
        rate = self.rate
        of = f"/{self.total}" if self.total is not None and not last else ""
        line = f"{self.stage:8} {self.done}{of} {self.unit}  {rate:.1f}/s"
        if last:
            line += f"  in {duration(self.seconds)}"
        elif self.total is not None and self.done:
            line += f"  {duration((self.total - self.done) / rate)} left"
        print(f"{line:<70}", end=end, file=sys.stderr, flush=True)


def say(stage: str, text: str) -> None:
    """Print one line about a stage."""
    print(f"{stage:8} {one_line(text)}", file=sys.stderr, flush=True)
