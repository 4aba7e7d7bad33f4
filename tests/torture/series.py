"""One series: a collection in phases, drivers that die and are started again, and the judge."""

import datetime as dt
import importlib.metadata
import re
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from clipbatch.errors import ExitCode
from tests.torture import judge
from tests.torture.collection import Phase, phases
from tests.torture.plan import ALWAYS, Plan, kills
from tests.torture.points import Kill, fell
from tests.torture.processes import ROOT
from tests.torture.processes import kill as kill_process
from tests.torture.session import VARIANTS, Driver, Place, Session

STUCK_S = 240.0  # or four undisturbed runs, where the machine is slower
TRIES = 4  # drivers in a row that may end with 3 without a kill before a series has failed
BLOCKED = re.compile(r"another run \(.*\) holds it")  # by the lease; one driver runs at a time
EMBEDDING = 0.5  # share of the kills from outside that wait for a block to be encoded
HOLDING = "encoder that holds a block"
ENCODERS = (HOLDING, "actor")  # only ``embed`` has actors
LIBRARIES = ("ray", "pylance", "lancedb", "lance-ray", "pyarrow")


@dataclass
class Tally:
    """What happened in a series.

    Attributes:
        kills: where -> how many; where a kill really fell, whatever was drawn.
        drivers: how many were started.
        unreached: kills that were drawn and did not happen.
        incomplete: drivers that ended with 3 although nothing was killed in their time.
        codes: exit code -> drivers.
        embedded: vectors that actors computed.
        kept: table -> keys whose merge was answered.
        failures: what must not be, beside what the judge finds in the tables.
        points: that were reached so far.
        took: operation -> milliseconds that it was measured to take.
        calm: exit code of the undisturbed run.
    """

    kills: Counter[str] = field(default_factory=Counter)
    drivers: int = 0
    unreached: int = 0
    incomplete: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    embedded: int = 0
    kept: dict[str, list[list[str]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    points: set[str] = field(default_factory=set)
    took: dict[str, list[float]] = field(default_factory=dict)
    calm: int = 0

    def learn(self, events: list[dict[str, Any]]) -> None:
        """Learn which points there are, and how long operations take."""
        for event in events:
            self.points |= {event[key] for key in ("at", "knows") if key in event}
            if "took" in event:
                self.took.setdefault(event["took"], []).append(event["ms"])

    def take(self, driver: Driver, code: int, kill: Kill | None = None, *, shot: str = "") -> None:
        """Count what a driver said before it ended with a code, and judge how it ended.

        Args:
            driver: that has ended.
            code: of its end.
            kill: that it was told to do to itself.
            shot: what was killed from outside: "driver", "command" over it, or "".
        """
        self.drivers += 1
        events = driver.events()
        self.learn(events)
        for event in events:
            self.embedded += event.get("embedded", 0)
            if "kept" in event:
                self.kept.setdefault(event["kept"], []).extend(event["keys"])
        self.codes[f"{code} (shot)" if shot else str(code)] += 1
        died = any("died" in event for event in events)
        # A delayed kill may come too late. A command says 3 of a driver that was killed, or 2 of
        # one that was not up yet.
        under = code in (ExitCode.INCOMPLETE, ExitCode.COULD_NOT_RUN) and shot == "driver"
        if (code < 0 and (died or shot)) or under:
            where = fell(events)
            inside = where.endswith(".inside")
            at_random = f"{where.partition('.')[0]}.{shot or 'driver'} at random"
            self.kills[where if kill or inside else at_random] += 1
        elif wrong := self.wrong_end(driver, code, events):
            self.failures.append(f"{wrong}: {last(driver)}")

    def wrong_end(self, driver: Driver, code: int, events: list[dict[str, Any]]) -> str:
        """Say what is wrong with the end of a driver that nobody killed; "" where nothing is."""
        if BLOCKED.search(driver.said()):
            return "a restart was refused by the lease of a driver that is dead"
        if {"ended": code} not in [{"ended": e["ended"]} for e in events if "ended" in e]:
            return f"a driver ended with {code}, and not of its own accord"
        if code not in (0, self.calm, 3):
            return f"a driver ended with {code}, the undisturbed one with {self.calm}"
        return ""


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
            self.folder / "pictures",
            session.store.database(f"{self.name}/calm"),
            self.folder / "out-calm",
        )
        self.tally = Tally()
        self.calm_s = 0.0

    @property
    def stuck_s(self) -> float:
        """Return after how many seconds a driver is taken to hang."""
        return max(STUCK_S, 4 * self.calm_s)

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
        """Run undisturbed on the same store, for the bits, the points and how long each takes."""
        phase.write(self.calm.pictures)
        started = time.monotonic()
        driver = self.session.driver(self.calm, self.drawn)
        if (code := self._wait(driver)) not in (0, 1):
            raise Failed(f"the undisturbed run ended with {code}: {last(driver)}")
        self.calm_s = time.monotonic() - started
        self.tally.calm = code
        self.tally.learn(driver.events())

    def _phase(self, number: int) -> None:
        {
            "point": self._points,
            "driver": self._shots,
            "actor": self._workers,
            "node": self._nodes,
        }[self.drawn.kind](number)
        self._finish()
        if self.tally.failures:
            raise Failed("see above")

    def _driver(self, kill: Kill | None = None, pause_s: float = 0.0) -> Driver:
        return self.session.driver(self.place, self.drawn, kill, pause_s)

    def _wait(self, driver: Driver) -> int:
        while driver.process.poll() is None:
            if driver.stuck(self.stuck_s):
                driver.mark.kill()
                raise Failed(f"a driver did not end within {self.stuck_s:.0f} s: {last(driver)}")
            time.sleep(0.05)
        return driver.end()

    def _over(self) -> bool:
        return time.monotonic() > self.deadline

    def _points(self, phase: int) -> None:
        # The names are those that runs of this product reached, so no list of them can grow old.
        left = kills(self.drawn, phase, self.tally.points, self.kills_a_phase, self.tally.took)
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
        self.tally.take(driver, code, kill)
        return code

    def _shots(self, phase: int) -> None:
        rng = self.drawn.rng(f"shots {phase}")
        for _ in range(self.kills_a_phase):
            moment, what = rng.uniform(0.1, 1.0), rng.choice(("driver", "command"))
            blocks = rng.choice((1, 1, 2, 3)) if rng.random() < EMBEDDING else 0
            if self._over():
                break
            driver = self.session.driver(
                self.place, self.drawn, pause_s=self.drawn.pause_s, command=True
            )
            until = time.monotonic() + moment * self.calm_s
            while time.monotonic() < until and driver.process.poll() is None:
                time.sleep(0.02)
                if blocks and len(driver.blocks()) >= blocks:
                    time.sleep(2 * moment * self.drawn.pause_s)  # before or after it is merged
                    break
            shot = driver.shot(what)
            self.tally.unreached += not shot
            self.tally.take(driver, driver.end(), shot=shot)

    def _workers(self, phase: int) -> None:
        rng = self.drawn.rng(f"workers {phase}")
        driver = self._driver(None, self.drawn.pause_s)
        aimed = self.kills_a_phase // 2  # at encoders at work; the rest is for whatever is there
        left = {"aimed": aimed, "any": self.kills_a_phase - aimed}
        heard, moment = 0, time.monotonic() + rng.uniform(0.1, 1.2)
        while driver.process.poll() is None and not driver.stuck(self.stuck_s):
            time.sleep(0.05)
            if self._over() or driver.stage() == "isolate":
                continue  # where a picture is alone, whatever kills its worker is that picture
            blocks, what = driver.blocks(), ""
            if left["aimed"] and len(blocks) > heard:
                # It rests before it hands its block over; a little later it has.
                time.sleep(rng.uniform(0.0, 1.1) * self.drawn.pause_s)
                heard = len(driver.blocks())
                if driver.stage() == "isolate":
                    continue
                resting = driver.resting(blocks[-1])
                if kill_process(blocks[-1]):
                    what = HOLDING if resting else "actor"
                left["aimed"] -= bool(what)
            elif left["any"] and time.monotonic() > moment:
                what = self.session.cluster.kill_worker(rng)
                moment = time.monotonic() + rng.uniform(0.1, 1.2)
                left["any"] -= bool(what)
            if what:
                stage = "embed" if what in ENCODERS else driver.stage()
                self.tally.kills[f"{stage}.{what}"] += 1
        self.tally.take(driver, self._wait(driver))
        self.tally.unreached += sum(left.values())

    def _nodes(self, phase: int) -> None:
        rng = self.drawn.rng(f"nodes {phase}")
        cluster = self.session.cluster
        driver = self._driver(None, self.drawn.pause_s)
        left = self.kills_a_phase
        heard, embedding = 0, rng.random() < EMBEDDING
        moment = driver.started + rng.uniform(0.2, 0.9) * self.calm_s
        while driver.process.poll() is None and not driver.stuck(self.stuck_s):
            early = len(driver.blocks()) <= heard if embedding else time.monotonic() < moment
            if not left or self._over() or early:
                cluster.mend()
                time.sleep(0.05)
                continue
            self.tally.kills[f"{driver.stage()}.node"] += 1
            blocks = driver.blocks() if embedding else []
            cluster.kill_node(rng, blocks[-1] if blocks else 0)
            left -= 1
            cluster.add()
            cluster.wait(1 + cluster.workers)
            heard, embedding = len(driver.blocks()), rng.random() < EMBEDDING
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
            self.tally.incomplete += 1
        raise Failed(f"exit code {code} {TRIES} times without a kill: {last(driver)}")

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
            "codes": dict(sorted(tally.codes.items())),
            "incomplete": tally.incomplete,
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


def last(driver: Driver) -> str:
    lines = driver.said().strip().splitlines()
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
