"""Which kills does a series hold? All of it follows from one number."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

from tests.torture.points import Kill

KINDS = ("point", "driver", "actor", "node")
# Of each phase: a killed driver costs another one's start, a killed node its own.
KILLS = {"point": 10, "driver": 8, "actor": 8, "node": 3}
PHASES = 3
# The order in which a run reaches them: early kills leave the later points still to be reached.
ORDER = ("collect", "isolate", "embed", "index", "verbs", "measure", "report", "tidy", "other")
# The stages that are drawn from, beside embed; the rest is rare or cannot be asked for.
OFTEN = ("collect", "index", "verbs", "measure", "report", "tidy")
# A table is founded once.
FOUNDING = re.compile(r"\.create\.| of ")
# Every run passes these, so they can still be reached when nothing is left to embed.
ALWAYS = ("index", "verbs", "report", "tidy")


@dataclass(frozen=True)
class Plan:
    """One series.

    Attributes:
        seed: from which all follows.
        kind: "point" (drivers kill themselves at named points), "driver" (killed from outside),
            "actor" (workers killed from outside) or "node" (whole nodes).
        encoder: "pixels" or "offline-lite".
        few: below how many pictures the driver opens them itself; 0 opens all on Ray.
        pause_s: that an actor rests after each block, so that there is time to kill in.
        phases: how often the collection changes, and one.
    """

    seed: int
    kind: str
    encoder: str
    few: int
    pause_s: float
    phases: int

    def rng(self, purpose: str) -> Random:
        """Return numbers of their own for each purpose, so that none disturbs another."""
        return Random(f"{self.seed}:{self.kind}:{purpose}")


def plan(seed: int, kind: str, phases: int = PHASES) -> Plan:
    """Draw a series."""
    rng = Random(f"{seed}:{kind}")
    return Plan(
        seed=seed,
        kind=kind,
        encoder=rng.choice(("pixels", "pixels", "offline-lite")),
        few=rng.choice((0, 4096, 4096)),
        pause_s=0.0 if kind == "point" else rng.choice((0.3, 0.6, 1.2)),
        phases=phases,
    )


def kills(
    drawn: Plan, phase: int, known: Iterable[str], count: int, took: Mapping[str, Sequence[float]]
) -> list[Kill]:
    """Draw the points of one phase, in the order in which a run reaches them.

    Every other one lies in ``embed``, where rows are won; the others go round the stages, since a
    report has as many points as a merge of vectors. Once a driver has come to its end, what lies
    before ``ALWAYS`` is not reached any more, so points of tables that are there already are
    never drawn for a later phase.

    Args:
        drawn: the series.
        phase: its number.
        known: names of points, as reached so far.
        count: how many to draw.
        took: operation -> milliseconds that it was measured to take in runs on this store; a kill
            during it comes at a drawn share of their median.
    """
    # Each point draws for itself, so that one more known point leaves the other draws alone.
    sure = {p for p in known if not p.endswith(".during") or p.removesuffix(".during") in took}
    sure = {p for p in sure if not (phase and FOUNDING.search(p))}
    drawing = {point: drawn.rng(f"kill {phase} {point}") for point in sure}
    rank = {point: rng.random() for point, rng in drawing.items()}
    left: dict[str, list[str]] = {}
    for point in sorted(rank, key=lambda p: rank[p]):
        left.setdefault(point.partition(".")[0], []).append(point)
    # No phase can spare much of collect: what it has listed is not listed again.
    others = [s for s in OFTEN if s in left]
    drawn.rng(f"stages {phase}").shuffle(others)
    turns = [stage for pair in zip(["embed"] * len(others), others, strict=True) for stage in pair]
    chosen: list[str] = []
    while len(chosen) < count and any(left.get(stage) for stage in turns):
        for stage in turns:
            if left.get(stage) and len(chosen) < count:
                chosen.append(left[stage].pop(0))
        turns = [stage for stage in turns if stage != "collect"]
    found = []
    for point in sorted(chosen, key=lambda p: (ORDER.index(p.partition(".")[0]), rank[p])):
        rng, during = drawing[point], point.endswith(".during")
        many = point.startswith(("embed.merge", "collect.merge")) and not phase
        nth = rng.choice((1, 1, 2)) if many else 1
        share = rng.uniform(0.05, 0.95)
        after_ms = share * median(took[point.removesuffix(".during")]) if during else 0.0
        found.append(Kill(point, nth, round(after_ms, 3)))
    return found
