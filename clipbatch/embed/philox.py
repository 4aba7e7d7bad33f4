"""Philox4x64-10: a stream of random 64-bit words that is a pure function of a 128-bit key.

Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11. Word
4 i + j of the stream is output j of the block with counter i + 1: the order of NumPy's Philox
with ``counter=0``, whose C code serves CPUs; elsewhere integer operations of torch give the
same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    Pair = tuple[torch.Tensor, torch.Tensor]

_ROUNDS: Final = 10
_MULTIPLIERS: Final = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL: Final = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)  # added to the key before every next round
_LOW: Final = 0xFFFFFFFF
_WORD: Final = 1 << 64


def words_numpy(key: bytes, count: int) -> NDArray[np.uint64]:
    """Return the first words of one key's stream, by NumPy's C code.

    Args:
        key: 16 bytes, little-endian.
        count: words, at least 1.

    Returns:
        (count,) uint64.
    """
    generator = np.random.Philox(key=int.from_bytes(key, "little"), counter=0)
    return np.asarray(generator.random_raw(count), np.uint64)


def words_torch(keys: Sequence[bytes], count: int, device: torch.device) -> torch.Tensor:
    """Return the first words of several keys' streams, by integer operations on a device.

    Args:
        keys: K keys of 16 bytes, little-endian.
        count: words of each stream, at least 1.
        device: where to compute.

    Returns:
        (K, count) int64 with the bits of the unsigned words.
    """
    import torch

    blocks = -(-count // 4)
    counter = torch.arange(1, blocks + 1, device=device).expand(len(keys), blocks)
    zero = torch.zeros_like(counter)
    c = (counter, zero, zero, zero)
    for key in _round_keys(keys, device):
        high0, low0 = _multiply(c[0], _MULTIPLIERS[0])
        high1, low1 = _multiply(c[2], _MULTIPLIERS[1])
        c = (high1 ^ c[1] ^ key[0], low1, high0 ^ c[3] ^ key[1], low0)
    return torch.stack(c, dim=-1).flatten(1)[:, :count]


def _round_keys(keys: Sequence[bytes], device: torch.device) -> Iterator[Pair]:
    """Yield the two key words of every round, (K, 1) each."""
    import torch

    pairs = [(int.from_bytes(k[:8], "little"), int.from_bytes(k[8:], "little")) for k in keys]
    table = [
        [[_signed(half + i * _WEYL[j]) for j, half in enumerate(pair)] for pair in pairs]
        for i in range(_ROUNDS)
    ]
    for row in torch.tensor(table, dtype=torch.int64, device=device).unbind():
        yield row[:, :1], row[:, 1:]


def _multiply(x: torch.Tensor, constant: int) -> Pair:
    """Return the high and low words of the 128-bit products ``x * constant``.

    Schoolbook multiplication of 32-bit halves. int64 products wrap to the right bits; ``_high``
    shifts as if unsigned.
    """
    low_c, high_c = constant & _LOW, constant >> 32
    low_x, high_x = x & _LOW, _high(x)
    middle = high_x * low_c + _high(low_x * low_c)
    other = low_x * high_c + (middle & _LOW)
    return high_x * high_c + _high(middle) + _high(other), x * _signed(constant)


def _high(x: torch.Tensor) -> torch.Tensor:
    """Return the upper 32 bits of each word; ``>>`` alone would copy the sign."""
    return (x >> 32) & _LOW


def _signed(word: int) -> int:
    """Return the int64 with the bits of ``word`` modulo 2^64."""
    return (word + _WORD // 2) % _WORD - _WORD // 2
