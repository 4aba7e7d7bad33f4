"""The loops of ``kernels``, compiled for this processor, and kept on disk where that may be.

A process that finds them there starts in a tenth of the time. numba keeps them beside the source,
or under the user's cache where that is read-only, or in ``NUMBA_CACHE_DIR``; by the file, the
version and the processor. Where nothing can be kept each process compiles what it uses.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from clipbatch.neighbours.sketch import PAD


@cache
def compiled_pairs(kind: str) -> Any:
    """Return ``kernels.pairs`` for tiles of this kind."""
    import numba

    t: Any = numba.types

    from clipbatch.neighbours import kernels

    number = t.int16 if kind == "bfloat16" else t.float32
    rows = _given(t.float32, 2)
    sides = t.Tuple((rows, rows))
    return _compiled(
        kernels.pairs,
        t.int64(_given(number, 3), number, sides, t.float32, t.int64, t.Array(t.int32, 2, "C")),
    )


@cache
def compiled_nearest(kind: str) -> Any:
    """Return ``kernels.nearest`` for tiles of this kind."""
    import numba

    t: Any = numba.types

    from clipbatch.neighbours import kernels

    number = t.int16 if kind == "bfloat16" else t.float32
    rows, lengths = _given(t.float32, 2), _given(t.float64, 1)
    sides = t.Tuple((rows, lengths, rows, lengths, _given(t.int64, 1)))
    kept = (t.Array(t.int32, 2, "C"), t.Array(t.float32, 2, "C"))
    held = t.Tuple((*kept, t.Array(t.int64, 1, "C"), t.Array(number, 1, "C")))
    return _compiled(
        kernels.nearest,
        t.void(_given(number, 3), t.int64, t.float64, sides, held, t.boolean),
    )


def entries(tile: Any) -> Any:
    """Return a torch tile (R, C * PAD) in groups, (R, C, PAD), as NumPy compares it.

    NumPy has no bfloat16; above zero its bits, read as int16, are in the order of the numbers, and
    all numbers below zero are below them.
    """
    import torch

    groups = tile.view(len(tile), -1, PAD)
    return groups.numpy() if tile.dtype == torch.float32 else groups.view(torch.int16).numpy()


def _given(number: Any, dimensions: int) -> Any:
    """Return the type of an array that is only read; one that may be written is taken as well."""
    from numba import types

    return types.Array(number, dimensions, "C", readonly=True)


def _compiled(function: Callable[..., Any], signature: Any) -> Any:
    import numba

    try:
        return numba.njit(signature, nogil=True, cache=True)(function)
    except Exception:  # noqa: BLE001
        # No place to keep it, a full disk, a damaged file there: none of it is worth a failure,
        # and what is wrong with the function itself is raised again below.
        return numba.njit(signature, nogil=True)(function)
