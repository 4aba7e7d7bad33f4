"""A command that may start Ray, and its driver: two processes, so that the exit code is true.

Ray ends a driver whose raylet died with exit status 1, from a thread of its own and within
milliseconds; 1 means here that the audit failed. So the driver is a child that tells its exit code
over a socket before it ends. An end that was not told is one that nobody meant.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from clipbatch.errors import ExitCode
from clipbatch.runtime import watch

# -P: a folder that somebody audits must not offer modules of its own.
CHILD: Final = (sys.executable, "-P", "-m", "clipbatch.runtime.driver")


def supervise(arguments: Sequence[str]) -> int:
    """Run a command's driver; returns the exit code that it told, or 3 where it told none.

    SIGINT, SIGTERM and SIGHUP are handed on. If this process is killed, the driver ends as well.
    """
    ours, theirs = socket.socketpair()
    child = [*CHILD, str(theirs.fileno()), *arguments]
    with ours, _handing_on() as signals:
        with theirs:
            process = signals.process = subprocess.Popen(child, pass_fds=[theirs.fileno()])
        status = process.wait()
        ours.setblocking(False)
        with suppress(OSError):
            if told := ours.recv(1):
                return told[0]
        if status in (ExitCode.COULD_NOT_RUN, ExitCode.INCOMPLETE):
            return status  # of its arguments, or of the watch over its Ray
        if os.environ.get("RAY_ADDRESS", "local") == "local":
            watch.sweep("[]")
        why = "stopped" if signals.received else f"its driver died ({_named(status)})"
        sys.stderr.write(f"clipbatch: {why}; what was merged is kept: run the same command again\n")
        return ExitCode.INCOMPLETE


def _named(status: int) -> str:
    if status < 0:
        return f"{signal.Signals(-status).name}, perhaps the system for want of memory"
    return f"exit status {status}, perhaps with its Ray for want of memory"


class _Signals:
    """Hands signals on to a process, once there is one."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.received = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.received = True
        if self.process is None:
            raise KeyboardInterrupt
        self.process.send_signal(number)


@contextmanager
def _handing_on() -> Iterator[_Signals]:
    signals = _Signals()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heard = [n for n in numbers if signal.getsignal(n) != signal.SIG_IGN]  # nohup ignores one
    before = {number: signal.signal(number, signals) for number in heard}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(given: Sequence[str]) -> int:
    """Be the driver: run a command and tell its exit code over the socket named first."""
    from clipbatch import cli

    link = socket.socket(fileno=int(given[0]))
    link.set_inheritable(False)  # or Ray's processes would hold it open
    threading.Thread(target=_end_with, args=(link,), name="command", daemon=True).start()
    code = cli.main(given[1:])
    link.send(bytes([code]))
    return code


def _end_with(link: socket.socket) -> None:
    """Wait for the end of the command that started this driver; it was killed, so die alike."""
    while link.recv(1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
