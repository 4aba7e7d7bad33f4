"""The only place that starts or joins a Ray, and only once there is work for it."""

import os
import signal
import threading
from types import TracebackType
from typing import Any, Self

from clipbatch import versions
from clipbatch.errors import ConfigError
from clipbatch.progress import Progress, say
from clipbatch.runtime.watch import Watch

ASK_S = 60.0  # for a node's answer: its first worker imports Ray
OBJECT_STORE_BYTES = 512 * 1024 * 1024
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    # A thread of Ray Data that outlives a shutdown would start another Ray of its own accord.
    "RAY_ENABLE_AUTO_CONNECT": "0",
    # Ray tries for ever what its memory monitor kills; a picture that is too much must end a pass.
    "RAY_task_oom_retries": "2",
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
        self._watch = Watch()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.started:
            import logging

            import ray

            # Its threads find Ray gone, and would tell so at length.
            logging.getLogger("ray.data").setLevel(logging.CRITICAL + 1)
            self._watch.stop()
            try:
                ray.shutdown()
            finally:
                self._watch.end_left()

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
            _quiet_data()
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
            handler = signal.getsignal(signal.SIGTERM)
            try:
                ray.init(address=address, **settings)
            except SystemExit:  # Ray's own answer to SIGTERM, which ours replaces again below
                raise KeyboardInterrupt from None
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ConfigError(
                    f"Ray at {address!r} cannot be joined or started: {error}; check RAY_ADDRESS, "
                    "or unset it to run on this machine"
                ) from error
        self.started = True
        self.start_seconds = clock.seconds
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
        if address == "local":
            self._watch.start()
        else:
            self._watch.join()
            _refuse_other_versions()
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


def _refuse_other_versions() -> None:
    """Ask every node for its versions; a mixed cluster fails in the middle and says little of why.

    Raises:
        ConfigError: a node has others, or cannot import clipbatch.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0, max_retries=1)(versions.found)
    live = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    asked = {
        ask.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(): node["NodeManagerAddress"]
        for node in live
    }
    here = versions.found()
    ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=ASK_S)
    for answer in ready:  # a node that is late or leaves is no reason to stop
        try:
            versions.refuse_other(asked[answer], ray.get(answer), here)
        except RayError as error:
            if "No module named" in str(error) or "ImportError" in str(error):
                raise ConfigError(
                    f"node {asked[answer]}: cannot import clipbatch as the driver has it "
                    f"({here['clipbatch']}); use one image or environment for the driver and all "
                    "nodes"
                ) from error


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
