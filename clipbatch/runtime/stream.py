"""Small Arrow tables through Ray Data, and back to the driver as they are done."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from clipbatch.errors import ClipbatchError, Incomplete

# Bounded, unlike Ray's defaults: a picture that kills its worker must end the pass, so that it can
# be isolated. The caller's passes take over where these retries end.
TASK_RETRIES = 2
ACTOR_RESTARTS = 20
READ_CPUS = 0.5  # reading waits more than it computes, and the OS shares the rest fairly


def stream(
    blocks: Sequence[pa.Table],
    function: Callable[..., pa.Table],
    settings: Mapping[str, Any],
    actor: "Actor | None" = None,
) -> Generator[pa.Table]:
    """Yield each block's answer as soon as it is ready, in any order.

    Args:
        blocks: one task each.
        function: block -> block, run as tasks.
        settings: keyword arguments of function.
        actor: where given, a second stage of actors.

    Raises:
        Incomplete: workers or nodes died more often than retries allow; what was yielded stands.
    """
    import ray
    from ray.data.exceptions import ExecutionTimeoutError
    from ray.exceptions import RayError

    if not blocks:
        return
    rows = max(block.num_rows for block in blocks)
    dataset = ray.data.from_arrow(list(blocks)).map_batches(
        function,
        batch_size=rows,
        batch_format="pyarrow",
        fn_kwargs=dict(settings),
        num_cpus=READ_CPUS,
        max_retries=TASK_RETRIES,
    )
    if actor is not None:
        dataset = actor.apply(dataset, rows)
    try:
        yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    except (RayError, ExecutionTimeoutError) as error:
        raise ours(error) or Incomplete(f"workers failed: {last_line(error)}") from error


def ours(error: BaseException) -> ClipbatchError | None:
    """Return the error of ours that a worker raised, from under Ray's wrappings."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ClipbatchError):
            return found
        found = getattr(found, "cause", None) or found.__cause__
    return None


def last_line(error: BaseException) -> str:
    """Return what an error of Ray's comes down to."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"


class Actor:
    """A second stage of ``stream``: a class whose instances hold what is costly to load."""

    def __init__(
        self, cls: type, settings: Mapping[str, Any], count: int, num_cpus: float, num_gpus: float
    ) -> None:
        self.cls, self.settings, self.count = cls, dict(settings), count
        self.num_cpus, self.num_gpus = num_cpus, num_gpus

    def start(self) -> Any:
        """Start one instance outside of any dataset; a crash of it is final."""
        import ray

        remote: Any = ray.remote(num_cpus=self.num_cpus, num_gpus=self.num_gpus)(self.cls)
        return remote.remote(**self.settings)

    def apply(self, dataset: Any, rows: int) -> Any:
        """Append the stage to a dataset."""
        import ray

        return dataset.map_batches(
            self.cls,
            batch_size=rows,
            batch_format="pyarrow",
            fn_constructor_kwargs=self.settings,
            compute=ray.data.ActorPoolStrategy(size=self.count),
            num_cpus=self.num_cpus,
            num_gpus=self.num_gpus,
            max_restarts=ACTOR_RESTARTS,
            max_task_retries=TASK_RETRIES,
        )
