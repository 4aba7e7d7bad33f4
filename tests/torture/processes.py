"""Processes of a series, known by a mark in their environment and ended by their ids.

Everything that is started inherits the mark of what it belongs to (Ray's daemons and workers too),
so a whole node or a driver with its own Ray can be ended at once, and nothing else ever is.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

NAME = "CLIPBATCH_TORTURE"
ROOT = Path(__file__).parents[2]
END_S = 20.0


class Mark:
    """A name that processes inherit; parts of it are marks of their own.

    Attributes:
        text: ends with a slash, so that no mark is the beginning of a stranger.
    """

    def __init__(self, text: str = "") -> None:
        self.text = text or f"{os.getpid()}-{secrets.token_hex(4)}/"

    def part(self, name: str) -> "Mark":
        return Mark(f"{self.text}{name}/")

    def environment(self) -> dict[str, str]:
        # Without the last, Ray's agents write their titles over the environment that /proc shows.
        return {NAME: self.text, "PYTHONPATH": str(ROOT), "SPT_NOENV": "1"}

    def pids(self) -> list[int]:
        """Return the live processes that carry the mark or a part of it."""
        sought = f"{NAME}={self.text}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:  # it ended, or is somebody else's
                continue
            if any(v.startswith(sought) for v in variables) and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        return found

    def kill(self) -> int:
        """SIGKILL every process of the mark, several times over: they start others."""
        until = time.monotonic() + END_S
        killed: set[int] = set()
        while (found := self.pids()) and time.monotonic() < until:
            for pid in found:
                kill(pid)
            killed.update(found)
            reap(killed)
            time.sleep(0.05)
        reap(killed)
        if left := self.pids():
            raise RuntimeError(f"processes {left} of {self.text} do not end")
        return len(killed)


def kill(pid: int) -> bool:
    """SIGKILL one process; tells whether it was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def adopt(*, orphans: bool) -> None:
    """Let orphans of killed drivers become children of this process, which can then reap them."""
    import ctypes

    ctypes.CDLL(None).prctl(36, int(orphans), 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def reap(pids: Iterable[int]) -> None:
    """Take the exit codes of adopted children; those that subprocess waits for are left to it."""
    own = {p.pid for p in STARTED if p.poll() is None}
    for pid in set(pids) - own:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue


STARTED: list[subprocess.Popen[bytes]] = []


def start(
    command: list[str], mark: Mark, variables: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a marked process in a group of its own; what it says goes to a file."""
    STARTED[:] = [p for p in STARTED if p.poll() is None]
    with log.open("ab") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, **variables, **mark.environment()},
            start_new_session=True,
            cwd=ROOT,
        )
    STARTED.append(process)
    return process


def guard(mark: Mark, folder: Path) -> subprocess.Popen[bytes]:
    """Start a process that ends everything of a mark, and its files, once this one is gone."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.torture.processes", mark.text, str(folder)],
        stdin=subprocess.PIPE,  # closed by the kernel, however this process ends
        start_new_session=True,
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != NAME},
    )


def main() -> None:
    import shutil

    sys.stdin.buffer.read()
    Mark(sys.argv[1]).kill()
    shutil.rmtree(sys.argv[2], ignore_errors=True)


if __name__ == "__main__":
    main()
