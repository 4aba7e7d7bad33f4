"""How similar does the default encoder find near pairs, and edited copies of a photograph?

    make audit && .venv/bin/python benchmarks/similar.py --db out/groceries-db

Pairs of different contents at or above each cosine, and how many have different labels, from the
tables of an audit; then the cosine of some of the sample's photographs to edits of themselves.
The figures stand in docs/analyses/duplicates.md.
"""

import argparse
import io
from collections.abc import Iterator

import numpy as np
from join import encoded
from PIL import Image, ImageEnhance, ImageOps

from clipbatch import schema
from clipbatch.index import read, runs, table
from tests import groceries

STEPS = (0.90, 0.92, 0.95, 0.97, 0.99)
PHOTOGRAPHS = 60


def edits(picture: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """Yield what people and pipelines do to a photograph."""
    width, height = picture.size
    yield "half size", picture.resize((width // 2, height // 2), Image.Resampling.LANCZOS)
    yield "mirrored", ImageOps.mirror(picture)
    yield "20 % brighter", ImageEnhance.Brightness(picture).enhance(1.2)
    for quality in (50, 20):
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality)
        yield f"JPEG quality {quality}", Image.open(out).convert("RGB")
    for share in (0.95, 0.8):
        x, y = round(width * (1 - share) / 2), round(height * (1 - share) / 2)
        yield f"cropped to {share:.0%}", picture.crop((x, y, width - x, height - y))


def pairs(database: str) -> None:
    """Print how many pairs of contents reach each cosine."""
    run = runs.find(database)
    contents, _ = read.load(database, run, seed=0)
    label = dict(zip(contents.content_id.tolist(), contents.label.tolist(), strict=True))
    found = table.open_table(database, schema.pairs_table(run.encoder)).to_table().to_pylist()
    print("| cosine at least | pairs | of different classes |\n|---|---|---|")
    for step in STEPS:
        near = [(r["content_a"], r["content_b"]) for r in found if r["cosine"] >= step]
        apart = sum(label[a] != label[b] for a, b in near)
        print(f"| {step:.2f} | {len(near):,} | {apart:,} |")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--db", default="out/groceries-db")
    pairs(parser.parse_args().db)
    rows = groceries.rows(10**6)
    chosen = rows[:: len(rows) // PHOTOGRAPHS][:PHOTOGRAPHS]
    pictures = [Image.open(io.BytesIO(row["data"])).convert("RGB") for row in chosen]
    names = [name for name, _ in edits(pictures[0])]
    every = [*pictures, *(edited for picture in pictures for _, edited in edits(picture))]
    vectors = encoded(map(np.asarray, every))
    originals, edited = np.split(vectors, [len(pictures)])
    cosines = np.einsum("pd,ped->ep", originals, edited.reshape(len(pictures), len(names), -1))
    cosine = dict(zip(names, cosines, strict=True))
    print(f"\n{len(pictures)} photographs\n| edit | cosine: smallest, 5 %, median |\n|---|---|")
    for name, all_ in sorted(cosine.items(), key=lambda item: -np.median(item[1])):
        low, five, middle = np.quantile(all_, [0, 0.05, 0.5])
        print(f"| {name} | {low:.3f}, {five:.3f}, {middle:.3f} |")


if __name__ == "__main__":
    main()
