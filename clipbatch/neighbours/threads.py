"""A few threads that each compute alone: libraries' own threads wait for each other too often."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class Threads:
    """While this is open, BLAS and torch take one thread, and ``map`` takes ``count``."""

    def __init__(self, count: int = 1) -> None:
        self.count = count

    def __enter__(self) -> Self:
        import torch
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        self._torch = torch.get_num_threads()
        self._limits: Any = threadpool_limits(1)
        torch.set_num_threads(1)
        # A new thread would start with torch's default, whatever is set in this one.
        self._pool = (
            ThreadPoolExecutor(self.count, initializer=torch.set_num_threads, initargs=(1,))
            if self.count > 1
            else None
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        import torch

        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._limits.restore_original_limits()
        torch.set_num_threads(self._torch)

    def map(self, function: Callable[[A], R], items: Iterable[A]) -> Iterator[R]:
        """Call a function for every item; answers come in the order of the items."""
        return map(function, items) if self._pool is None else self._pool.map(function, items)
