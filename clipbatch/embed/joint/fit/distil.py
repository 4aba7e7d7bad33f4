"""Teach a small network what kriging knows: from a sentence's embedding to a direction of looks.

One hidden layer of GELU without biases, trained by squared error with noise on its input and
dropout. Where phrases disagree it answers with a short vector, and whoever uses it normalises.
Everything is float64 on one thread, so that the weights, once rounded to float16, hang as little as
can be on how a processor orders its sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

_LENGTH: Final = 6.5  # of embeddings in here, as the text tower gives them; sets the pace
_START: Final = (0.05, 0.01)  # standard deviations of the weights at first


@dataclass(frozen=True)
class Training:
    """How the network is trained.

    Attributes:
        hidden: units.
        steps, batch: of the optimiser, and phrases in each.
        rate: the highest learning rate, of a one-cycle schedule.
        decay: weight decay.
        noise: length of the Gaussian noise added to an embedding of length 1.
        dropout: share of hidden units left out.
        seed: of the draws.
    """

    hidden: int = 832
    steps: int = 900
    batch: int = 512
    rate: float = 2e-3
    decay: float = 1e-2
    noise: float = 0.8
    dropout: float = 0.3
    seed: int = 0


def distil(
    embeddings: NDArray[np.float64],
    targets: NDArray[np.float64],
    weights: NDArray[np.float64],
    how: Training,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Train the network.

    Args:
        embeddings: of the phrases, (N, E), length 1.
        targets: where they should point, (N, D), length 1.
        weights: how often each is drawn, (N,).
        how: the training.

    Returns:
        The hidden layer (H, E) and the output layer (D, H).
    """
    draws = torch.Generator().manual_seed(how.seed)
    shapes = (how.hidden, embeddings.shape[1]), (targets.shape[1], how.hidden)
    hidden, out = (
        torch.randn(shape, generator=draws, dtype=torch.float64).mul_(scale).requires_grad_()
        for shape, scale in zip(shapes, _START, strict=True)
    )
    optimiser = torch.optim.AdamW([hidden, out], lr=how.rate, weight_decay=how.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, how.rate, total_steps=how.steps, pct_start=0.1
    )
    inputs, goals, chances = map(torch.from_numpy, (embeddings * _LENGTH, targets, weights))
    spread = how.noise * _LENGTH / embeddings.shape[1] ** 0.5
    for _ in range(how.steps):
        drawn = torch.multinomial(chances, how.batch, replacement=True, generator=draws)
        x = inputs[drawn]
        noise = torch.randn(x.shape, generator=draws, dtype=x.dtype) * spread
        kept = torch.rand((how.batch, how.hidden), generator=draws, dtype=x.dtype) >= how.dropout
        active = functional.gelu((x + noise) @ hidden.T) * kept / (1 - how.dropout)
        loss = (active @ out.T - goals[drawn]).square().sum(dim=1).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return hidden.detach().numpy() * _LENGTH, out.detach().numpy()
