"""How much longer does t-SNE take than UMAP, on digits by brightness, in three dimensions?

    python benchmarks/brightness.py --idx FOLDER [--rows 5000] [--parquet digits.parquet]

FOLDER holds MNIST's or Fashion-MNIST's idx files. Both methods get the same neighbour graph, the
same start and one thread; they are timed in turn, and the ratio of medians is printed. Each runs
once before, since UMAP compiles itself at its first call. With --parquet the rows are also written
as a source for jobs/configs/brightness.toml.
"""

import argparse
import gzip
import io
import statistics
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from clipbatch.measure import layout
from clipbatch.measure.nearest import WIDTH
from clipbatch.measure.repeats import one_thread

SPLITS = {"train": "train", "test": "t10k"}


def read_idx(path):
    """Return the array of an idx file (LeCun's format), gzipped or not."""
    data = path.read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    dims = data[3]
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(dims)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dims).reshape(shape)


def load(folder, rows):
    """Return pictures (N, 28, 28), digits (N,) and splits (N,): a seeded sample."""
    parts = []
    for split, name in SPLITS.items():
        files = [next(folder.glob(f"{name}-{kind}*")) for kind in ("images", "labels")]
        pictures, digits = map(read_idx, files)
        parts.append((pictures, digits, np.full(len(digits), split)))
    pictures, digits, splits = (np.concatenate(column) for column in zip(*parts, strict=True))
    chosen = np.sort(np.random.default_rng(0).permutation(len(digits))[:rows])
    return pictures[chosen], digits[chosen], splits[chosen]


def png(picture):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def graph_of(vectors, k):
    """Return the exact graph of unit vectors, in blocks."""
    order, cosine = [], []
    for start in range(0, len(vectors), 1000):
        found = vectors[start : start + 1000] @ vectors.T
        found[np.arange(len(found)), np.arange(start, start + len(found))] = -np.inf
        near = np.argsort(-found, axis=1, kind="stable")[:, :k].astype(np.int32)
        order.append(near)
        cosine.append(np.take_along_axis(found, near, axis=1))
    return layout.graph_of(np.concatenate(order), np.concatenate(cosine))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--idx", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--parquet", type=Path)
    given = parser.parse_args()
    pictures, digits, splits = load(given.idx, given.rows)
    if given.parquet:
        columns = {
            "image": [png(picture) for picture in pictures],
            "label": [str(digit) for digit in digits],
            "split": splits.tolist(),
        }
        pq.write_table(pa.table(columns), given.parquet)
        print(f"{len(digits)} digits written to {given.parquet}")
    vectors = pictures.reshape(len(pictures), -1).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph, start = graph_of(vectors, WIDTH), layout.principal(vectors, 3)
    methods = {
        "UMAP": lambda: layout.umap(graph, vectors, start, 15, 0),
        "t-SNE": lambda: layout.tsne(graph, start, 30.0, 0),
    }
    seconds = {name: [] for name in methods}
    with one_thread():
        methods["UMAP"]()
        for _ in range(given.repeats):
            for name, method in methods.items():
                clock = time.perf_counter()
                spots = method()
                seconds[name].append(time.perf_counter() - clock)
                recall = layout.neighbour_recall(graph[0], spots, 10).mean()
                told = f"{seconds[name][-1]:.1f} s, recall {recall:.3f}"
                print(f"{name:6} 3D, {len(digits)} rows: {told}")
    ratio = statistics.median(seconds["t-SNE"]) / statistics.median(seconds["UMAP"])
    print(f"t-SNE takes {ratio:.1f} times as long as UMAP")


if __name__ == "__main__":
    main()
