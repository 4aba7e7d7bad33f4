"""Forward passes of one fixed shape, so that a vector's bits depend on its picture alone.

Matrix kernels choose their arithmetic by the shape of the batch. Every batch is therefore padded
with zeros to one shape, chosen once per table; then neither the position nor the mates of a
picture matter.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import schema
from clipbatch.embed import noise
from clipbatch.embed.encoder import Encoder, EncoderSpec
from clipbatch.embed.preprocess import normalise, to_unit
from clipbatch.errors import ConfigError, ContractBroken

if TYPE_CHECKING:
    import torch

    from clipbatch.embed.noise import NoiseSettings

# From 16 rows on, the number of threads left EfficientNet's bits alone too; below it did not.
CPU_SHAPES: Final = (16, 32, 64)
GPU_SHAPES: Final = (16, 32, 64, 128, 256, 512)
LENGTH_TOLERANCE: Final = 1e-3  # of a unit vector's norm; wide enough for float16

_NEAR_BEST: Final = 0.95
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Embedded:
    """The vectors of one block of pictures, sorted by variant, then by picture.

    Attributes:
        picture: position in the block, (R,) int64.
        variant: (R,) int32.
        vector: (R, D) float32.
        batch_size: rows of the forward pass that made the vector, (R,) int32.
    """

    picture: NDArray[np.int64]
    variant: NDArray[np.int32]
    vector: NDArray[np.float32]
    batch_size: NDArray[np.int32]


def run_padded(encoder: Encoder, inputs: torch.Tensor, batch_size: int) -> torch.Tensor:
    """Encode ready inputs in batches of exactly ``batch_size`` rows.

    Args:
        encoder: the network.
        inputs: (N, C, H, W) float32, normalised, on the encoder's device.
        batch_size: rows of every forward pass; the last is padded with zeros.

    Returns:
        (N, D) float32 on the same device.
    """
    import torch

    out = inputs.new_empty((len(inputs), encoder.spec.dim))
    for start in range(0, len(inputs), batch_size):
        chunk = inputs[start : start + batch_size]
        rows = len(chunk)
        if rows < batch_size:
            chunk = torch.cat([chunk, chunk.new_zeros((batch_size - rows, *chunk.shape[1:]))])
        out[start : start + rows] = encoder.encode(chunk)[:rows]
    return out


def embed_pictures(
    encoder: Encoder,
    batch: NDArray[np.uint8],
    content_ids: Sequence[str],
    wanted: Sequence[Sequence[int]],
    settings: NoiseSettings,
    batch_size: int,
) -> Embedded:
    """Embed all wanted variants of a block of pictures in as few forward passes as possible.

    When memory runs out, the rest of the block goes through in half the shape, which its rows
    then say; the next block starts from the given shape again.

    Args:
        encoder: the network.
        batch: B prepared pictures, (B, C, H, W) uint8; read only.
        content_ids: B names, from which their noise follows.
        wanted: for each picture its variants: 0 is clean, v has noise of level v / 1000.
        settings: which noise.
        batch_size: rows of a forward pass.

    Raises:
        ContractBroken: a vector is not finite, has another length than declared, or is not of
            unit length where the spec says so.
        ConfigError: not even one picture fits into memory.
    """
    rows = sorted((v, i) for i, variants in enumerate(wanted) for v in variants)
    out = Embedded(
        picture=np.array([i for _, i in rows], np.int64),
        variant=np.array([v for v, _ in rows], np.int32),
        vector=np.empty((len(rows), encoder.spec.dim), np.float32),
        batch_size=np.empty(len(rows), np.int32),
    )
    keys = [settings.key(content_ids[i], v) for v, i in rows]
    start, size = 0, batch_size
    while start < len(rows):
        part = slice(start, start + size)
        try:
            vectors = _encode(encoder, batch, rows[part], keys[part], settings.units, size)
        except (MemoryError, RuntimeError) as error:
            size = _smaller(error, size)
            continue
        check(vectors, encoder.spec, [content_ids[i] for _, i in rows[part]])
        out.vector[part], out.batch_size[part] = vectors, size
        start += len(vectors)
    return out


def check(vectors: NDArray[np.float32], spec: EncoderSpec, names: Sequence[str]) -> None:
    """Refuse vectors that are not what the spec declares.

    Args:
        vectors: (N, D).
        spec: the encoder's promises.
        names: N contents, for the message.

    Raises:
        ContractBroken: another dimension, a number that is not finite, or no unit length.
    """
    if vectors.shape != (len(names), spec.dim):
        raise ContractBroken(
            f"{spec.name}: got vectors of shape {vectors.shape}, expected "
            f"({len(names)}, {spec.dim}); the weights do not fit the model's description"
        )
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    bad = ~np.isfinite(norms)
    problem = "numbers that are not finite"
    if spec.unit_length and not bad.any():
        bad = np.abs(norms - 1) > LENGTH_TOLERANCE
        problem = f"length {norms[bad.argmax()]:.6g}, expected 1 within {LENGTH_TOLERANCE}"
    if bad.any():
        raise ContractBroken(
            f"{spec.name}: {int(bad.sum())} of {len(names)} vectors broken; content "
            f"{names[int(bad.argmax())]} has {problem}; check the weights and the preprocessing"
        )


def probe_batch_size(encoder: Encoder, shapes: Sequence[int] = (), seconds: float = 3.0) -> int:
    """Find the batch shape for this encoder on this device.

    Args:
        encoder: the network.
        shapes: candidates, ascending; empty takes CPU_SHAPES or GPU_SHAPES.
        seconds: no new measurement starts that would, as it looks, end later than this.

    Returns:
        The smallest candidate within 5 % of the best throughput measured.
    """
    shapes = shapes or (CPU_SHAPES if encoder.device.type == "cpu" else GPU_SHAPES)
    end = time.monotonic() + seconds
    rates: dict[int, float] = {}
    for shape in shapes:
        if rates and time.monotonic() + 3 * shape / max(rates.values()) > end:
            break
        try:
            rates[shape] = _rate(encoder, shape, end)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            break
    if not rates:
        return 1
    return min(s for s, rate in rates.items() if rate >= _NEAR_BEST * max(rates.values()))


def _encode(
    encoder: Encoder,
    batch: NDArray[np.uint8],
    rows: Sequence[tuple[int, int]],
    keys: Sequence[bytes],
    units: str,
    size: int,
) -> NDArray[np.float32]:
    """Encode at most ``size`` rows (variant, picture), sorted by variant, in one forward pass."""
    import torch

    preprocess = encoder.spec.preprocess
    pictures = torch.from_numpy(batch[[i for _, i in rows]]).to(encoder.device)
    clean = sum(v == schema.CLEAN for v, _ in rows)
    parts = []
    if clean:
        parts.append(normalise(pictures[:clean], preprocess))
    if clean < len(rows):
        levels = [v / 1000 for v, _ in rows[clean:]]
        unit = to_unit(pictures[clean:], preprocess)
        parts.append(noise.add(unit, levels, keys[clean:], preprocess, units))
    vectors: NDArray[np.float32] = run_padded(encoder, torch.cat(parts), size).cpu().numpy()
    return vectors


def _rate(encoder: Encoder, shape: int, end: float) -> float:
    """Return rows per second of one shape: the best of three passes, or of those begun in time."""
    import torch

    inputs = torch.zeros((shape, *encoder.spec.preprocess.shape), device=encoder.device)
    best = 0.0
    for _ in range(3):
        begin = time.monotonic()
        encoder.encode(inputs).cpu()
        best = max(best, shape / (time.monotonic() - begin))
        if time.monotonic() > end:
            break
    return best


def _smaller(error: MemoryError | RuntimeError, size: int) -> int:
    """Return half the shape after an out-of-memory error; any other error is raised again."""
    import torch

    if not _is_out_of_memory(error):
        raise error
    if size == 1:
        raise ConfigError(
            "out of memory with one picture a forward pass; give the actor more memory or "
            f"choose a smaller encoder (the allocator said: {str(error)[:200]})"
        ) from error
    _log.warning("out of memory with %d pictures a forward pass; going on with %d", size, size // 2)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return size // 2


def _is_out_of_memory(error: BaseException) -> bool:
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return "can't allocate memory" in text or "bad_alloc" in text
