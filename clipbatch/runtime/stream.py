"""Small Arrow tables through Ray Data, and back to the driver as they are done."""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from clipbatch.errors import ClipbatchError, Incomplete
from clipbatch.runtime.patience import Need, Patience

# Bounded, unlike Ray's defaults: a picture that kills its worker must end the pass, so that it can
# be isolated. The caller's passes take over where these retries end.
TASK_RETRIES = 2
ACTOR_RESTARTS = 20
READ_CPUS = 0.5  # reading waits more than it computes, and the OS shares the rest fairly
_RAISED = re.compile(r"[\w.]+(Error|Exception): ")
LONGEST = 200  # characters of an error; Ray's hold what gRPC said, several times over
STUCK_S = 1800.0  # without any progress although there are nodes


class WorkersFailed(Incomplete):
    """Workers died more often than retries allow: of a picture, of their node or of want.

    Attributes:
        raised: a stage raised an exception, which it does for no picture; nobody died.
    """

    def __init__(self, message: str, *, raised: bool = False) -> None:
        super().__init__(message)
        self.raised = raised


def stream(
    blocks: Sequence[pa.Table],
    function: Callable[..., pa.Table],
    settings: Mapping[str, Any],
    patience: Patience,
    actor: "Actor | None" = None,
) -> Generator[pa.Table]:
    """Yield each block's answer as soon as it is ready, in any order.

    Args:
        blocks: one task each.
        function: block -> block, run as tasks.
        settings: keyword arguments of function.
        patience: ends a wait for a node that does not come.
        actor: where given, a second stage of actors.

    Raises:
        WorkersFailed: workers or nodes died more often than retries allow; what was yielded stands.
        Incomplete: as patience.
    """
    import ray
    from ray.data.exceptions import ExecutionTimeoutError
    from ray.exceptions import RayError

    if not blocks:
        return
    from clipbatch.runtime.callback import Look

    rows = max(block.num_rows for block in blocks)
    Look.patience = patience
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
    dataset.context.custom_execution_callback_classes = [Look]
    dataset.context.execution_no_progress_timeout_s = max(STUCK_S, 2 * patience.wait_s)
    try:
        yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    except (RayError, ExecutionTimeoutError) as error:
        raise ours(error) or workers_failed(error) from error
    finally:
        Look.patience = None


def ours(error: BaseException) -> ClipbatchError | None:
    """Return the error of ours that a worker raised, from under Ray's wrappings."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ClipbatchError):
            return found
        found = getattr(found, "cause", None) or found.__cause__
    return None


def workers_failed(error: BaseException) -> WorkersFailed:
    """Tell from an error of Ray's whether somebody died or a stage raised an exception."""
    from ray.exceptions import RayError, RayTaskError, UserCodeException

    found: BaseException | None = error
    died = False
    while found is not None and not died:
        wrapping = isinstance(found, RayTaskError | UserCodeException)
        died = isinstance(found, RayError) and not wrapping
        found = getattr(found, "cause", None) or found.__cause__
    return WorkersFailed(f"workers failed: {last_line(error)}", raised=not died)


def last_line(error: BaseException) -> str:
    """Return what an error of Ray's comes down to."""
    lines = str(error).strip().splitlines() or [""]
    # Of a traceback the exception that began it; Ray adds its own, and advice, below.
    told = [line for line in lines if _RAISED.match(line) and "UserCodeException" not in line]
    text = f"{type(error).__name__}: {(told or lines)[-1]}"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


class Actor:
    """A second stage of ``stream``: a class whose instances hold what is costly to load."""

    def __init__(
        self, cls: type, settings: Mapping[str, Any], count: int, num_cpus: float, num_gpus: float
    ) -> None:
        self.cls, self.settings, self.count = cls, dict(settings), count
        self.num_cpus, self.num_gpus = num_cpus, num_gpus

    def need(self) -> Need:
        """Return what one instance must find on a node."""
        return Need("encode", self.num_cpus, self.num_gpus)

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
