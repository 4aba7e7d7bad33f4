"""One collection seed gives every random choice its own numbers, on any worker, in any order."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def digest(seed: int, *keys: object) -> bytes:
    """Return 16 bytes that depend on the seed and every key, and on nothing else."""
    text = "\x1f".join([str(seed), *map(str, keys)])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def derive(seed: int, *keys: object) -> int:
    """Return a 63-bit seed for the work that ``keys`` names."""
    return int.from_bytes(digest(seed, *keys)[:8], "little") >> 1


def generator(seed: int, *keys: object) -> np.random.Generator:
    """Return a counter-based generator for the work that ``keys`` names."""
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest(seed, *keys), "little")))


def rank(seed: int, repeat: object, content_ids: Sequence[str]) -> NDArray[np.uint64]:
    """Give each content a stable pseudo-random rank, shape (N,).

    Subsamples take the contents with the smallest ranks, never row positions, so they change
    little when the collection does.
    """
    ranks = (digest(seed, repeat, content_id)[:8] for content_id in content_ids)
    return np.fromiter((int.from_bytes(r, "little") for r in ranks), np.uint64, len(content_ids))


def sample(seed: int, repeat: object, content_ids: Sequence[str], size: int) -> NDArray[np.int64]:
    """Return the positions of the ``size`` contents with the smallest rank, ordered by rank."""
    return np.argsort(rank(seed, repeat, content_ids), kind="stable")[:size]
