"""A small real collection that changes between the phases of a series, all from one seed."""

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from urllib.parse import quote

from tests import groceries

FIRST = 44  # pictures of the first phase
ADDED = 24  # by each later one
REMOVED = 5
RENAMED = 4
REPLACED = 3
BACK = 2


@dataclass(frozen=True)
class Phase:
    """What the source holds at one time.

    Attributes:
        files: relative path -> bytes.
        bad: paths that hold no usable picture.
        before: every path that any earlier phase held.
    """

    files: dict[str, bytes]
    bad: frozenset[str]
    before: frozenset[str]

    @property
    def gone(self) -> set[str]:
        """Return the uris that shall be marked gone."""
        return {uri(path) for path in self.before - set(self.files)}

    def contents(self) -> dict[str, str]:
        """Return uri -> content_id of every file that is there, bad ones included."""
        return {uri(p): hashlib.sha256(data).hexdigest() for p, data in self.files.items()}

    def good(self) -> set[str]:
        """Return the contents that shall have vectors."""
        return {
            hashlib.sha256(data).hexdigest()
            for path, data in self.files.items()
            if path not in self.bad
        }

    def write(self, root: Path) -> None:
        """Make a folder hold exactly these files; unchanged ones are not touched."""
        for path in [p for p in root.rglob("*") if p.is_file()]:
            if str(path.relative_to(root)) not in self.files:
                path.unlink()
        for name, data in self.files.items():
            path = root / name
            if not path.exists() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                os.sync()  # another mtime than before, whatever the file system's clock


def uri(path: str) -> str:
    """Return what a file is called in the catalog."""
    return quote(path, safe="/")


@cache
def _pool() -> list[dict]:
    return groceries.rows(600)


def phases(seed: int, count: int) -> list[Phase]:
    """Return the phases of a series: new, gone, renamed, replaced, repaired and returned files."""
    rng = Random(f"{seed}:collection")
    pool = iter(rng.sample(_pool(), FIRST + count * (ADDED + REPLACED + BACK) + 8))
    files: dict[str, bytes] = {}
    _add(files, pool, FIRST, 0)
    names = sorted(files)
    for number, name in enumerate(rng.sample(names, 2)):  # one content under two names
        files[f"{Path(name).parent}/copy{number}.jpg"] = files[name]
    cut = f"train/odd/cut{seed % 7}.jpg"
    files[cut] = files[names[0]][: len(files[names[0]]) // 2]
    files["train/odd/empty.jpg"] = b""
    bad = {cut, "train/odd/empty.jpg"}
    found = [Phase(dict(files), frozenset(bad), frozenset())]
    removed: dict[str, bytes] = {}
    for number in range(1, count):
        before = found[-1].before | set(files)
        names = rng.sample(sorted(set(files) - bad), REMOVED + RENAMED + REPLACED)
        returned = rng.sample(sorted(removed), min(BACK, len(removed)))
        files |= {name: removed.pop(name) for name in returned}
        for name in names[:REMOVED]:
            removed[name] = files.pop(name)
        for name in names[REMOVED : REMOVED + RENAMED]:
            path = Path(name)
            files[f"test/{path.parent.name}/moved{number}-{path.name}"] = files.pop(name)
        for name in names[REMOVED + RENAMED :]:
            files[name] = next(pool)["data"]
        if number == 1:  # the cut picture is whole again
            files[cut] = next(pool)["data"]
            bad.discard(cut)
        _add(files, pool, ADDED, number)
        found.append(Phase(dict(files), frozenset(bad), frozenset(before)))
    return found


def _add(files: dict[str, bytes], pool, count: int, phase: int) -> None:
    for number in range(count):
        row = next(pool)
        files[f"{row['split']}/{row['label']}/{phase}-{number:03}.jpg"] = row["data"]
