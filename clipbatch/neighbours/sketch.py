"""Short, coarse rows whose products bound every cosine from above: nothing similar is missed.

Capitals: N rows, D numbers a row, K coordinates kept.

Let u, v be directions (length 1), V a (D, K) matrix of orthonormal columns, p = V'u, and a any
rounding of p to few bits. Write u = V a + r and v = V b + s. Then, since V'V = I,

    u.v = a.b + a.(V's) + (V'r).b + r.s,   V'r = p - a,   |r|^2 = |u|^2 - 2 a.p + |a|^2,

and by Cauchy-Schwarz u.v <= a.b + |r||s| + |a||V's| + |V'r||b|. The first two terms are one product
of the K + 1 numbers (a, |r|) and (b, |s|), with |r| rounded up. The last two are at most
what ``reach`` returns. With leading principal components as V, |r| is small; with bfloat16,
|p - a| < 2^-8 |p|. (Filtering by a bound from few coordinates: Faloutsos et al. 1994.)

Rounding of the products themselves: K + 1 products, exact or rounded to float32, are added in
float32 in any order, which errs by at most (K + 1) 2^-23 |(a, |r|)||(b, |s|)| (Higham 2002,
section 3.1, with 2^-23 for processors that do not round to nearest). Rounding the sum to bfloat16
is monotone, so a sum at or above a bfloat16 number stays at or above it.
"""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.neighbours.rows import slices
from clipbatch.neighbours.threads import Threads

KEPT: Final = 191  # with the rest's norm 192 numbers: measured as the cheapest in all
SAMPLE: Final = 8192  # rows that the components are computed from
PAD: Final = 64  # a tile's width is a multiple of it; see scan.py

Basis = NDArray[np.float64] | None


@dataclass(frozen=True)
class Sketch:
    """Short rows of one set.

    Attributes:
        short: torch tensor (N rounded up to PAD, K + 1), bfloat16 or float32; the padding is zero.
        off: largest |p - a| of any row.
        size: largest |(a, |r|)| of any row.
    """

    short: Any
    off: float
    size: float


def basis(directions: NDArray[np.float32], kept: int = KEPT) -> Basis:
    """Return the leading principal components, (D, K) with orthonormal columns.

    None, which stands for the identity, where D is hardly more than ``kept``. The choice moves
    only the work: the bound holds for any orthonormal columns.
    """
    dim = directions.shape[1]
    if dim <= kept + kept // 4:
        return None
    chosen = directions[:: max(1, len(directions) // SAMPLE)][:SAMPLE].astype(np.float64)
    # Not centred: the mean direction is what most rows share, so it is the first component.
    if len(chosen) < dim:  # fewer rows than numbers: the smaller of the two Gram matrices
        _, vectors = np.linalg.eigh(chosen @ chosen.T)
        found = chosen.T @ vectors[:, ::-1][:, :kept]
    else:
        found = np.linalg.eigh(chosen.T @ chosen)[1][:, ::-1][:, :kept]
    orthonormal: NDArray[np.float64] = np.linalg.qr(found)[0]
    return orthonormal


def sketch(
    directions: NDArray[np.float32], components: Basis, kind: str, at_once: Threads
) -> Sketch:
    """Shorten rows.

    Args:
        directions: (N, D) of length 1; rows of zeros stay zero.
        components: from ``basis``, of any set of rows.
        kind: "bfloat16" or "float32".
        at_once: threads.
    """
    import torch

    n, dim = directions.shape
    width = dim if components is None else components.shape[1]
    short = torch.zeros(-(-n // PAD) * PAD, width + 1, dtype=getattr(torch, kind))
    up = 1 + 2.0 ** (-6 if kind == "bfloat16" else -21)  # so that rounding cannot make it smaller

    def fill(part: slice) -> tuple[float, float]:
        exact = directions[part].astype(np.float64)
        p = exact if components is None else exact @ components
        short[part, :width] = torch.from_numpy(p).to(short.dtype)
        a = short[part, :width].double().numpy()
        square = (exact * exact).sum(axis=1) - 2 * (a * p).sum(axis=1) + (a * a).sum(axis=1)
        rest = np.sqrt(np.maximum(square, 0) + 1e-13)
        short[part, width] = torch.from_numpy(rest * up).to(short.dtype)
        whole = short[part].double().numpy()
        return (np.linalg.norm(p - a, axis=1).max(), np.linalg.norm(whole, axis=1).max())

    off, size = np.array([(0.0, 0.0), *at_once.map(fill, slices(n, dim))]).max(axis=0)
    return Sketch(short, float(off), float(size))


def reach(x: Sketch, y: Sketch) -> float:
    """Return how far a product of two sketches may lie below the product that it bounds.

    The product is that of directions; float64 errs by less than 1e-9 on the way to the sketches.
    """
    summed = x.short.shape[1] * 2.0**-23 * x.size * y.size
    total: float = x.off * y.size + y.off * x.size + summed + 1e-9
    return total


@cache
def kinds() -> tuple[str, ...]:
    """Which kinds of short rows does this processor multiply quickly, best first?

    bfloat16 takes part where it is quicker on a fixed probe, and where the probe's products are
    within the bound above (some libraries add in bfloat16). It moves only the work.
    """
    import torch

    draw = torch.Generator().manual_seed(0)
    fine = torch.randn(512, KEPT + 1, generator=draw).abs()
    coarse = (fine / fine.norm(dim=1, keepdim=True)).bfloat16()
    exact = coarse.double() @ coarse.double().T
    with Threads():
        quick, product = _timed(coarse)
        slow, _ = _timed(coarse.float())
    within = 2.0**-8 * exact + coarse.shape[1] * 2.0**-22
    honest = bool(((product.double() - exact).abs() <= within).all())
    return ("bfloat16", "float32") if honest and quick < slow else ("float32",)


def _timed(rows: Any) -> tuple[float, Any]:
    """Return the shortest of some CPU times of a product, in s, and the product."""
    import torch

    out = torch.empty(len(rows), len(rows), dtype=rows.dtype)
    took = []
    for _ in range(9):
        started = time.thread_time()
        torch.mm(rows, rows.T, out=out)
        took.append(time.thread_time() - started)  # a busy machine does not count
    return min(took), out
