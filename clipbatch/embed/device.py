"""Where a network runs, and how a process is set up for it.

PyTorch, two seconds to import, is imported where it is used: a night without news needs none.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch

_M_TRIM_THRESHOLD: Final = -1  # <malloc.h> of glibc
_M_MMAP_THRESHOLD: Final = -3
_KEEP_BYTES: Final = 1 << 30


def device() -> torch.device:
    """Return the GPU that this process sees, or the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def set_threads(count: int) -> int:
    """Set how many CPU threads one forward pass takes.

    Args:
        count: threads; 0 takes the processors this process may use.

    Returns:
        The number in force.
    """
    if count <= 0:
        count = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    import torch

    torch.set_num_threads(count)
    return count


def keep_memory() -> bool:
    """Let this process keep the memory of activations instead of returning it after each layer.

    By default glibc maps and unmaps every large block, and the kernel clears its pages anew:
    about 5,000 page faults a picture and a third of the time of EfficientNet-Lite0 on a CPU.

    Returns:
        Whether the C library could be told; it is glibc's alone.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    done = [mallopt(name, _KEEP_BYTES) for name in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD)]
    return all(done)
