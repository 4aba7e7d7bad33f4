"""Ray Data's own loop looks whether there is a node for its work, and ends where there is none."""

from typing import Any, ClassVar

from ray.data._internal.execution.execution_callback import ExecutionCallback

from clipbatch.runtime.patience import Patience


class Look(ExecutionCallback):
    """Called at every step of a stream's loop, in a thread of Ray Data's.

    Ray Data makes the instances itself and sends the class to every worker by name, so what it
    needs is the class's: one stream is at work at a time.
    """

    patience: ClassVar[Patience | None] = None

    def on_execution_step(self, executor: Any) -> None:
        """Look; an exception ends the stream and reaches whoever reads from it."""
        if self.patience is not None:
            self.patience.look()
