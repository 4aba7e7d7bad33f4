"""The only place that starts or joins a Ray, and only once there is work for it."""

import os
from types import TracebackType
from typing import Any, Self

from clipbatch.errors import ConfigError
from clipbatch.progress import Progress, say

OBJECT_STORE_BYTES = 512 * 1024 * 1024
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    # Lance is not fork-safe, and accelerator variables are ours to leave alone on CPU-only tasks.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Actors compute in a thread of their own, whose malloc arena gives back every activation to the
    # kernel; with one arena embed.device.keep_memory holds for it too (benchmarks/README.md).
    "MALLOC_ARENA_MAX": "1",
}


class Session:
    """A Ray to run on: the cluster of RAY_ADDRESS where that is set, else one of our own.

    Nothing is started before ``ensure``, so a night without work costs no Ray. A Ray of our own is
    shut down at the end; a cluster is only left.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = address
        self.started = False
        self.start_seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.started:
            import ray

            ray.shutdown()

    def ensure(self) -> None:
        """Start or join Ray unless that was done."""
        if self.started:
            return
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        import logging
        import warnings

        import ray

        clock = Progress("ray", "")
        if ray.is_initialized():
            return
        # A local Ray makes its own token; its advice is for clusters (see cluster/README.md).
        logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
        address = self.address or os.environ.get("RAY_ADDRESS") or "local"
        settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "WARNING"}
        if address == "local":
            # Ray's C++ side reports as errors what is none here (constructor arguments of actors).
            os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
            settings |= {
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
            }
        with warnings.catch_warnings():
            # Lance warns of forks; Ray's are followed by an exec at once.
            warnings.filterwarnings("ignore", message="lance is not fork-safe")
            try:
                ray.init(address=address, **settings)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ConfigError(
                    f"Ray at {address!r} cannot be joined or started: {error}; check RAY_ADDRESS, "
                    "or unset it to run on this machine"
                ) from error
        self.started = True
        self.start_seconds = clock.seconds
        _quiet_data()
        where = "this machine" if address == "local" else "the cluster"
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        say(
            "ray",
            f"{ray.__version__} on {where}: {resources.get('CPU', 0):g} CPU, "
            f"{resources.get('GPU', 0):g} GPU, started in {self.start_seconds:.1f} s",
        )


def _quiet_data() -> None:
    import logging
    import warnings

    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # Ours never raise for a picture; a block that fails must fail the pass, not vanish from it.
    context.max_errored_blocks = 0
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # The retry limits of runtime/stream.py go through them; pyproject.toml holds Ray below 2.64.
    warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")


def memory() -> float:
    """Return the bytes that the largest live node offers to tasks."""
    import ray

    return max(
        float(node["Resources"].get("memory", 0))
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    )


def nodes() -> list[tuple[float, float]]:
    """Return (CPUs, GPUs) of every live node of the Ray that is running."""
    import ray

    return [
        (float(node["Resources"].get("CPU", 0)), float(node["Resources"].get("GPU", 0)))
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]
