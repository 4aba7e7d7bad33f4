"""Embeddings of many texts by the text tower alone, each text once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from clipbatch.embed.joint import model

_BATCH: Final = 64


class Embeddings:
    """The text tower without a head, in float64, with a memory.

    Float64 is slower, and makes the fit independent of how a processor orders its sums.
    """

    def __init__(self, text: Any) -> None:
        """Take a model's text tower; its head is left out, itself it is changed to float64."""
        import open_clip

        self._transformer = text.transformer.double()
        self._pooler = text.pooler
        self._padding = text.config.pad_token_id
        self._tokenizer: Any = open_clip.get_tokenizer(model.NAME)
        self._known: dict[str, NDArray[np.float64]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return embeddings of length 1, (N, EMBEDDING)."""
        self._learn(dict.fromkeys(text for text in texts if text not in self._known))
        return np.stack([self._known[text] for text in texts])

    def pieces(self, word: str) -> int:
        """Return how many pieces the tokenizer cuts a word into."""
        return len(self._tokenizer.tokenizer.tokenize(word))

    @torch.inference_mode()
    def _learn(self, texts: Iterable[str]) -> None:
        ordered = sorted(texts, key=lambda text: (len(text), text))  # little padding
        for start in range(0, len(ordered), _BATCH):
            part = ordered[start : start + _BATCH]
            tokens = self._tokenizer(part)
            tokens = tokens[:, : int((tokens != self._padding).sum(dim=1).max())]
            mask = (tokens != self._padding).long()
            pooled = self._pooler(self._transformer(tokens, attention_mask=mask), mask)
            vectors = torch.nn.functional.normalize(pooled).numpy()
            self._known.update(zip(part, vectors, strict=True))
