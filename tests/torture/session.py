"""What several series share: a mark, a folder, a store, and one Ray of several nodes."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.torture.cluster import Cluster
from tests.torture.plan import Plan
from tests.torture.points import Kill, fell, read
from tests.torture.processes import Mark, adopt, guard, start
from tests.torture.processes import kill as kill_process
from tests.torture.stores import Store

SETTINGS = (
    "embed.pixels_side=8",
    "embed.batch_size=8",
    "embed.threads=1",
    "embed.levels=[1.0]",
    "embed.merge_rows=16",
    "index.compact_above=2",
    "index.keep_days=0",
    "measure.analyses=['duplicates']",
)
REMOVE_S = 10.0
VARIANTS = (0, 1000)


@dataclass
class Session:
    """Everything that a series needs and does not own."""

    mark: Mark
    folder: Path
    store: Store
    cluster: Cluster
    drivers: int = 0

    def driver(
        self,
        place: "Place",
        drawn: Plan,
        kill: Kill | None = None,
        pause_s: float = 0.0,
        *,
        command: bool = False,
    ) -> "Driver":
        """Start a driver over a place, alone or under its command; it joins the cluster."""
        kill = kill or Kill()
        settings = (*SETTINGS, f"embed.encoder={drawn.encoder}")
        return Driver(
            self,
            "tests.torture.command" if command else "tests.torture.driver",
            *(f"--die={kill.point}", f"--nth={kill.nth}", f"--after-ms={kill.after_ms}"),
            *(f"--pause-s={pause_s}", f"--few={drawn.few}"),
            *("--", "audit", str(place.pictures)),
            *("--db", place.database, "--out", str(place.report)),
            *(part for text in settings for part in ("--set", text)),
        )


@dataclass(frozen=True)
class Place:
    """A source, a database and a report."""

    pictures: Path
    database: str
    report: Path


class Driver:
    """One driver's process, and what it said.

    Args:
        session: it joins the session's Ray.
        module: that is run.
        arguments: of the module, beside where it logs.
    """

    def __init__(self, session: Session, module: str, *arguments: str) -> None:
        session.drivers += 1
        name = f"driver{session.drivers}"
        self.session = session
        self.commanded = module == "tests.torture.command"
        self.mark = session.mark.part(name)
        self.log = session.folder / f"{name}.events"
        self.text = session.folder / f"{name}.log"
        self.process = start(
            [sys.executable, "-m", module, f"--log={self.log}", *arguments],
            self.mark,
            session.cluster.environment,
            self.text,
        )
        self.started = time.monotonic()

    def events(self) -> list[dict]:
        return read(self.log)

    def stage(self) -> str:
        """Return what the driver was last seen doing."""
        return fell(self.events()).partition(".")[0]

    def pid(self) -> int:
        """Return the driver's own process, which may be a command's child; 0 before it began."""
        return next((event["pid"] for event in self.events() if "started" in event), 0)

    def blocks(self) -> list[int]:
        """Return which process encoded each block so far."""
        return [event["pid"] for event in self.events() if "embedded" in event]

    def stuck(self, seconds: float) -> bool:
        return time.monotonic() - self.started > seconds

    def end(self) -> int:
        """Wait for the end, take what belonged to it along; returns its exit code."""
        code = self.process.wait()
        self.mark.kill()
        return code

    def shot(self, what: str = "driver") -> str:
        """SIGKILL the driver or the "command" over it from outside; returns what was struck."""
        if self.process.poll() is not None:
            return ""
        child = self.pid() if what == "driver" else 0
        if not child:  # the process that was started: a command where there is one
            what, child = "command" if self.commanded else "driver", self.process.pid
        struck = kill_process(child)
        self.process.wait()
        return what if struck and not any("ended" in event for event in self.events()) else ""

    def resting(self, pid: int) -> bool:
        """Tell whether an encoder has computed a block and not handed it over."""
        mine = [e for e in self.events() if pid in (e.get("pid"), e.get("handed"))]
        return bool(mine) and "embedded" in mine[-1]

    def said(self) -> str:
        """Return what it printed."""
        return self.text.read_text(errors="replace")


@contextmanager
def session(store: str, workers: int = 2, cpus: int = 1) -> Iterator[Session]:
    """Start a store and a Ray; nothing of either is left afterwards, whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="ct-", dir="/tmp"))
    mark = Mark()
    adopt(orphans=True)
    watch = guard(mark, folder)
    before = dict(os.environ)
    try:
        place = Store(store, mark, folder)
        cluster = Cluster(mark, folder, place.environment, workers, cpus)
        cluster.start()
        yield Session(mark, folder, place, cluster)
    finally:
        os.environ.clear()
        os.environ.update(before)
        mark.kill()
        adopt(orphans=False)
        watch.kill()
        watch.wait()
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder in which a dying process may still finish a write."""
    until = time.monotonic() + REMOVE_S
    while folder.exists() and time.monotonic() < until:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)
