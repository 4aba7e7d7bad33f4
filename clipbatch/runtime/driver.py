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
from pathlib import Path
from types import FrameType
from typing import Final

from clipbatch.errors import ExitCode, Incomplete
from clipbatch.runtime import watch

STARTED: Final = 254  # told once the driver is up
DIED: Final = 255  # told by the watch before anything else
SAID: Final = 253  # told by the watch once it has said why

# -P: a folder in which somebody runs an audit must not offer modules of its own to the driver.
# Where clipbatch itself is found only there (a checkout), it stays the last place to look.
_START: Final = (
    f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); "
    "from clipbatch.runtime import driver; sys.exit(driver.main(sys.argv[1:]))"
)
CHILD: Final = (sys.executable, "-I" if sys.flags.isolated else "-P", "-c", _START)


def supervise(arguments: Sequence[str]) -> int:
    """Run a command's driver; returns the exit code that it told, or 3 where it told none.

    SIGINT, SIGTERM and SIGHUP are handed on. If this process is killed, the driver ends as well.
    """
    _open_streams()
    ours, theirs = socket.socketpair()
    child = [*CHILD, str(theirs.fileno()), *arguments]
    with ours, _handing_on() as signals:
        with theirs:
            process = signals.process = subprocess.Popen(child, pass_fds=[theirs.fileno()])
        status = process.wait()
        ours.setblocking(False)
        told = b""
        with suppress(OSError):
            told = ours.recv(16)
    last = told[-1] if told else 0
    if told and last not in (STARTED, DIED, SAID):
        return last
    if (os.environ.get("RAY_ADDRESS") or "local") == "local":
        watch.sweep()
    why = "its Ray died" if last in (DIED, SAID) else f"its driver died ({_named(status)})"
    if signals.received and last != SAID:
        say("stopped; what was merged is kept: run the same command to go on")
        return ExitCode.INCOMPLETE
    if not told:
        say(f"its driver did not start ({_named(status)})")
        return ExitCode.COULD_NOT_RUN
    if last != SAID:
        say(f"{why}; what was merged is kept: run the same command to go on")
    if "audit" in arguments[:1]:  # a night without a verdict is what one wants to hear of most
        _notify(why)
    return ExitCode.INCOMPLETE


def _notify(why: str) -> None:
    with suppress(Exception):  # whatever it is, the exit code stands
        from clipbatch.report import notify

        notify.notify(notify.trouble(Incomplete(why), ExitCode.INCOMPLETE))


def _open_streams() -> None:
    """Give a closed standard stream to nobody, or the next file or socket would take its place."""
    while (found := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(found, True)
    os.close(found)


def say(text: str) -> None:
    """Print a line for a person, or nowhere: a closed stream must not change an exit code."""
    with suppress(OSError):
        os.write(2, f"clipbatch: {text}\n".encode())


def _named(status: int) -> str:
    if status == -signal.SIGKILL:
        return "SIGKILL, perhaps by the system for want of memory"
    if status < 0:
        with suppress(ValueError):  # of real-time signals only two have names
            return signal.Signals(-status).name
        return f"signal {-status}"
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


def heard() -> list[signal.Signals]:
    """Return the signals that stop a run; one whose SIGHUP is ignored was started by nohup."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if ignored else [signal.SIGHUP])]


@contextmanager
def _handing_on() -> Iterator[_Signals]:
    signals = _Signals()
    before = {number: signal.signal(number, signals) for number in heard()}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(given: Sequence[str]) -> int:
    """Be the driver: run a command and tell its exit code over the socket named first."""
    link = socket.socket(fileno=int(given[0]))
    link.set_inheritable(False)  # or Ray's processes would hold it open
    _die_with_parent()
    threading.Thread(target=_end_with, args=(link,), name="command", daemon=True).start()
    link.send(bytes([STARTED]))
    watch.tell = lambda said: link.send(bytes([SAID if said else DIED]))
    from clipbatch import cli

    code = cli.main(given[1:])
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError) as error:
        say(f"what it printed is lost: {error}")
        code = ExitCode.INCOMPLETE
    link.send(bytes([code]))
    return code


def _die_with_parent() -> None:
    """Have the kernel end this driver with its command, whatever Python is at; Linux has that."""
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG


def _end_with(link: socket.socket) -> None:
    """Wait for the end of the command that started this driver; it was killed, so die alike."""
    while link.recv(1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
