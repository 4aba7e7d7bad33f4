"""What the proof does, step by step, and what it compares."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lancedb

from tests import groceries
from tests.proof.nodes import Nodes
from tests.torture.processes import ROOT, start
from tests.torture.stores import Store

JOB_S = 600.0
WORKERS = (("cpu1", 1, 0), ("cpu2", 2, 0), ("gpu1", 1, 1))  # logical CPUs and GPUs
CONFIG = """\
[collect]
source = "$SOURCE"
[embed]
encoder = "{encoder}"
levels = [1.0]
batch_size = 8
threads = 1
merge_rows = 64
[index]
database = "$DATABASE"
[measure]
analyses = ["duplicates", "angles"]
[report]
folder = "$REPORT"
"""
SAID = re.compile(r"^(ray|collect|embed|measure|index|report|audit|clipbatch:) ")
DONE = re.compile(r"embed +(\d+)/(\d+) pictures")
ENCODER = b"ray::MapWorker"


class Proof:
    """One proof.

    Args:
        store: of pictures and tables.
        nodes: not yet started.
        folder: scratch.
        pictures: how many.
        encoder: its name in the configuration.
    """

    def __init__(
        self, store: Store, nodes: Nodes, folder: Path, pictures: int, encoder: str
    ) -> None:
        self.store, self.nodes, self.folder, self.pictures = store, nodes, folder, pictures
        self.job = folder / "job"
        self.job.mkdir()
        shutil.copy(ROOT / "jobs" / "audit.py", self.job)
        (self.job / "audit.toml").write_text(CONFIG.format(encoder=encoder))
        self.metrics: dict[str, float] = {}

    def run(self) -> bool:
        """Tell whether the two audits agree in everything."""
        self.store.upload(
            "photos/",
            {
                f"{row['split']}/{row['label']}/{number:04}.jpg": row["data"]
                for number, row in enumerate(groceries.rows(self.pictures))
            },
        )
        say(f"{self.pictures} pictures in {self.store.database('photos')}")
        self._local()
        self._start()
        code = self._submit()
        return self._compare(code)

    def places(self, name: str) -> dict[str, str]:
        """Return the environment of one of the two audits."""
        report = self.folder / f"{name}-report"
        return {
            "SOURCE": self.store.database("photos"),
            "DATABASE": self.store.database(f"{name}-db"),
            "REPORT": str(report),
        }

    def _local(self) -> None:
        clock = time.monotonic()
        done = subprocess.run(
            [sys.executable, "audit.py", "--config", "audit.toml"],
            cwd=self.job,
            env=os.environ | self.places("local") | self.nodes.mark.part("local").environment(),
            capture_output=True,
            text=True,
            timeout=JOB_S,
            check=False,
        )
        seconds = time.monotonic() - clock
        say(f"on one machine: exit code {done.returncode} in {seconds:.0f} s")
        if done.returncode:
            raise RuntimeError(done.stderr[-3000:])

    def _start(self) -> None:
        self.nodes.head()
        for number, (name, cpus, gpus) in enumerate(
            (("cpu1", 1, 0), ("cpu2", 2, 0), ("gpu1", 1, 1))
        ):
            self.nodes.add(name, cpus, gpus)
            self.nodes.wait(2 + number)
        for name, host in self.nodes.hosts.items():
            where = f"network namespace {host.name}" if host.name else "this machine"
            say(f"node {name}: {host.address}, {where}")

    def _submit(self) -> int:
        """Submit the job; kill the node with the only encoder in the middle, and add another."""
        log = self.folder / "submit.log"
        submitted = start(
            [
                *(str(Path(sys.executable).parent / "ray"), "job", "submit"),
                *("--working-dir", str(self.job)),
                *("--runtime-env-json", json.dumps({"env_vars": self.places("cluster")})),
                *("--", "python", "audit.py", "--config", "audit.toml"),
            ],
            self.nodes.mark.part("submit"),
            self.nodes.environment,
            log,
        )
        until, struck = time.monotonic() + JOB_S, 0.0
        for line in follow(log, submitted):
            if SAID.match(line):
                print(f"  {line}", flush=True)
            self.metrics |= self.nodes.scrape() if line.startswith("embed") else {}
            if not struck and (found := DONE.match(line)) and 0 < int(found[1]) < int(found[2]):
                killed = self.nodes.kill("gpu1")
                struck = time.monotonic()
                say(f"killed node gpu1: {killed} processes, at {found[1]} of {found[2]} pictures")
                self.nodes.add("gpu2", 1, 1)
            if time.monotonic() > until:
                raise TimeoutError(f"the job took longer than {JOB_S:g} s; see {log}")
        if not struck:
            raise RuntimeError("the job ended before a node could be killed in the middle")
        code = submitted.wait()
        say(f"ray job submit ended with {code}")
        if code:
            print(log.read_text()[-4000:])
        return code

    def _compare(self, code: int) -> bool:
        here, there = (read(self.places(name)) for name in ("local", "cluster"))
        keys = {table: len(rows) for table, rows in here.items()}
        say(f"compared: {keys}")
        unequal = [table for table in here if here[table] != there[table]]
        same = not unequal
        say(f"every key, bit and byte equal: {same}{f'; not {unequal}' if unequal else ''}")
        for name in sorted(self.metrics):
            say(f"metric {name} = {self.metrics[name]:g}")
        return same and code == 0


def follow(log: Path, process: "subprocess.Popen[bytes]") -> Iterator[str]:
    """Yield each line of a log until its writer has ended; "" now and then while it is silent."""
    with log.open(encoding="utf-8", errors="replace") as file:
        rest = ""
        while True:
            ended = process.poll() is not None
            rest += file.read()
            *lines, rest = rest.split("\n")
            yield from (line.rstrip() for line in lines)
            if ended:
                return
            yield ""
            time.sleep(0.1)


def read(places: Mapping[str, str]) -> dict[str, dict[Any, Any]]:
    """Return what two audits must agree in, by key; no key may be there twice."""
    database = lancedb.connect(places["DATABASE"])

    def rows(name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = database.open_table(name).to_arrow().to_pylist()
        return found

    (run,) = rows("runs")
    found: dict[str, dict[Any, Any]] = {}
    for name in sorted(json.loads(run["tables"])):
        if name.startswith("vectors__"):
            table = {(r["content_id"], r["variant"]): r["vector"] for r in rows(name)}
            if len(table) != database.open_table(name).count_rows():
                raise RuntimeError(f"{name} holds a key twice")
            found["vectors"] = found.get("vectors", {}) | table
    found["findings"] = {
        (r["fingerprint"], r["analysis"], r["unit"]): r["result"] for r in rows("findings")
    }
    found["catalog"] = {
        r["uri"]: (r["content_id"], r["status"], r["label"], r["split"]) for r in rows("catalog")
    }
    report = json.loads((Path(places["REPORT"]) / "audit.json").read_text())
    found["report"] = {"findings": report["findings"], "verdict": report["verdict"]}
    return found


def say(text: str) -> None:
    """Print one line of the proof's own."""
    print(f"proof    {text}", flush=True)
