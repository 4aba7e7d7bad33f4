"""From each tower's features to the joint space: what is fitted, and nothing else."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn
from torch.nn import functional

FEATURES: Final = 1280  # of the image tower
CLASSES: Final = 1000  # of the image tower
EMBEDDING: Final = 384  # of the text tower
HIDDEN: Final = 832
LOOKS: Final = 512
LABELS: Final = 256
DIM: Final = LOOKS + LABELS


class ImageHead(nn.Module):
    """Pooled features of the image tower (B, FEATURES) to the joint space (B, DIM).

    Attributes:
        classes: the tower's own classifier.
        temperature: of its posterior; above 1, since most pictures show none of its classes.
        length: of the labels, beside looks of a length of about 1.
    """

    temperature: torch.Tensor
    length: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Linear(FEATURES, CLASSES)
        self.looks = nn.Linear(FEATURES, LOOKS, bias=False)
        self.labels = nn.Linear(CLASSES, LABELS, bias=False)
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("length", torch.ones(()))

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return looks and labels, side by side."""
        # Square roots keep one strong feature from drowning the many weak ones.
        looks = self.looks(functional.normalize(pooled.clamp_min(0).sqrt()))
        believed = functional.softmax(self.classes(pooled) / self.temperature, dim=-1)
        labels = functional.normalize(self.labels(believed))
        return torch.cat([looks, self.length * labels], dim=-1)


class TextHead(nn.Module):
    """Pooled embeddings of the text tower (B, EMBEDDING) to the joint space (B, DIM).

    Attributes:
        length: of the labels, beside looks of length 1.
    """

    length: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(EMBEDDING, HIDDEN, bias=False)
        self.looks = nn.Linear(HIDDEN, LOOKS, bias=False)
        self.labels = nn.Linear(EMBEDDING, LABELS)
        self.register_buffer("length", torch.ones(()))

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return looks and labels, side by side."""
        embedding = functional.normalize(pooled)
        looks = functional.normalize(self.looks(functional.gelu(self.hidden(embedding))))
        labels = functional.normalize(self.labels(embedding))
        return torch.cat([looks, self.length * labels], dim=-1)
