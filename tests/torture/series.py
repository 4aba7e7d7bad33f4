"""One series: a collection in phases, drivers that die and are started again, and the judge."""

import datetime as dt
import importlib.metadata
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.torture import judge
from tests.torture.collection import Phase, phases
from tests.torture.plan import ALWAYS, Plan, kills
from tests.torture.points import Kill
from tests.torture.processes import ROOT
from tests.torture.session import VARIANTS, Driver, Place, Session

STUCK_S = 240.0
TRIES = 8  # drivers in a row that may end with 3 without a kill before a series has failed
LONGEST_MS = {"local": 40, "moto": 250, "seaweed": 250}
LIBRARIES = ("ray", "pylance", "lancedb", "lance-ray", "pyarrow")


@dataclass
class Tally:
    """What happened in a series."""

    kills: Counter[str] = field(default_factory=Counter)
    drivers: int = 0
    unreached: int = 0
    embedded: int = 0
    kept: dict[str, list[list[str]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    points: set[str] = field(default_factory=set)  # that were reached so far

    def take(self, driver: Driver, code: int) -> None:
        """Count what a driver said before it ended with a code."""
        self.drivers += 1
        for event in driver.events():
            self.embedded += event.get("embedded", 0)
            if "died" in event and code < 0:  # a delayed kill may come too late
                self.kills[event["died"]] += 1
            if "kept" in event:
                self.kept.setdefault(event["kept"], []).extend(event["keys"])
            if "at" in event:
                self.points.add(event["at"])


class Series:
    """Runs one series.

    Args:
        session: where.
        drawn: what.
        kills_a_phase: how many kills each phase shall have.
        deadline: monotonic time after which nothing more is killed.
    """

    def __init__(self, session: Session, drawn: Plan, kills_a_phase: int, deadline: float) -> None:
        self.session, self.drawn = session, drawn
        self.kills_a_phase, self.deadline = kills_a_phase, deadline
        self.name = f"series-{drawn.kind}-{drawn.seed}"
        self.folder = session.folder / self.name
        self.place = Place(
            self.folder / "pictures", session.store.database(f"{self.name}/db"), self.folder / "out"
        )
        self.calm = Place(
            self.folder / "pictures", str(self.folder / "calm"), self.folder / "out-calm"
        )
        self.tally = Tally()
        self.calm_s = 0.0

    def run(self) -> dict[str, Any]:
        """Return the series' line for the results."""
        started = time.monotonic()
        times = phases(self.drawn.seed, self.drawn.phases)
        judgement = judge.Judgement()
        try:
            self._calm(times[-1])
            for number, phase in enumerate(times):
                phase.write(self.place.pictures)
                self._phase(number)
                calm = self.calm.database if phase is times[-1] else ""
                judgement = judge.judge(self.place.database, phase, VARIANTS, self.tally.kept, calm)
                if not judgement.sound:
                    break
        except (
            Failed,
            TimeoutError,
            OSError,
            ValueError,
        ) as error:  # Lance's, where it cannot read
            self.tally.failures.append(f"{type(error).__name__}: {error}")
        return self._line(judgement, time.monotonic() - started)

    def _calm(self, phase: Phase) -> None:
        """Run undisturbed, for the bits and for the names of the points."""
        phase.write(self.calm.pictures)
        started = time.monotonic()
        driver = self.session.driver(self.calm, self.drawn)
        if (code := self._wait(driver)) not in (0, 1):
            raise Failed(f"the undisturbed run ended with {code}: {_last(driver)}")
        self.calm_s = time.monotonic() - started
        self.tally.points |= {event["at"] for event in driver.events() if "at" in event}

    def _phase(self, number: int) -> None:
        {
            "point": self._points,
            "driver": self._shots,
            "actor": self._workers,
            "node": self._nodes,
        }[self.drawn.kind](number)
        self._finish()

    def _driver(self, kill: Kill | None = None, pause_s: float = 0.0) -> Driver:
        return self.session.driver(self.place, self.drawn, kill, pause_s)

    def _wait(self, driver: Driver) -> int:
        while driver.process.poll() is None:
            if driver.stuck(STUCK_S):
                driver.mark.kill()
                raise Failed(f"a driver did not end within {STUCK_S:g} s: {_last(driver)}")
            time.sleep(0.05)
        return driver.end()

    def _over(self) -> bool:
        return time.monotonic() > self.deadline

    def _points(self, phase: int) -> None:
        longest = LONGEST_MS[self.session.store.name]
        # The names are those that runs of this product reached, so no list of them can grow old.
        left = kills(self.drawn, phase, self.tally.points, self.kills_a_phase, longest)
        done = False
        for kill in left:
            if self._over() or (done and kill.point.partition(".")[0] not in ALWAYS):
                self.tally.unreached += 1
                continue
            code = self._once(kill)
            if code >= 0:
                self.tally.unreached += 1
                done = done or code in (0, 1)

    def _once(self, kill: Kill) -> int:
        driver = self._driver(kill)
        code = self._wait(driver)
        self.tally.take(driver, code)
        if code == 2:
            raise Failed(f"after {dict(self.tally.kills)}: exit code 2: {_last(driver)}")
        return code

    def _shots(self, phase: int) -> None:
        rng = self.drawn.rng(f"shots {phase}")
        for _ in range(self.kills_a_phase):
            moment = rng.uniform(0.1, 1.0)
            if self._over():
                break
            driver = self._driver(None, self.drawn.pause_s)
            until = time.monotonic() + moment * self.calm_s
            while time.monotonic() < until and driver.process.poll() is None:
                time.sleep(0.02)
            if not driver.shot():
                self.tally.unreached += 1
            self.tally.take(driver, driver.end())

    def _workers(self, phase: int) -> None:
        rng = self.drawn.rng(f"workers {phase}")
        driver = self._driver(None, self.drawn.pause_s)
        left = self.kills_a_phase
        while driver.process.poll() is None and not driver.stuck(STUCK_S):
            time.sleep(rng.uniform(0.1, 1.2))
            if left and not self._over():
                what = self.session.cluster.kill_worker(rng)
                if what:
                    self.tally.kills[f"{driver.stage()}.{what}"] += 1
                    left -= 1
        self.tally.take(driver, self._wait(driver))
        self.tally.unreached += left

    def _nodes(self, phase: int) -> None:
        rng = self.drawn.rng(f"nodes {phase}")
        cluster = self.session.cluster
        driver = self._driver(None, self.drawn.pause_s)
        left = min(self.kills_a_phase, 2)
        moment = driver.started + rng.uniform(0.2, 0.9) * self.calm_s
        while driver.process.poll() is None and not driver.stuck(STUCK_S):
            if not left or self._over() or time.monotonic() < moment:
                time.sleep(0.05)
                continue
            self.tally.kills[f"{driver.stage()}.node"] += 1
            cluster.kill_node(rng)
            left -= 1
            cluster.add()
            cluster.wait(1 + cluster.workers)
            moment = time.monotonic() + rng.uniform(0.0, 4.0)
        self.tally.take(driver, self._wait(driver))
        self.tally.unreached += left

    def _finish(self) -> None:
        """Start drivers until one ends with 0 or 1, as a person or a schedule would."""
        for _ in range(TRIES):
            driver = self._driver()
            code = self._wait(driver)
            self.tally.take(driver, code)
            if code in (0, 1):
                return
        raise Failed(f"exit code {code} {TRIES} times without a kill: {_last(driver)}")

    def _line(self, judgement: judge.Judgement, seconds: float) -> dict[str, Any]:
        drawn, tally = self.drawn, self.tally
        return {
            "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
            "seed": drawn.seed,
            "kind": drawn.kind,
            "store": self.session.store.name,
            "encoder": drawn.encoder,
            "sound": judgement.sound and not tally.failures,
            "kills": dict(sorted(tally.kills.items())),
            "drivers": tally.drivers,
            "unreached": tally.unreached,
            **judgement.counts(),
            "embedded": tally.embedded,
            "embedded_again": max(0, tally.embedded - judgement.vectors),
            "failures": tally.failures,
            "examples": judgement.examples[:10],
            "seconds": round(seconds, 1),
            "kills_a_phase": self.kills_a_phase,
            "phases": drawn.phases,
            "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
            "commit": commit(),
        }


class Failed(Exception):
    """A series could not be brought to its end."""


def _last(driver: Driver) -> str:
    lines = driver.text.read_text(errors="replace").strip().splitlines()
    return " | ".join(line.strip()[:300] for line in lines[-3:])


def commit() -> str:
    """Return the commit of the source tree, and whether it was changed since; "" without git."""
    try:
        found = subprocess.run(
            ["git", "--no-optional-locks", "describe", "--always", "--dirty"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()
