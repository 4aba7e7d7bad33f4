"""The offline encoder on one device: pictures at once, words when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipbatch.embed.joint import model
from clipbatch.embed.openclip import OpenClip


class OfflineLite(OpenClip):
    """An open_clip model in two halves: actors that see pictures need no text tower.

    ``network`` is the image half, with norms and padding folded into its convolutions. The whole
    model, as open_clip builds it, is made by the first call of ``encode_text``.
    """

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Turn prompts into unit vectors (N, D).

        Raises:
            ConfigError: the text tower's package is missing or a file has other bytes.
        """
        model.register()
        return super().encode_text(texts)

    def text_network(self) -> Any:
        """Return the whole model of open_clip."""
        return self._whole

    @cached_property
    def _whole(self) -> Any:
        return model.create().to(self.device)
