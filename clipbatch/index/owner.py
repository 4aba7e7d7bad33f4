"""Who holds a lease: a process, and whether it is known to be gone."""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A driver: its host and boot, its process, and when that began (process ids come back)."""

    host: str
    boot: str
    pid: int
    born: str

    @classmethod
    def me(cls) -> "Owner":
        """Return this process."""
        return cls(socket.gethostname(), _boot(), os.getpid(), _born(os.getpid()))

    def is_dead(self) -> bool:
        """Tell whether the process is known to be gone; of another host nothing is known."""
        if (self.host, self.boot) != (socket.gethostname(), _boot()):
            return False
        return _born(self.pid) != self.born


def _boot() -> str:
    """Name this boot and this space of process ids: two containers may share a host's name."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - not a path
    return ""


def _born(pid: int) -> str:
    """Return when a process began, in clock ticks since the boot; "" where it is no more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "" if Path("/proc/self").exists() else _lives(pid)
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def _lives(pid: int) -> str:
    """Where there is no /proc, tell only whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "?"
    return "?"
