"""A cluster that loses its last worker and gets another, under a real audit; what is told of it."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests import groceries
from tests.proof.hosts import network
from tests.proof.nodes import HEAD, Nodes
from tests.ray.cluster import ROOT
from tests.torture.processes import Mark

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

CONFIG = """\
[collect]
source = "$SOURCE"
[embed]
encoder = "pixels"
levels = [1.0]
batch_size = 8
[index]
database = "$DATABASE"
[measure]
analyses = ["duplicates"]
[report]
folder = "$REPORT"
"""


@pytest.fixture
def nodes():
    """A head that takes no work, and no worker; everything ends by its id."""
    mark = Mark()
    # Short: Ray's sockets lie below it, and a socket's path has 107 bytes at most.
    with network(apart=False) as here, tempfile.TemporaryDirectory(prefix="cc-") as folder:
        nodes = Nodes(here, mark, Path(folder), {})
        nodes.head()
        yield nodes
        mark.kill()


class Audit:
    """A driver in a process of its own, as on the head, and what it has said so far."""

    def __init__(self, nodes, folder, wait_s):
        places = {name: str(folder / name.lower()) for name in ("DATABASE", "REPORT")}
        address = f"{nodes.hosts[HEAD].address}:{nodes.gcs}"
        self.log = folder / f"{wait_s}.log"
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "jobs" / "audit.py"), "--config", str(folder / "a.toml")],
            env=os.environ
            | nodes.variables
            | {"RAY_ADDRESS": address, "SOURCE": str(folder / "pictures")}
            | places
            | {"CLIPBATCH_NODE_WAIT_S": str(wait_s)},
            stderr=self.log.open("w"),
            stdout=subprocess.DEVNULL,
        )

    def hear(self, text):
        """Wait until it has said this."""
        while text not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)

    def end(self):
        code = self.process.wait(240)
        return code, self.log.read_text()


def test_a_run_waits_for_a_worker_goes_on_with_one_and_gives_up_without(nodes, tmp_path):
    groceries.folder(tmp_path / "pictures", 24)
    (tmp_path / "a.toml").write_text(CONFIG)
    hopeless = Audit(nodes, tmp_path, 1)
    code, said = hopeless.end()
    assert code == 3, said
    assert "24 opened" in said
    assert "no live node offers" in said
    assert "add such a node, then run the same command again" in said
    patient = Audit(nodes, tmp_path, 240)
    patient.hear("more for one")
    nodes.add("worker", 1)
    patient.hear("joined: 1 CPU")
    code, said = patient.end()
    assert code == 0, said
    for stage in ("24 listed", "24 decoded", "48 vectors", "48 rows merged"):
        assert any(stage in line and "/s" in line for line in said.splitlines()), stage
