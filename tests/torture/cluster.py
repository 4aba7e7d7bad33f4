"""A real Ray of several nodes on this machine, whose nodes can be killed whole and replaced."""

import json
import os
import re
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from random import Random

from tests.torture.processes import Mark, kill, start
from tests.torture.stores import free_ports

START_S = 180.0
HEADS = 3  # a head that is not there after HEAD_S is ended and another one started
HEAD_S = 90.0
# Ray's names of the processes that work for us: tasks of Ray Data, actors, and units of measure.
ACTOR = re.compile(rb"^ray::MapWorker")
TASK = re.compile(rb"^ray::(MapBatches|Map|compute_unit|_map_task)")


class Cluster:
    """A head and workers; every node is one mark, so that it dies with all it started.

    Args:
        mark: of the session.
        folder: for Ray's sockets and logs; short.
        variables: environment of every worker, e.g. of the store.
        workers: nodes beside the head.
        cpus: logical ones of each worker; the head has none, since it cannot be killed.
    """

    def __init__(
        self, mark: Mark, folder: Path, variables: Mapping[str, str], workers: int, cpus: int
    ) -> None:
        self.mark, self.folder, self.workers, self.cpus = mark, folder, workers, cpus
        self.variables = {
            **variables,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
            "RAY_worker_niceness": "0",  # else a busy machine starves them for minutes
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "MALLOC_ARENA_MAX": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        self.ports = free_ports(4)
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        self.count = 0

    @property
    def environment(self) -> dict[str, str]:
        """Return what a driver needs to join."""
        return {**self.variables, "RAY_ADDRESS": f"127.0.0.1:{self.ports[0]}"}

    def start(self) -> None:
        """Start every node; the head first."""
        for left in reversed(range(HEADS)):
            self._head()
            try:
                self.wait(1, HEAD_S)
                break
            except TimeoutError:
                # Another program may have taken one of the ports between the asking and the use.
                if not left:
                    raise
                self.mark.part("head").kill()
                self.ports = free_ports(4)
        for number in range(self.workers):  # two that start at once get in each other's way
            self.add()
            self.wait(2 + number)

    def _head(self) -> None:
        self._node(
            "head",
            0,
            *("--head", f"--port={self.ports[0]}", f"--temp-dir={self.folder / 'ray'}"),
            *("--dashboard-host=127.0.0.1", f"--dashboard-port={self.ports[1]}"),
            f"--ray-client-server-port={self.ports[2]}",
            f"--dashboard-agent-listen-port={self.ports[3]}",
        )

    def add(self) -> None:
        """Start one more worker; ``wait`` says when it is there."""
        self.count += 1
        self._node(
            f"node{self.count}",
            self.cpus,
            *(
                f"--address=127.0.0.1:{self.ports[0]}",
                f"--temp-dir={self.folder / 'n'}{self.count}",
            ),
            f"--dashboard-agent-listen-port={free_ports(1)[0]}",
        )

    def _node(self, name: str, cpus: int, *options: str) -> None:
        self.nodes[name] = start(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                *(f"--num-cpus={cpus}", "--num-gpus=0"),
                *("--node-ip-address=127.0.0.1", f"--object-store-memory={100 * 2**20}"),
                *("--disable-usage-stats", *options),
            ],
            self.mark.part(name),
            self.variables,
            self.folder / f"{name}.log",
        )

    def alive(self) -> int:
        """Return how many nodes Ray holds for alive."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports[1]}/nodes?view=summary",
            headers={"Authorization": f"Bearer {self.variables['RAY_AUTH_TOKEN']}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                nodes = json.load(answer)["data"]["summary"]
        except OSError:
            return 0
        return sum(node["raylet"]["state"] == "ALIVE" for node in nodes)

    def wait(self, count: int, seconds: float = START_S) -> None:
        """Wait until exactly so many nodes are alive; those that gave up are started again."""
        until = time.monotonic() + seconds
        while (found := self.alive()) != count:
            self.mend()
            if time.monotonic() > until:
                raise TimeoutError(f"got {found} live Ray nodes, expected {count}")
            time.sleep(0.3)

    def mend(self) -> None:
        """Start workers again that gave up: those that start at once get in each other's way."""
        for name in [n for n, p in self.nodes.items() if p.poll() is not None and n != "head"]:
            del self.nodes[name]
            self.add()

    def kill_node(self, rng: Random, pid: int = 0) -> str:
        """SIGKILL every process of one worker node at once; returns its name.

        Args:
            rng: draws the node.
            pid: where given, of a process on the node that is killed, if it still runs.
        """
        workers = sorted(set(self.nodes) - {"head"})
        name = rng.choice(workers)
        name = next((n for n in workers if pid and pid in self.mark.part(n).pids()), name)
        del self.nodes[name]
        self.mark.part(name).kill()
        return name

    def kill_worker(self, rng: Random) -> str:
        """SIGKILL one process that works for a driver; returns what it was, or ""."""
        found = []
        for pid in self.mark.pids():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            for name, pattern in (("actor", ACTOR), ("task", TASK)):
                if pattern.match(command):
                    found.append((name, pid))
        # An actor is as likely as all tasks together: both are few, and idle workers do not count.
        kinds = sorted({name for name, _ in found})
        if not kinds:
            return ""
        chosen = rng.choice(kinds)
        pid = rng.choice(sorted(pid for name, pid in found if name == chosen))
        return chosen if kill(pid) else ""

    def stop(self) -> None:
        """End every process of every node."""
        self.mark.kill()
        self.nodes.clear()
