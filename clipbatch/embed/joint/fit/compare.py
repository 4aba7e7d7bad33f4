"""How far is a fit made here from the one that is shipped?"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from safetensors.torch import load


def differences(shipped: bytes, fitted: bytes) -> Iterator[str]:
    """Say for every tensor how far the two files differ, a line each.

    Args:
        shipped: the file in the package, safetensors.
        fitted: the file made here.
    """
    ours, theirs = load(shipped), load(fitted)
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours or name not in theirs or ours[name].shape != theirs[name].shape:
            yield f"{name}: only in one of them, or of another shape"
            continue
        left, right = ours[name].double().flatten(), theirs[name].double().flatten()
        worst = float((left - right).abs().max())
        cosine = float(torch.nn.functional.cosine_similarity(left, right, dim=0))
        yield f"{name}: largest difference {worst:.2e}, 1 - cos {1 - cosine:.2e}"
