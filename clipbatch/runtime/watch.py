"""If the Ray under this driver dies, end the driver with a message and the right exit code.

Left alone, Ray ends a driver whose raylet died with exit status 1, in silence; 1 means here that
the audit failed. Where Ray is quicker than this watch, ``driver`` notices. The raylet also holds
the object store. Of a cluster that was joined, the raylet is watched that the driver hangs on: of
all its processes, this one's death ends the driver.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from clipbatch.errors import ExitCode

WATCHED = ("raylet", "gcs_server")
GRACE_S = 5.0
LOOK_S = 5.0
SWEEP_S = 2.0


Process = tuple[int, str]
"""Its id, and when it was born: ids come back."""


class Watch:
    """Waits for the end of Ray's own processes, in a thread; ``stop`` before they are to end."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._roots: set[Process] = set()
        self._known: set[Process] = set()

    def start(self) -> None:
        """Watch the local Ray that was just started; where it cannot be seen, do nothing."""
        from ray._private import worker

        node: Any = worker._global_node
        processes: dict[str, list[Any]] = getattr(node, "all_processes", {})
        pids = {info.process.pid: kind for kind, infos in processes.items() for info in infos}
        watched = {pid: kind for pid, kind in pids.items() if kind in WATCHED}
        if not watched or not hasattr(os, "pidfd_open"):
            return
        self._roots = {(pid, born) for pid in pids if (born := _stat(pid)[1])}
        self._watch(watched)

    def join(self) -> None:
        """Watch the raylet of a cluster that was joined; nothing of the cluster is ever ended."""
        from ray._private import worker

        socket = getattr(worker._global_node, "raylet_socket_name", "")
        if socket and hasattr(os, "pidfd_open"):
            self._watch(dict.fromkeys(_raylets(socket), "raylet"))

    def _watch(self, watched: Mapping[int, str]) -> None:
        descriptors = {}
        for pid, kind in watched.items():
            with suppress(ProcessLookupError):
                descriptors[os.pidfd_open(pid)] = kind
        if descriptors:
            threading.Thread(
                target=self._wait, args=(descriptors,), name="watch", daemon=True
            ).start()

    def stop(self) -> None:
        """From now on an end is meant."""
        self._look()
        self._stopping.set()

    def end_left(self) -> None:
        """End what is left of the Ray that was started: its agents may take a minute to notice."""
        deadline = time.monotonic() + GRACE_S
        while left := [*_alive(self._known), *(_orphans() if self._roots else ())]:
            if time.monotonic() > deadline:
                _kill(left)
                return
            time.sleep(0.1)

    def _look(self) -> None:
        """Learn which processes Ray's own have started by now; they name themselves anew."""
        self._known |= _with_descendants(self._roots)

    def _wait(self, descriptors: dict[int, str]) -> None:
        poll = select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        while not (ended := poll.poll(LOOK_S * 1000)):
            self._look()
        if self._stopping.is_set():
            for descriptor in descriptors:
                os.close(descriptor)
            return
        message = (
            f"clipbatch: the Ray of this run died (its {descriptors[ended[0][0]]}, perhaps for "
            "want of memory); what was merged is kept: run the same command to go on\n"
        )
        try:
            tell(False)
            os.write(2, message.encode())
            tell(True)
            if self._roots:  # a Ray of our own
                _kill([*_alive(self._known | self._roots), *_orphans()])
        finally:
            os._exit(ExitCode.INCOMPLETE)


def sweep(seconds: float = SWEEP_S) -> None:
    """End the orphans of a local Ray, as they become orphans: its raylet takes a while to end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _kill(_orphans())
        time.sleep(0.1)


def _nobody(said: bool) -> object:
    """Take the place of ``tell`` where no command waits for this process."""
    return said


tell: Callable[[bool], object] = _nobody  # the command that waits: Ray died; and it was said why


def _stat(pid: int) -> tuple[int, str]:
    """Return a process's parent and when it was born; (0, "") where there is none."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0, ""
    fields = told.rpartition(")")[2].split()  # its name, before that, may hold anything
    return (0, "") if fields[0] == "Z" else (int(fields[1]), fields[19])


def _raylets(socket: str) -> list[int]:
    """Return the process of this machine that serves a raylet's socket, if it can be seen."""
    option = f"--raylet_socket_name={socket}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if option in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def _orphans() -> list[int]:
    """Return Ray's processes in this process group whose raylet is gone.

    Ctrl-C ends a whole group, the raylet before its agents were seen.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "stat").read_text(encoding="utf-8", errors="replace")
            name, fields = (
                told.partition("(")[2].rpartition(")")[0],
                told.rpartition(")")[2].split(),
            )
            parent = Path("/proc", fields[1], "comm").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it ended
            continue
        ours = int(fields[2]) == os.getpgrp() and fields[0] != "Z"
        if ours and name.startswith("ray::") and parent.strip() != "raylet":
            found.append(int(process.name))
    return found


def _with_descendants(roots: set[Process]) -> set[Process]:
    parents = {int(p.name): _stat(int(p.name)) for p in Path("/proc").glob("[0-9]*")}
    found = {pid for pid, born in roots if parents.get(pid, (0, ""))[1] == born}
    grown = True
    while grown:
        more = {pid for pid, (parent, _) in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return {(pid, parents[pid][1]) for pid in found}


def _alive(processes: set[Process]) -> list[int]:
    return [pid for pid, born in processes if born and _stat(pid)[1] == born]


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
