"""New contents against old ones, one aspect after another, within classes.

Every aspect is one value a content, brought to the median and the deviation of its class, so that
all classes can be looked at together. Old and new are then dealt out at random within classes:
if the new ones are like the old ones, that changes nothing.

Capitals: n contents, m of them new, P permutations, B bootstrap draws, T neighbours kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure.pictures_rules import usual

NOVELTY: Final = "novelty"
# Each fact with the smallest deviation that an eye would see: a class of equal pictures has none.
FACTS: Final[Mapping[str, float]] = {
    "brightness": 0.02,  # of luma, [0, 1]
    "contrast": 0.02,
    "detail": 0.2,  # logarithm of sharpness by squared contrast
    "size": 0.05,  # logarithm of the longer side
    "shape": 0.02,  # logarithm of width by height
}
NEAREST: Final = 0.005  # smallest deviation of a distance to the nearest
TAIL: Final = 0.01  # share of the old contents that lies outside, by definition
# The same of all contents, for the permutation test. Wider: a script that resizes wrongly gives
# all its pictures one shape, and such ties share the middle of the ranks that they take.
OUTERMOST: Final = 0.05

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class World:
    """New and old contents.

    Attributes:
        x: (n, D) float32 unit vectors.
        new: (n,).
        stratum: (n,) the class that a content is compared within.
    """

    x: NDArray[np.float32]
    new: Flags
    stratum: Ints

    def dealt(self, permutations: int, rng: np.random.Generator) -> Ints:
        """Deal out who is new, within each class: (P, m) rows."""
        found = []
        for value in np.unique(self.stratum[self.new]):
            rows = np.flatnonzero(self.stratum == value)
            count = int(self.new[rows].sum())
            keys = rng.random((permutations, len(rows)), dtype=np.float32)
            found.append(rows[np.argsort(keys, axis=1)[:, :count]])
        return np.concatenate(found, axis=1)


@dataclass(frozen=True)
class Look:
    """One aspect.

    Attributes:
        name: of the aspect.
        value: (n,) of each content among all others.
        both_sides: whether too little is as odd as too much.
    """

    name: str
    value: Floats
    both_sides: bool = True

    @cached_property
    def _ordered(self) -> Floats:
        return np.sort(self.value)

    def of(self, members: Ints) -> Floats:
        """Return the values of some contents if these were the new ones, (m,)."""
        return self.value[members]

    def old(self, new: Flags) -> Floats:
        """Return the values of the old ones among themselves."""
        return self.value[~new]

    def tests(self, members: Ints) -> Floats:
        """How far off the middle do some contents lie, and what share of them outermost? (2,).

        Against all contents, which dealing out does not change: so the permutation test is exact.
        """
        share = share_below(self._ordered, self.of(members))
        off = float(share.mean()) - 0.5
        beyond = float(outside(share, self.both_sides, OUTERMOST).mean())
        return np.array([abs(off) if self.both_sides else off, beyond])


@dataclass(frozen=True, kw_only=True)
class Novelty(Look):
    """How far a content lies from the nearest of those that were there before.

    Attributes:
        near: (n, T) neighbours of every content, nearest first.
        distance: (n, T) 1 - cosine.
        middle, scale: (n,) median and deviation of the class.
        neighbours: how many the distance is the mean of.
    """

    near: Ints
    distance: Floats
    middle: Floats
    scale: Floats
    neighbours: int

    def of(self, members: Ints) -> Floats:
        """Measure each from the contents that are not among them."""
        allowed = np.ones(len(self.near), np.bool_)
        allowed[members] = False
        return self._from(members, allowed)

    def old(self, new: Flags) -> Floats:
        """Measure each old one from the other old ones."""
        return self._from(np.flatnonzero(~new), ~new)

    def _from(self, rows: Ints, allowed: Flags) -> Floats:
        mean = nearest_mean(self.near[rows], self.distance[rows], allowed, self.neighbours)
        found: Floats = (mean - self.middle[rows]) / self.scale[rows]
        return found


def nearest_mean(near: Ints, distance: Floats, allowed: Flags, k: int) -> Floats:
    """Return the mean distance to the first k neighbours that are allowed; 1 where none is."""
    usable = allowed[near] & np.isfinite(distance)
    usable &= np.cumsum(usable, axis=1) <= k
    count = usable.sum(axis=1)
    total = np.where(usable, distance, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), 1.0)


def once(x: NDArray[np.float32], new: Flags, cosine: float) -> Ints:
    """Return all old rows, and the first new row of each group of copies among the new ones."""
    from scipy.sparse.csgraph import connected_components

    rows = np.flatnonzero(new)
    _, group = connected_components(x[rows] @ x[rows].T >= cosine, directed=False)
    first = rows[np.unique(group, return_index=True)[1]]
    return np.sort(np.concatenate([np.flatnonzero(~new), first]))


def facts(known: Mapping[str, NDArray[Any]], rows: Ints) -> Floats:
    """Return the facts of some contents, (n, len(FACTS)); NaN where the decode left none."""
    found = np.full((len(rows), len(FACTS)), np.nan)
    if {"brightness", "contrast", "sharpness", "width", "height"} <= known.keys():
        part = {name: np.asarray(known[name])[rows].astype(np.float64) for name in known_facts()}
        contrast = np.maximum(part["contrast"], 1e-3)
        width, height = (np.log(np.maximum(part[side], 1.0)) for side in ("width", "height"))
        detail = np.log(np.maximum(part["sharpness"], 1e-9)) - 2 * np.log(contrast)
        columns = (part["brightness"], part["contrast"], detail)
        found = np.stack([*columns, np.maximum(width, height), width - height], axis=1)
    return found.round(6)


def known_facts() -> tuple[str, ...]:
    """Return the facts of the decode that are looked at."""
    return ("brightness", "contrast", "sharpness", "width", "height")


def looks(facts: Floats, stratum: Ints) -> Iterator[Look]:
    """Turn the facts that are known of all into aspects."""
    for column, (name, least) in enumerate(FACTS.items()):
        value = facts[:, column]
        if np.isfinite(value).all():
            middle, scale = by_class(value, stratum, least)
            yield Look(name, (value - middle) / scale)


def by_class(value: Floats, stratum: Ints, least: float) -> tuple[Floats, Floats]:
    """Return median and deviation of each content's class, (n,) each; not less than ``least``."""
    middle, scale = np.empty(len(value)), np.empty(len(value))
    for one in np.unique(stratum):
        here = stratum == one
        middle[here], scale[here] = usual(value[here])
    return middle, np.maximum(scale, least)


def novelty(world: World, neighbours: int, copy_cosine: float) -> Novelty:
    """Prepare distances to the nearest that are no copies."""
    n, m = len(world.new), int(world.new.sum())
    # Enough that a dealt-out sample leaves k of them, but for a few rows that take what is left.
    keep = min(n, int(3 * neighbours * n / (n - m)) + 30)
    distance = (1.0 - (world.x @ world.x.T).astype(np.float64)).round(6)
    distance[distance <= 1.0 - copy_cosine] = np.inf  # and the diagonal with them
    near = np.argsort(distance, axis=1, kind="stable")[:, :keep]
    distance = np.take_along_axis(distance, near, axis=1)
    among_all = nearest_mean(near, distance, np.ones(n, np.bool_), neighbours)
    middle, scale = by_class(among_all, world.stratum, NEAREST)
    value = (among_all - middle) / scale
    return Novelty(
        name=NOVELTY,
        value=value,
        both_sides=False,
        near=near,
        distance=distance,
        middle=middle,
        scale=scale,
        neighbours=neighbours,
    )


def share_below(ordered: Floats, value: Floats) -> Floats:
    """Return the share of ``ordered`` below each value, (m,); ties count by half."""
    low, high = (np.searchsorted(ordered, value, side) for side in ("left", "right"))
    found: Floats = (low + high) / (2 * len(ordered))
    return found


def outside(share: Floats, both_sides: bool, tail: float) -> Flags:
    """Tell shares that lie in the outermost ``tail``, (m,)."""
    if not both_sides:
        return share > 1 - tail
    return np.abs(share - 0.5) > 0.5 - tail / 2


def compare(
    world: World, looks: Sequence[Look], draws: tuple[int, int], rng: np.random.Generator
) -> Iterator[dict[str, NDArray[Any]]]:
    """Compare old and new in every aspect.

    Args:
        world: old and new.
        looks: aspects.
        draws: bootstraps and permutations.
        rng: of all draws.

    Yields:
        "share" (m,) of the old ones below each new one; "auc" its mean; "bootstrap" (B,) of that;
        "chance" (P,) of the same by chance; "outside" share of new ones beyond almost all old
        ones; "p shift" and "p outside" from permutations.
    """
    dealt = world.dealt(draws[1], rng)
    new = np.flatnonzero(world.new)
    for look in looks:
        old, value = np.sort(look.old(world.new)), look.of(new)
        share = share_below(old, value)
        chance = np.array([look.tests(members) for members in dealt])
        p = (1 + (chance >= look.tests(new) - 1e-12).sum(axis=0)) / (1 + len(chance))
        yield {
            "share": share,
            "auc": np.array(share.mean()),
            "bootstrap": _bootstrap(old, value, draws[0], rng),
            "chance": chance[:, 0],
            "outside": np.array(outside(share, look.both_sides, TAIL).mean()),
            "p shift": np.array(p[0]),
            "p outside": np.array(p[1]),
        }


def _bootstrap(old: Floats, new: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Draw old and new ones again, (B,): the chance that a new one lies above an old one."""
    found = np.empty(draws)
    for draw in range(draws):
        ordered = old[np.sort(rng.integers(0, len(old), len(old)))]
        found[draw] = share_below(ordered, new[rng.integers(0, len(new), len(new))]).mean()
    return found
