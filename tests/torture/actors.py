"""The product's encoding actor, which also says what it did and takes its time over it."""

import os
import time
from typing import Any

import pyarrow as pa

from clipbatch.runtime.actor import Embedder
from tests.torture.points import Log


class CountedEmbedder(Embedder):
    """Log how many vectors each block cost before it is handed over, and that it was.

    The log and the pause are settings of the driver, handed over by ``bound``.
    """

    log = ""
    pause_s = 0.0

    def __call__(self, block: pa.Table) -> pa.Table:
        found = super().__call__(block)
        counts = found.column("variants").to_pylist()
        Log(self.log).write(embedded=sum(map(len, counts)), pid=os.getpid())
        time.sleep(self.pause_s)
        Log(self.log).write(handed=os.getpid())
        return found


def bound(log: str, pause_s: float) -> type[CountedEmbedder]:
    """Return the actor's class with its settings: workers receive it by value."""

    def init(self: CountedEmbedder, **settings: Any) -> None:
        self.log, self.pause_s = log, pause_s
        CountedEmbedder.__init__(self, **settings)

    return type("CountedEmbedder", (CountedEmbedder,), {"__init__": init})
