"""Has every node the driver's versions? Asked of all at the start, and of those that join later."""

from collections.abc import Sequence
from typing import Any, Final

from clipbatch import versions
from clipbatch.errors import ClipbatchError, ConfigError, Incomplete
from clipbatch.progress import say
from clipbatch.runtime.patience import Node

ASK_S: Final = 60.0  # for a node's answer: its first worker imports Ray


class RollCall:
    """Knows which nodes were asked; a mixed cluster fails in the middle and says little of why."""

    def __init__(self) -> None:
        self.here = versions.found()
        self._known: dict[str, Node] = {}
        self._asked: dict[Any, Node] = {}

    def first(self, nodes: Sequence[Node]) -> None:
        """Ask the nodes that are there before any work is given out, and wait for their answers.

        Raises:
            ConfigError: a node has others, or cannot import clipbatch.
        """
        import ray

        self._ask(nodes)
        # A node that is late or leaves is no reason to stop; its answer is looked at later.
        ready, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=ASK_S)
        for answer in ready:
            self._check(answer)

    def joined(self, nodes: Sequence[Node]) -> None:
        """Ask those that are new, and look at the answers that have come; never waits.

        Ray may send work to a new node before it has answered. Vectors could then differ in their
        last bits, so the run ends; what was merged is sound, or is refused by the checks of index.

        Raises:
            Incomplete: a node has joined with other versions.
        """
        import ray

        new = [node for node in nodes if node.key not in self._known]
        self._ask(new)
        for node in new:
            say("ray", f"node {node.address} joined: {node.cpus:g} CPU, {node.gpus:g} GPU")
        for key in self._known.keys() - {node.key for node in nodes}:
            node = self._known.pop(key)
            say("ray", f"node {node.address} was lost: {node.cpus:g} CPU, {node.gpus:g} GPU")
        if not self._asked:
            return
        ready, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0)
        for answer in ready:
            try:
                self._check(answer)
            except ClipbatchError as error:
                raise Incomplete(
                    f"a node joined in mid-run that does not fit: {error}; take it away or mend "
                    "it, then run the same command again"
                ) from error

    def _ask(self, nodes: Sequence[Node]) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        ask = ray.remote(num_cpus=0, max_retries=1)(versions.found)
        for node in nodes:
            there = NodeAffinitySchedulingStrategy(node.key, soft=False)
            self._asked[ask.options(scheduling_strategy=there).remote()] = node
            self._known[node.key] = node

    def _check(self, answer: Any) -> None:
        import ray
        from ray.exceptions import RayError

        node = self._asked.pop(answer)
        try:
            versions.refuse_other(node.address, ray.get(answer), self.here)
        except RayError as error:  # it left, or it has no clipbatch
            if "No module named" in str(error) or "ImportError" in str(error):
                raise ConfigError(
                    f"node {node.address}: cannot import clipbatch as the driver has it "
                    f"({self.here['clipbatch']}); use one image or environment for the driver and "
                    "all nodes"
                ) from error
