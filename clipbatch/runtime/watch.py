"""If the Ray that this driver started dies, end the driver with a message and the right exit code.

Left alone, Ray ends a driver whose raylet died with exit status 1, in silence; 1 means here that
the audit failed. The raylet also holds the object store.
"""

import os
import select
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from clipbatch.errors import ExitCode

WATCHED = ("raylet", "gcs_server")


class Watch:
    """Waits for the end of Ray's own processes, in a thread; ``stop`` before they are to end."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def start(self) -> None:
        """Watch the local Ray that was just started; where it cannot be seen, do nothing."""
        from ray._private import worker

        node: Any = worker._global_node
        processes: dict[str, list[Any]] = getattr(node, "all_processes", {})
        pids = {info.process.pid: kind for kind, infos in processes.items() for info in infos}
        watched = {pid: kind for pid, kind in pids.items() if kind in WATCHED}
        if not watched or not hasattr(os, "pidfd_open"):
            return
        descriptors = {os.pidfd_open(pid): kind for pid, kind in watched.items()}
        threading.Thread(
            target=self._wait,
            args=(descriptors, list(pids), node.get_session_dir_path()),
            name="watch",
            daemon=True,
        ).start()

    def stop(self) -> None:
        """From now on an end is meant."""
        self._stopping.set()

    def _wait(self, descriptors: dict[int, str], pids: list[int], folder: str) -> None:
        poll = select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        ended = poll.poll()
        if self._stopping.is_set():
            for descriptor in descriptors:
                os.close(descriptor)
            return
        sys.stderr.write(
            f"clipbatch: the Ray of this run died (its {descriptors[ended[0][0]]}, perhaps for "
            "want of memory); what was merged is kept: run the same command to go on\n"
        )
        sys.stderr.flush()
        for pid in {*pids, *_told_of(folder)}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os._exit(ExitCode.INCOMPLETE)


def _told_of(folder: str) -> list[int]:
    """Return the processes that were started for this session alone: agents outlive a raylet."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or is somebody else's
            if folder.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return [pid for pid in found if pid != os.getpid()]
