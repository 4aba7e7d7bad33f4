"""Encoder "pixels": a picture is its brightness values, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipbatch.config import EmbedConfig
from clipbatch.embed.encoder import EncoderSpec, Preprocess
from clipbatch.errors import ConfigError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Pixels:
    """Luma of every pixel, in [0, 1] for a clean picture; not of unit length.

    Attributes:
        spec: what the encoder promises.
        device: where it runs.
    """

    spec: EncoderSpec
    device: torch.device

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Turn (B, 1, H, W) into (B, H W), row by row."""
        return inputs.flatten(1)

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Refuse: brightness has no text side."""
        raise NotImplementedError(
            f"pixels cannot encode {len(texts)} prompts; "
            "choose an open_clip model, e.g. embed.encoder=ViT-B-32"
        )


def describe(config: EmbedConfig, size: tuple[int, int] | None = None) -> EncoderSpec:
    """Say what the encoder promises.

    Args:
        config: ``pixels_side`` squashes every picture to a square; 0 keeps their own size.
        size: (height, width) of the pictures, for ``pixels_side=0``.

    Raises:
        ConfigError: the side is negative, or 0 where the size is not known.
    """
    if config.weights:
        raise ConfigError(f"embed.weights: got {config.weights!r}, but pixels has none; remove it")
    side = config.pixels_side
    if side < 0 or (side == 0 and size is None):
        raise ConfigError(
            f"embed.pixels_side: got {side}, expected the side of the input in pixels, e.g. 28 "
            "(0 keeps the pictures' own size, where that is known)"
        )
    height, width = (side, side) if side else size or (0, 0)
    preprocess = Preprocess(
        height=height,
        width=width,
        resize="squash" if side else "keep",
        interpolation="bilinear",
        mode="L",
        mean=(0.0,),
        std=(1.0,),
    )
    return EncoderSpec("pixels", "", height * width, unit_length=False, preprocess=preprocess)


def load(config: EmbedConfig, spec: EncoderSpec, device: torch.device) -> Pixels:
    """Return the encoder; there is nothing to load."""
    return Pixels(spec, device)
