"""What would an analysis take on a larger collection? Declared by it, asked before any work."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """A collection, as far as costs depend on it.

    Attributes:
        contents: distinct pictures with a clean vector.
        dim: numbers a vector.
        classes: labels that are large enough to be compared; 0 without labels.
        noisy: noise levels that the vectors have.
    """

    contents: int
    dim: int
    classes: int = 0
    noisy: int = 0

    def half(self, at_most: int) -> int:
        """Return the contents of half a class, if classes were equally large, up to a bound."""
        return min(at_most, self.contents // (2 * self.classes)) if self.classes else 0


@dataclass(frozen=True)
class Cost:
    """About what one run of an analysis takes.

    Attributes:
        memory: bytes that its largest unit holds at the peak.
        seconds: of one core, over all units; fitted on one machine, so right within a small factor.
        stored: bytes that its finding, its units and its tables keep on disk, where they grow with
            the collection.
    """

    memory: int
    seconds: float
    stored: int = 0
