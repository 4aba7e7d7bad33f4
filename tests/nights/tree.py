"""A folder of pictures that changes, and what was known of it before it did.

Laid out as <shop>/<split>/<label>/<name>: three shops deliver into one collection.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests import groceries

SHOPS = ("north", "south", "kiosk")
SHARES = (0.4, 0.35, 0.25)
LEVELS = {"split": "level:1", "label": "level:2"}  # of [collect]


@dataclass(frozen=True)
class Place:
    """Where a picture lies, as its path tells."""

    shop: str
    split: str
    label: str
    name: str

    @classmethod
    def of(cls, path: str) -> "Place":
        return cls(*path.split("/"))

    @property
    def path(self) -> str:
        return f"{self.shop}/{self.split}/{self.label}/{self.name}"


Files = dict[str, bytes]
"""Path below the root -> bytes."""


@dataclass
class Tree:
    """The pictures that are there, and those that may still come.

    Attributes:
        root: of the folder.
        files: what it shall hold; ``sync`` makes it so.
        pool: pictures of the same kind that are not there yet, in the order of their coming.
        rng: of everything that happens.
        count: of names given so far.
    """

    root: Path
    files: Files = field(default_factory=dict)
    pool: list[dict] = field(default_factory=list)
    rng: np.random.Generator = field(default_factory=np.random.default_rng)
    count: int = 0
    _written: Files = field(default_factory=dict)

    def sync(self) -> None:
        """Bring the folder up to date; a file that stays as it is is not touched."""
        for path in self._written.keys() - self.files.keys():
            (self.root / path).unlink()
        for path, data in self.files.items():
            if self._written.get(path) is not data:
                target = self.root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        self._written = dict(self.files)

    def goes_on(self, seed: int) -> None:
        """Let other things happen to the same pictures from now on, and others arrive."""
        self.rng = np.random.default_rng(seed)
        self.pool = [self.pool[i] for i in self.rng.permutation(len(self.pool))]

    def some(self, count: int, among: Mapping[str, bytes] | list[str] | None = None) -> list[str]:
        """Draw paths without repeats, of all files or of these."""
        paths = sorted(self.files if among is None else among)
        return [paths[i] for i in self.rng.permutation(len(paths))[:count]]

    def of_label(self, label: str) -> list[str]:
        """Return the paths under one label."""
        return [path for path in self.files if Place.of(path).label == label]

    def labels(self) -> list[str]:
        """Return the labels that there are."""
        return sorted({Place.of(path).label for path in self.files})

    def largest(self, count: int) -> list[str]:
        """Return the labels with the most pictures."""
        found = Counter(Place.of(path).label for path in self.files)
        return [label for label, _ in sorted(found.items(), key=lambda x: (-x[1], x[0]))[:count]]

    def arrive(self, count: int, shop: str = "") -> list[str]:
        """Let new pictures of the same kind come in; returns their paths."""
        return [self._put(self.pool.pop(0), shop) for _ in range(count)]

    def name(self) -> str:
        """Return a name that was not given before."""
        self.count += 1
        return f"{self.count:05}.jpg"

    def _put(self, row: dict, shop: str) -> str:
        shop = shop or str(self.rng.choice(SHOPS, p=SHARES))
        path = Place(shop, row["split"], row["label"], self.name()).path
        self.files[path] = row["data"]
        return path


def grow(root: Path, seed: int, size: int) -> Tree:
    """Begin with ``size`` real photographs of groceries; the others of them may come later."""
    rng = np.random.default_rng(seed)
    rows = groceries.rows(10**6)
    tree = Tree(root, pool=[rows[i] for i in rng.permutation(len(rows))], rng=rng)
    tree.arrive(size)
    return tree
