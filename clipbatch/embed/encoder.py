"""What every encoder promises: a preprocessing that is data, and vectors from ready tensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # tasks that only decode need Preprocess, not torch
    import torch


@dataclass(frozen=True)
class Preprocess:
    """How decoded pixels become the encoder's input: data, so that decoding needs no weights.

    Attributes:
        height, width: of the input, pixels.
        resize: "shortest" (then centre crop), "longest" (then pad), "squash", or "keep"
            (every picture must have this size already).
        interpolation: "bicubic", "bilinear" or "nearest".
        mode: "RGB" or "L" (luma).
        mean, std: per channel, of pixels in [0, 1].
        crop: share of the picture's shorter side that the centre crop keeps, (0, 1].
    """

    height: int
    width: int
    resize: str = "shortest"
    interpolation: str = "bicubic"
    mode: str = "RGB"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    crop: float = 1.0

    @property
    def channels(self) -> int:
        """Number of channels of the input."""
        return len(self.mode)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one input, (C, H, W)."""
        return self.channels, self.height, self.width

    def fingerprint(self) -> str:
        """Return 8 hex digits that change when any field does."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class EncoderSpec:
    """What is known of an encoder before its weights are loaded.

    Attributes:
        name: as the configuration gives it, e.g. "ViT-B-32".
        weights: hub tag, or hash of the local weights file.
        dim: length of a vector.
        unit_length: whether vectors have norm 1 (checked on every merge).
        preprocess: pixels to input.
    """

    name: str
    weights: str
    dim: int
    unit_length: bool
    preprocess: Preprocess

    @property
    def slug(self) -> str:
        """Name of the table: model, weights and preprocessing; change any and it is another."""
        text = "-".join(filter(None, [self.name, self.weights, self.preprocess.fingerprint()]))
        return "".join(c if c.isalnum() or c in "-_." else "_" for c in text).lower()


class Encoder(Protocol):
    """A loaded network on one device."""

    spec: EncoderSpec
    device: torch.device

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Turn ready inputs into vectors.

        Args:
            inputs: (B, C, H, W) float32, normalised, on the encoder's device.

        Returns:
            (B, D) float32 on the same device, unit rows where the spec declares it.
        """
        ...

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Turn prompts into vectors, (N, D); NotImplementedError where there is no text tower."""
        ...
