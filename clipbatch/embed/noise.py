"""Gaussian noise whose numbers depend on the collection, the picture and the level alone.

Torch in, torch out, on any device. The generator is counter-based (Philox), so no worker,
order, batch or crash can change a number; Box and Muller (1958) turn words into normals.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from clipbatch import schema, seeds
from clipbatch.embed import philox
from clipbatch.embed.encoder import Preprocess
from clipbatch.embed.preprocess import standardise
from clipbatch.errors import ConfigError

if TYPE_CHECKING:  # a run that finds nothing to do needs the settings, not torch
    import torch

GENERATOR: Final = "philox4x64-10/box-muller/1"
NORMALISED: Final = "normalised"
UNIT: Final = "unit"

_KEYS: Final = 64  # at once on a GPU: enough to fill it, some 0.5 GB for 3 x 224 x 224


@dataclass(frozen=True)
class NoiseSettings:
    """Which noise a table of vectors holds.

    Attributes:
        units: "normalised" (added to the normalised input) or "unit" (to [0, 1], then clipped).
        levels: standard deviations, in those units; multiples of 0.001, since keys are.
        seed: the collection's.
        generator: how numbers are made; another string means other numbers.

    Raises:
        ConfigError: unknown units, or a level that its key would not tell exactly.
    """

    units: str
    levels: tuple[float, ...]
    seed: int
    generator: str = GENERATOR

    def __post_init__(self) -> None:
        if self.units not in (NORMALISED, UNIT):
            raise ConfigError(f"noise units: got {self.units!r}, expected {NORMALISED} or {UNIT}")
        for level in self.levels:
            key = schema.variant(level)
            if key <= schema.CLEAN or abs(key / 1000 - level) > 1e-9:
                raise ConfigError(f"embed.levels: got {level}, expected multiples of 0.001 above 0")

    @property
    def variants(self) -> tuple[int, ...]:
        """Keys of the clean picture and of every level."""
        return (schema.CLEAN, *map(schema.variant, self.levels))

    def fingerprint(self) -> str:
        """Return 8 hex digits of kind, units, seed and generator.

        Levels are left out: each has its own key, so one more does not change the others.
        """
        text = "\x1f".join(["gaussian", self.units, str(self.seed), self.generator])
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def key(self, content_id: str, variant: int) -> bytes:
        """Return the 16-byte key of one picture's noise at one level."""
        return seeds.digest(self.seed, "noise", self.generator, content_id, variant)


def gaussian(keys: Sequence[bytes], shape: Sequence[int], device: torch.device) -> torch.Tensor:
    """Return standard normal noise, one array per key.

    A key's stream of 32-bit numbers x (low half of each word first) is mapped to
    u = (x + 1/2) / 2^32, in (0, 1]. Its first half gives radii sqrt(-2 ln u), its second half
    angles 2 pi u; the output is every r cos(a), then every r sin(a). So |z| < 6.77.

    Args:
        keys: K keys of 16 bytes.
        shape: of one array.
        device: where to compute. The words are equal everywhere; logarithms and sines of two
            kinds of device agree to rounding.

    Returns:
        (K, *shape) float32 on ``device``.
    """
    import torch

    size = math.prod(shape)
    pairs = -(-size // 2)
    if device.type == "cpu":  # NumPy: no thread pool to wake for arrays this small
        rows = np.empty((len(keys), size), np.float32)
        for row, key in zip(rows, keys, strict=True):
            halves = philox.words_numpy(key, pairs).astype("<u8", copy=False).view("<u4")
            row[:] = _box_muller(np, halves.astype(np.float32))[:size]
        return torch.from_numpy(rows).view(len(keys), *shape)
    normals = torch.empty((len(keys), size), device=device)
    for start in range(0, len(keys), _KEYS):
        words = philox.words_torch(keys[start : start + _KEYS], pairs, device)
        normals[start : start + _KEYS] = _box_muller(torch, _halves(words))[:, :size]
    return normals.view(len(keys), *shape)


def add(
    unit: torch.Tensor,
    levels: Sequence[float],
    keys: Sequence[bytes],
    preprocess: Preprocess,
    units: str,
) -> torch.Tensor:
    """Return normalised inputs with noise added.

    Args:
        unit: (B, C, H, W) float32 in [0, 1]; overwritten.
        levels: B standard deviations.
        keys: B keys of 16 bytes.
        preprocess: mean and standard deviation of the normalisation.
        units: "normalised" or "unit".

    Returns:
        (B, C, H, W) float32, normalised, on the device of ``unit``.
    """
    noise = gaussian(keys, unit.shape[1:], unit.device)
    noise.mul_(unit.new_tensor(levels).view(-1, 1, 1, 1))
    if units == UNIT:
        return standardise(unit.add_(noise).clamp_(0, 1), preprocess)
    return standardise(unit, preprocess).add_(noise)


def _halves(words: torch.Tensor) -> torch.Tensor:
    """Split words (..., N) into 32-bit numbers (..., 2 N), low half first, as float32."""
    import torch

    low, high = words & 0xFFFFFFFF, (words >> 32) & 0xFFFFFFFF
    return torch.stack((low, high), dim=-1).flatten(-2).to(torch.float32)


def _box_muller(xp: Any, numbers: Any) -> Any:
    """Turn 32-bit numbers (..., 2 N), float32, into normals (..., 2 N); overwrites them.

    ``xp`` is the module of the arrays, numpy or torch: one formula for every device.
    """
    half = numbers.shape[-1] // 2
    numbers *= 2.0**-32
    numbers += 2.0**-33
    radius = xp.sqrt(-2 * xp.log(numbers[..., :half]))
    angle = numbers[..., half:] * (2 * math.pi)
    return xp.concatenate((radius * xp.cos(angle), radius * xp.sin(angle)), -1)
