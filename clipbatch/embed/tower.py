"""An image network on one device: its layout, its precision, and unit length."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from clipbatch.embed import noise
from clipbatch.embed.encoder import EncoderSpec

Forward = Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]

HALF_TOLERANCE: Final = 1e-4  # of 1 - cos between a half and a full precision vector
_PROBES: Final = 4


class Tower:
    """An encoder around a network that turns (B, C, H, W) into (B, D).

    On a GPU the network is kept in float16, after its vectors of a few noise pictures have been
    found within HALF_TOLERANCE of the float32 ones; otherwise it stays in float32. Vectors are
    always normalised in float32.

    Attributes:
        spec: what the encoder promises.
        device: where it runs.
        network: evaluation mode, channels last.
        dtype: of the network's weights.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        spec: EncoderSpec,
        device: torch.device,
        *,
        forward: Forward | None = None,
        half: bool | None = None,
    ) -> None:
        """Move the network to the device.

        Args:
            network: float32, on the CPU.
            spec: what the encoder promises.
            device: where it will run.
            forward: how to get vectors out of the network; calling it, by default.
            half: whether to try float16; None does on GPUs.
        """
        self.spec = spec
        self.device = device
        self.dtype = torch.float32
        self._forward: Forward = forward or (lambda net, inputs: net(inputs))
        self.network = network.eval().requires_grad_(False)
        self.network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if half if half is not None else device.type == "cuda":
            self._halve()

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Turn ready inputs (B, C, H, W) into vectors (B, D), float32; unit rows where promised."""
        return self._vectors(self.network, inputs, self.dtype)

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Refuse: an image network alone has no text side."""
        raise NotImplementedError(
            f"{self.spec.name} has no text tower and cannot encode {len(texts)} prompts; "
            "choose embed.encoder=offline-lite or a model of open_clip"
        )

    @torch.inference_mode()
    def _vectors(
        self, network: torch.nn.Module, inputs: torch.Tensor, dtype: torch.dtype
    ) -> torch.Tensor:
        inputs = inputs.to(dtype=dtype).contiguous(memory_format=torch.channels_last)
        vectors = self._forward(network, inputs).float()
        return torch.nn.functional.normalize(vectors) if self.spec.unit_length else vectors

    def _halve(self) -> None:
        keys = [bytes([i] * 16) for i in range(_PROBES)]
        probes = noise.gaussian(keys, self.spec.preprocess.shape, self.device)
        half = copy.deepcopy(self.network).to(torch.float16)
        full_vectors = self._vectors(self.network, probes, torch.float32)
        half_vectors = self._vectors(half, probes, torch.float16)
        cosines = torch.nn.functional.cosine_similarity(full_vectors, half_vectors)
        if bool((1 - cosines <= HALF_TOLERANCE).all()):  # false for NaN: float16 overflowed
            self.network, self.dtype = half, torch.float16
