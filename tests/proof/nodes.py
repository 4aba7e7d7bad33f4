"""A real Ray whose nodes lie on hosts of their own, can be killed like a machine, and replaced."""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.proof.hosts import Host, Network
from tests.torture.processes import Mark, kill, start
from tests.torture.stores import free_ports

START_S = 180.0
HEAD = "head"
HEADS = 3


class Nodes:
    """The nodes by name; the head takes no work.

    Args:
        network: makes the host of each node.
        mark: of the proof; each node is a part of it.
        folder: for sockets and logs; short.
        variables: environment of every node.
    """

    def __init__(
        self, network: Network, mark: Mark, folder: Path, variables: Mapping[str, str]
    ) -> None:
        self.network, self.mark, self.folder = network, mark, folder
        self.variables = {
            **variables,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "MALLOC_ARENA_MAX": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        self.hosts: dict[str, Host] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.metrics: dict[str, str] = {}
        self.gcs = self.dashboard = 0

    @property
    def environment(self) -> dict[str, str]:
        """Return what `ray job submit` needs."""
        address = self.hosts[HEAD].address
        return {**self.variables, "RAY_API_SERVER_ADDRESS": f"http://{address}:{self.dashboard}"}

    def head(self) -> None:
        """Start the head, which has no CPUs: no task or actor is placed there; wait for it.

        Its client server, which nobody asked for, ends it where a busy machine is slow to tell of
        the node: then another one is started.
        """
        host = self.hosts[HEAD] = self.network.add()
        for left in reversed(range(HEADS)):
            self.gcs, self.dashboard = free_ports(2)
            self._node(
                HEAD,
                *("--head", f"--port={self.gcs}", f"--temp-dir={self.folder / 'ray'}"),
                *("--num-cpus=0", "--num-gpus=0", f"--ray-client-server-port={free_ports(1)[0]}"),
                *(f"--dashboard-host={host.address}", f"--dashboard-port={self.dashboard}"),
            )
            try:
                self.wait(1)
                break
            except RuntimeError:
                if not left:
                    raise
                self.mark.part(HEAD).kill()

    def add(self, name: str, cpus: int, gpus: int = 0) -> None:
        """Start one worker; ``wait`` says when it is there."""
        self.hosts[name] = self.network.add()
        self._node(
            name,
            f"--address={self.hosts[HEAD].address}:{self.gcs}",
            f"--temp-dir={self.folder / name}",  # as on machines of their own
            *(f"--num-cpus={cpus}", f"--num-gpus={gpus}"),
        )

    def _node(self, name: str, *options: str) -> None:
        host, (agent, metrics) = self.hosts[name], free_ports(2)
        self.metrics[name] = f"http://{host.address}:{metrics}/metrics"
        self.processes[name] = start(
            host.command(
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                *(f"--node-ip-address={host.address}", f"--object-store-memory={100 * 2**20}"),
                f"--dashboard-agent-listen-port={agent}",
                f"--metrics-export-port={metrics}",
                *("--disable-usage-stats", *options),
            ),
            self.mark.part(name),
            self.variables,
            self.folder / f"{name}.log",
        )

    def kill(self, name: str) -> int:
        """SIGKILL every process of one node at once; returns how many there were."""
        pids = self.hosts[name].pids() or self.mark.part(name).pids()
        found = sum(map(kill, pids))
        self.mark.part(name).kill()
        del self.processes[name], self.hosts[name], self.metrics[name]
        return found

    def alive(self) -> int:
        """Return how many nodes Ray holds for alive."""
        address = f"{self.environment['RAY_API_SERVER_ADDRESS']}/nodes?view=summary"
        token = {"Authorization": f"Bearer {self.variables['RAY_AUTH_TOKEN']}"}
        try:
            request = urllib.request.Request(address, headers=token)
            with urllib.request.urlopen(request, timeout=5) as answer:
                nodes = json.load(answer)["data"]["summary"]
        except OSError:
            return 0
        return sum(node["raylet"]["state"] == "ALIVE" for node in nodes)

    def wait(self, count: int) -> None:
        """Wait until at least so many nodes are alive."""
        until = time.monotonic() + START_S
        while (found := self.alive()) < count:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    log = (self.folder / f"{name}.log").read_text()[-2000:]
                    raise RuntimeError(f"node {name} ended by itself: {log}")
            if time.monotonic() > until:
                raise TimeoutError(f"got {found} live Ray nodes, expected {count}")
            time.sleep(0.3)

    def scrape(self) -> dict[str, float]:
        """Return clipbatch's metrics from the Prometheus endpoint of every node."""
        found: dict[str, float] = {}
        for address in self.metrics.values():
            try:
                with urllib.request.urlopen(address, timeout=2) as answer:
                    text = answer.read().decode()
            except OSError:
                continue
            for line in text.splitlines():
                if "clipbatch_" in line and not line.startswith("#"):
                    name, _, value = line.rpartition(" ")
                    found[name.partition("{")[0]] = float(value)
        return found
