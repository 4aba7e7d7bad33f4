"""Hosts on this machine: network namespaces on one bridge, each with an address of its own."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PREFIX = "cproof"  # and the id of the process that made it: leftovers of a dead one are swept


@dataclass(frozen=True)
class Host:
    """Where a node runs.

    Attributes:
        name: of its namespace; "" for this machine itself.
        address: that others reach it at.
    """

    name: str
    address: str

    def command(self, *words: str) -> list[str]:
        """Return what runs a command there."""
        return ["ip", "netns", "exec", self.name, *words] if self.name else list(words)

    def pids(self) -> list[int]:
        """Return every process there; none for this machine, whose processes are not ours."""
        return [int(pid) for pid in _ip("netns", "pids", self.name).split()] if self.name else []


class Network:
    """Makes hosts; without the rights to, all of them are this machine.

    Attributes:
        address: of this machine, as the hosts see it.
        apart: whether hosts have networks of their own.
    """

    def __init__(self, *, apart: bool) -> None:
        self.apart, self.count = apart, 1
        self.bridge = f"{PREFIX}{os.getpid()}"  # a link's name holds 15 characters
        self.subnet = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
        self.address = f"{self.subnet}.1" if apart else "127.0.0.1"

    def add(self) -> Host:
        """Return another host."""
        if not self.apart:
            return Host("", self.address)
        self.count += 1
        host = Host(f"{PREFIX}-{os.getpid()}-{self.count}", f"{self.subnet}.{self.count}")
        here = f"cp{os.getpid()}n{self.count}"[:15]
        _ip("netns", "add", host.name)
        _ip("link", "add", here, "type", "veth", "peer", "name", "eth0", "netns", host.name)
        _ip("link", "set", here, "master", self.bridge, "up")
        _ip("-n", host.name, "link", "set", "lo", "up")
        _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
        _ip("-n", host.name, "link", "set", "eth0", "up")
        return host


def possible() -> bool:
    """Tell whether this process may make namespaces."""
    if os.geteuid() != 0:
        return False
    name = f"{PREFIX}-{os.getpid()}-0"
    try:
        _ip("netns", "add", name)
        _ip("netns", "delete", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@contextmanager
def network(*, apart: bool) -> Iterator[Network]:
    """Give a network, and take it and all its hosts away; their processes must have ended."""
    sweep()
    made = Network(apart=apart)
    try:
        if apart:
            _ip("link", "add", made.bridge, "type", "bridge")
            _ip("address", "add", f"{made.address}/24", "dev", made.bridge)
            _ip("link", "set", made.bridge, "up")
        yield made
    finally:
        if apart:
            _remove(os.getpid())


def left(pid: int = 0) -> list[str]:
    """Return the namespaces and bridges that a proof, or any, has left behind."""
    links = [path.name for path in Path("/sys/class/net").iterdir()]
    names = [line.split()[0] for line in _ip("netns", "list").splitlines() if line]
    mine = (f"{PREFIX}-{pid}-", f"{PREFIX}{pid}") if pid else (PREFIX,)
    return [name for name in (*names, *links) if name.startswith(mine)]


def sweep() -> None:
    """Remove what proofs left behind that were killed."""
    if possible():
        for pid in {int(found[1]) for n in left() if (found := re.match(rf"{PREFIX}-?(\d+)", n))}:
            if not Path(f"/proc/{pid}").exists():
                _remove(pid)


def _remove(pid: int) -> None:
    for name in left(pid):
        _ip(*(("netns" if "-" in name else "link"), "delete", name))


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=True)
    return done.stdout
