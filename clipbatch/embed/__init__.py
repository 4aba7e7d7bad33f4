"""Pictures to vectors: noise, preprocessing, encoders, and batches of one fixed shape.

To add an encoder, write one file with ``describe(config, size)`` and ``load(config, spec,
device)``, and one line in ENCODERS.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # the list must be readable without torch
    import torch

    from clipbatch.config import EmbedConfig
    from clipbatch.embed.encoder import Encoder, EncoderSpec

ENCODERS: Final = {
    "offline-lite": "clipbatch.embed.offline",
    "pixels": "clipbatch.embed.pixels",
}
ANY_OTHER: Final = "clipbatch.embed.openclip"  # every other name is a model of open_clip


def describe(config: EmbedConfig, size: tuple[int, int] | None = None) -> EncoderSpec:
    """Say what is known of the configured encoder without building its network.

    Args:
        config: which encoder, with which weights.
        size: (height, width) of the pictures; only "pixels" with ``pixels_side=0`` needs it.

    Raises:
        ConfigError: no such encoder, or its weights are not to be had.
    """
    spec: EncoderSpec = _module(config).describe(config, size)
    return spec


def load(config: EmbedConfig, device: torch.device, spec: EncoderSpec | None = None) -> Encoder:
    """Load the configured encoder onto a device.

    Args:
        config: which encoder, with which weights.
        device: where it runs.
        spec: what ``describe`` said on the driver; weights that differ from it are refused.

    Raises:
        ConfigError: the weights cannot be read, do not fit the model, or differ from the spec's.
    """
    encoder: Encoder = _module(config).load(config, spec or describe(config), device)
    return encoder


def _module(config: EmbedConfig) -> Any:
    return importlib.import_module(ENCODERS.get(config.encoder, ANY_OTHER))
