"""The only place that starts or joins a Ray, and only once there is work for it."""

import os
import signal
import threading
from types import TracebackType
from typing import Any, Self

from clipbatch.errors import ConfigError
from clipbatch.progress import Progress, say
from clipbatch.runtime.patience import Need, Patience, live
from clipbatch.runtime.roll import RollCall
from clipbatch.runtime.watch import Watch

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
        self._roll: RollCall | None = None
        self._alone = False  # a Ray of our own, which has one node for good

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
            self._alone = True
            self._watch.start()
        else:
            self._watch.join()
            self._roll = RollCall()
            self._roll.first(live())
        _quiet_data()
        where = "this machine" if address == "local" else "the cluster"
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        say(
            "ray",
            f"{ray.__version__} on {where}: {resources.get('CPU', 0):g} CPU, "
            f"{resources.get('GPU', 0):g} GPU, started in {self.start_seconds:.1f} s",
        )

    def patience(self, *needs: Need) -> Patience:
        """Return what watches over work: Ray waits for ever where no node can take it."""
        if self._roll is None:
            return Patience(needs, grows=not self._alone)
        return Patience(needs, joined=self._roll.joined)


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
    """Return the bytes that the largest live node with CPUs offers to tasks.

    A head without CPUs takes no work, however much memory it has.
    """
    return max((node.memory for node in live() if node.cpus), default=0.0)


def nodes() -> list[tuple[float, float]]:
    """Return (CPUs, GPUs) of every live node of the Ray that is running."""
    return [(node.cpus, node.gpus) for node in live()]
