"""An audit by `ray job submit`, with a node killed and one added, equals the audit of one machine.

    python -m tests.proof                      a head and three workers in network namespaces
    python -m tests.proof --pictures 200       fewer pictures
    python -m tests.proof --one-host           without namespaces (no root needed)

Pictures and tables lie on a SeaweedFS of its own. It ends every process it started, by id, and
removes its namespaces and files.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.proof import hosts
from tests.proof.guard import guard
from tests.proof.nodes import Nodes
from tests.proof.run import Proof
from tests.torture.processes import Mark, adopt
from tests.torture.stores import Store


def main() -> int:
    """Run the proof; returns 0 where everything is equal."""
    options = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    options.add_argument("--pictures", type=int, default=400)
    options.add_argument("--encoder", default="offline-lite")
    options.add_argument("--one-host", action="store_true", help="no network namespaces")
    given = options.parse_args()
    apart = not given.one_host and hosts.possible()
    mark, folder = Mark(), Path(tempfile.mkdtemp(prefix="clipproof.", dir="/tmp"))
    guardian = guard(mark, folder)
    adopt(orphans=True)
    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with hosts.network(apart=apart) as network:
            try:
                store = Store("seaweed", mark, folder, network.address)
                nodes = Nodes(network, mark, folder, store.environment)
                equal = Proof(store, nodes, folder, given.pictures, given.encoder).run()
            finally:
                mark.kill()
    finally:
        adopt(orphans=False)
        guardian.communicate()  # its input is closed: it clears away what is left
        shutil.rmtree(folder, ignore_errors=True)
    left = [*mark.pids(), *(hosts.left(os.getpid()) if apart else [])]
    print(f"proof    left behind: {left or 'nothing'}; took {time.monotonic() - started:.0f} s")
    return 0 if equal and not left else 1


if __name__ == "__main__":
    sys.exit(main())
