"""Is there a node that can take the work? Waits a while for one, says so, and then gives up."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from clipbatch.errors import ConfigError, Incomplete
from clipbatch.progress import duration, say

WAIT_S: Final = 600.0
WAIT_NAME: Final = "CLIPBATCH_NODE_WAIT_S"  # a fact of the cluster, so not in the configuration
SAY_S: Final = 60.0
LOOK_S: Final = 5.0


@dataclass(frozen=True)
class Node:
    """One live node, and what it offers to tasks.

    Attributes:
        key: Ray's name of it.
        address: of its machine.
        cpus, gpus: logical ones; a head that takes no work has none.
        memory: bytes.
    """

    key: str
    address: str
    cpus: float
    gpus: float
    memory: float


@dataclass(frozen=True)
class Need:
    """What one task or actor must find on a single node.

    Attributes:
        what: it does, for a person.
        cpus, gpus: logical ones.
        memory: bytes.
    """

    what: str
    cpus: float
    gpus: float = 0.0
    memory: float = 0.0

    def fits(self, node: Node) -> bool:
        """Tell whether an otherwise idle node could take it."""
        return node.cpus >= self.cpus and node.gpus >= self.gpus and node.memory >= self.memory

    def __str__(self) -> str:
        """Write it as `1 GPU and 0.5 CPU to encode`."""
        parts = [f"{self.gpus:g} GPU" if self.gpus else "", f"{self.cpus:g} CPU"]
        parts.append(f"{self.memory / 1e9:.1f} GB" if self.memory else "")
        return f"{' and '.join(part for part in parts if part)} to {self.what}"


def live() -> list[Node]:
    """Return every live node of the Ray that is running."""
    import ray

    return [
        Node(
            node["NodeID"],
            node["NodeManagerAddress"],
            *(float(node["Resources"].get(name, 0)) for name in ("CPU", "GPU", "memory")),
        )
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]


class NoNode(Incomplete):
    """No node can take the work, and none came in time: trying again now would not help."""


class Patience:
    """Looks now and then whether every need has a node; Ray itself would wait for ever.

    Args:
        needs: of the work that is waited for.
        grows: whether nodes can come; a Ray of our own has one for good.
        joined: called with the live nodes at every look.
    """

    def __init__(
        self,
        needs: Sequence[Need],
        grows: bool = True,
        joined: Callable[[list[Node]], None] = lambda _: None,
    ) -> None:
        self.needs, self.grows, self.joined = needs, grows, joined
        self.wait_s = wait_s()
        self.nodes: list[Node] = []
        self._next = 0.0
        self._since: float | None = None
        self._said = 0.0

    def look(self) -> None:
        """Return at once; costs something every few seconds only.

        Raises:
            NoNode: some need has had no node for too long.
            ConfigError: it never will, on this machine; or a node that joined has other versions.
        """
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + LOOK_S
        self.nodes = live()
        self.joined(self.nodes)
        lacking = next((n for n in self.needs if not any(map(n.fits, self.nodes))), None)
        if lacking is not None:
            self._wait(lacking, now)
        elif self._since is not None:
            say("ray", f"a node for the work is there after {duration(now - self._since)}")
            self._since = None

    def _wait(self, lacking: Need, now: float) -> None:
        offer = ", ".join(f"{n.cpus:g} CPU + {n.gpus:g} GPU" for n in self.nodes) or "no node"
        told = f"no live node offers {lacking}; there are: {offer}"
        if not self.grows:
            raise ConfigError(f"{told}; lower embed.num_gpus, or join a cluster (RAY_ADDRESS)")
        if self._since is None:
            self._since, self._said = now, now - SAY_S
        waited = now - self._since
        if waited >= self.wait_s:
            raise NoNode(
                f"{told}; waited {duration(waited)} ({WAIT_NAME}); what was merged is kept: add "
                "such a node, then run the same command again"
            )
        if now - self._said >= SAY_S:
            self._said = now
            say("ray", f"{told}; waiting {duration(self.wait_s - waited)} more for one")

    def hold(self) -> None:
        """Wait until every need has a node; raises as ``look``."""
        while True:
            self._next = 0.0
            self.look()
            if self._since is None:
                return
            time.sleep(LOOK_S / 5)

    def get(self, answer: Any) -> Any:
        """Return what a task or a call of an actor answers; raises as ``look`` and as Ray does."""
        import ray

        while not ray.wait([answer], timeout=LOOK_S / 5)[0]:
            self.look()
        return ray.get(answer)


def wait_s() -> float:
    """Return for how many seconds a run waits for a node."""
    text = os.environ.get(WAIT_NAME, "") or str(WAIT_S)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"got {WAIT_NAME}={text!r}, expected seconds, 0 or more, e.g. 600")
    return seconds
