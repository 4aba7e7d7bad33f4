"""An encoding actor: loads its encoder once, then turns decoded blocks into vectors."""

import numpy as np
import pyarrow as pa

from clipbatch import embed, schema
from clipbatch.config import EmbedConfig
from clipbatch.embed.batch import Embedded, embed_pictures
from clipbatch.embed.device import device, keep_memory, set_threads
from clipbatch.embed.encoder import EncoderSpec
from clipbatch.embed.noise import NoiseSettings
from clipbatch.runtime.decode import DECODED

EMBEDDED = pa.schema(
    [
        *(field for field in DECODED if field.name not in ("pixels", "shape", "variants")),
        ("variants", pa.list_(pa.int32())),  # those that were embedded, ascending
        ("vectors", pa.large_list(pa.float32())),  # (variants, dim), row by row
        ("batch_sizes", pa.list_(pa.int32())),  # of each variant's forward pass
    ]
)


class Embedder:
    """Vectors of every wanted variant of a block of pictures, in one call."""

    def __init__(
        self,
        config: EmbedConfig,
        spec: EncoderSpec,
        noise: NoiseSettings,
        batch_size: int,
        threads: int,
    ) -> None:
        keep_memory()
        set_threads(threads)
        self.encoder = embed.load(config, device(), spec)
        self.noise = noise
        self.batch_size = batch_size

    def __call__(self, block: pa.Table) -> pa.Table:
        """Replace the pixels of a decoded block by vectors."""
        pixels = block.column("pixels").to_pylist()
        ready = [i for i, data in enumerate(pixels) if data is not None]
        kept = block.drop_columns(["pixels", "shape", "variants"])
        if not ready:
            return _with_vectors(kept, [], None)
        shape = block.column("shape")[ready[0]].as_py()
        ids = block.column("content_id").to_pylist()
        variants = block.column("variants").to_pylist()
        found = embed_pictures(
            self.encoder,
            np.stack([np.frombuffer(pixels[i], np.uint8).reshape(shape) for i in ready]),
            [ids[i] for i in ready],
            [variants[i] for i in ready],
            self.noise,
            self.batch_size,
        )
        return _with_vectors(kept, ready, found)


def _with_vectors(block: pa.Table, ready: list[int], found: Embedded | None) -> pa.Table:
    """Append each picture's variants, vectors and batch sizes; empty lists where it has none."""
    counts = np.zeros(block.num_rows, np.int64)
    variant = size = np.zeros(0, np.int32)
    vectors = np.zeros((0, 1), np.float32)
    if found is not None:
        order = np.lexsort((found.variant, found.picture))
        counts[ready] = np.bincount(found.picture, minlength=len(ready))
        variant, size = found.variant[order], found.batch_size[order]
        vectors = found.vector[order]
    ends = np.concatenate([[0], np.cumsum(counts)])
    small = pa.array(ends.astype(np.int32))
    wide = pa.array(ends * vectors.shape[1])
    columns = {
        "variants": pa.ListArray.from_arrays(small, pa.array(variant)),
        "vectors": pa.LargeListArray.from_arrays(wide, pa.array(vectors.ravel())),
        "batch_sizes": pa.ListArray.from_arrays(small, pa.array(size)),
    }
    for name, column in columns.items():
        block = block.append_column(name, column)
    return block.cast(EMBEDDED)


def vector_rows(block: pa.Table, dim: int, dtype: str, run_id: str) -> pa.Table:
    """Turn embedded blocks into rows of a vectors table, sorted by variant.

    A commit sorted by variant keeps the clean vectors on pages of their own.
    """
    block = block.combine_chunks()
    variant = _flat(block.column("variants")).astype(np.int32)
    counts = np.array([len(v) for v in block.column("variants").to_pylist()], np.int64)
    ids = np.repeat(np.array(block.column("content_id").to_pylist(), object), counts)
    order = np.argsort(variant, kind="stable")
    vectors = _flat(block.column("vectors")).reshape(-1, dim)[order].astype(dtype)
    return pa.Table.from_arrays(
        [
            pa.array(ids[order], pa.string()),
            pa.array(variant[order]),
            pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dim),
            pa.array(_flat(block.column("batch_sizes")).astype(np.int32)[order]),
            pa.array([run_id] * len(order), pa.string()),
        ],
        schema=schema.vectors_schema(dim, dtype),
    )


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.zeros(0)
