"""What one picture may cost the process that decodes it: so much memory, so many seconds."""

import faulthandler
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

DECODE_S: Final = 120.0  # a decoder that takes longer is taken to be caught in a loop

# Measured per pixel: 10 bytes (JPEG, PNG) to 25 (JPEG 2000 with transparency), all copies
# included. Whole files are copied once or twice. The rest is for buffers of a fixed size.
BYTES_A_PIXEL: Final = 32
COPIES: Final = 3
SPARE_BYTES: Final = 256 * 1024 * 1024

_STATM: Final = Path("/proc/self/statm")
_DATA_PAGES: Final = 5  # which field of statm: private memory that can be written
_STDERR: Final = 2


def memory_bound(max_pixels: int, file_bytes: int) -> int:
    """Return the bytes that decoding one picture may add to its process."""
    return BYTES_A_PIXEL * max_pixels + COPIES * file_bytes + SPARE_BYTES


@contextmanager
def within(seconds: float, extra_bytes: int) -> Iterator[None]:
    """Bound what the block costs; on Linux, memory as well as time.

    Beyond the memory an allocation fails, which decoders turn into an error. Beyond the time the
    process ends, since nothing else stops a loop in a C library: the picture is then one that
    kills its worker, and is treated as such.

    Args:
        seconds: of wall-clock time.
        extra_bytes: beyond what the process holds now.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=_STDERR)
    try:
        with _no_more_than(extra_bytes):
            yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def _no_more_than(extra_bytes: int) -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    held = int(_STATM.read_bytes().split()[_DATA_PAGES]) * resource.getpagesize()
    known = [limit for limit in (soft, hard, held + extra_bytes) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(known), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
