"""Which contents accuracy is asked of, and which of them train for which."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.errors import ConfigError, UnitFailed
from clipbatch.measure import copy_groups, repeats
from clipbatch.measure.base import Contents
from clipbatch.measure.repeats import CLEAN

INNER: Final = 5  # every fifth group of the training contents chooses the probe's strength
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class AccuracyParams:
    """How accuracy is measured.

    Attributes:
        min_class: smaller classes are left out and counted.
        sample: contents at most, as many of every class (those with the smallest seeded hashes).
        folds: of cross-validation, where ``train`` and ``test`` name no splits.
        train, test: names of splits: train on the one, test on the other. Both or neither.
        levels: noise levels to test; empty takes all there are.
        strengths: of the linear probe, ascending; contents held back from training choose one.
        templates: prompts of a class; each holds "{}", the class's name.
        words: label -> what the prompts call it; otherwise the label with blanks for "_".
        bootstraps: draws of the tested contents.
        shuffles: controls a fold, each trained on labels shuffled anew.
        memory_gb: for one unit.
    """

    min_class: int = 20
    sample: int = 20_000
    folds: int = 5
    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    levels: tuple[float, ...] = ()
    strengths: tuple[float, ...] = (1.0, 10.0, 100.0)
    templates: tuple[str, ...] = ("a photo of a {}.", "a photo of the {}.", "a close-up of {}.")
    words: Mapping[str, str] = field(default_factory=dict)
    bootstraps: int = 1000
    shuffles: int = 3
    memory_gb: float = 4.0

    def __post_init__(self) -> None:
        least = {"min_class": 4, "sample": 8, "folds": 2, "bootstraps": 10, "shuffles": 1}
        for name, bound in least.items():
            if (got := getattr(self, name)) < bound:
                raise ConfigError(f"measure.accuracy.{name}: got {got}, expected {bound} or more")
        if self.memory_gb <= 0:
            raise ConfigError(
                f"measure.accuracy.memory_gb: got {self.memory_gb}, expected a number above 0"
            )
        if any(level <= 0 for level in self.levels):
            raise ConfigError(
                f"measure.accuracy.levels: got {list(self.levels)}, expected noise levels above 0"
            )
        ascending = list(self.strengths) == sorted(set(self.strengths))
        if not self.strengths or self.strengths[0] <= 0 or not ascending:
            raise ConfigError(
                f"measure.accuracy.strengths: got {list(self.strengths)}, expected numbers above 0 "
                "in ascending order"
            )
        if wrong := [text for text in self.templates if text.count("{}") != 1]:
            raise ConfigError(
                f'measure.accuracy.templates: got {wrong[0]!r}, expected one "{{}}" in it'
            )
        if bool(self.train) != bool(self.test) or set(self.train) & set(self.test):
            raise ConfigError(
                f"measure.accuracy.train and test: got {list(self.train)} and {list(self.test)}, "
                "expected names of different splits in both, or none in either"
            )


@dataclass(frozen=True)
class Fold:
    """One training and one test.

    Attributes:
        key: "fold=3", or "given" for the collection's own splits.
        train, test, held: (R,) of the chosen rows; ``held`` are those of ``train`` that choose the
            probe's strength.
    """

    key: str
    train: Bools
    test: Bools
    held: Bools


@dataclass(frozen=True)
class Chosen:
    """The contents that take part.

    Attributes:
        names: (C,) classes.
        rows: (R,) positions, ascending; every one has all variants.
        label: (R,) class, 0 to C - 1.
        folds: at least one, where there are two classes.
        notes: what was left out.
    """

    names: tuple[str, ...]
    rows: NDArray[np.int64]
    label: NDArray[np.int64]
    folds: tuple[Fold, ...]
    notes: tuple[str, ...]


def variants_of(contents: Contents, params: AccuracyParams) -> tuple[int, ...]:
    """Return clean and the noisy variants that are asked for and exist, ascending."""
    there = {v for v, has in contents.variants.items() if v != CLEAN and has.any()}
    asked = {round(1000 * level) for level in params.levels} or there
    return (CLEAN, *sorted(there & asked))


def choose(contents: Contents, params: AccuracyParams) -> Chosen:
    """Choose classes, contents and folds.

    Copies of a picture (equal pixels, or verified on pixels by ``duplicates``) are one group and
    never straddle.

    Raises:
        UnitFailed: a split is named that the collection does not have.
    """
    usable = np.all([contents.variants[v] for v in variants_of(contents, params)], axis=0)
    groups = repeats.groups_of(contents, usable, len(contents), params.min_class)
    most = max(params.min_class, params.sample // max(1, len(groups.names)))
    drawn = [repeats.draw(contents, rows, "accuracy", most) for rows in groups.rows]
    rows = np.sort(np.concatenate(drawn)) if drawn else np.empty(0, np.int64)
    codes = [contents.label_names.index(name) for name in groups.names]
    label = np.searchsorted(codes, contents.label[rows])
    notes = list(repeats.left_out(groups, params.min_class))
    if capped := sum(len(found) > most for found in groups.rows):
        notes.append(f"{capped} classes are capped at {most} contents (measure.accuracy.sample)")
    if params.train:
        fold, note = _given(contents, rows, params)
        return Chosen(groups.names, rows, label, (fold,), (*notes, note))
    folds = _crossed(contents, copy_groups.of(contents)[rows], params.folds)
    return Chosen(groups.names, rows, label, folds, tuple(notes))


def _dealt(
    contents: Contents, groups: NDArray[np.str_], purpose: str, into: int
) -> NDArray[np.int64]:
    """Deal groups into parts by their seeded hash, so that a new picture moves no other."""
    rank = seeds.rank(contents.seed, f"accuracy {purpose}", groups.tolist())
    return (rank % np.uint64(into)).astype(np.int64)


def _crossed(contents: Contents, groups: NDArray[np.str_], count: int) -> tuple[Fold, ...]:
    fold, inner = (_dealt(contents, groups, *of) for of in (("fold", count), ("inner", INNER)))
    return tuple(
        Fold(f"fold={k}", fold != k, fold == k, (fold != k) & (inner == 0)) for k in range(count)
    )


def _given(contents: Contents, rows: NDArray[np.int64], params: AccuracyParams) -> tuple[Fold, str]:
    """Take the collection's splits; a picture that is in both trains, and is not tested."""
    if unknown := sorted({*params.train, *params.test} - {*contents.split_names}):
        known = ", ".join(contents.split_names) or "none"
        raise UnitFailed(
            f"accuracy: no split is named {unknown[0]!r}, the collection has: {known}; mend "
            "measure.accuracy.train and test"
        )
    groups = copy_groups.of(contents)
    held = []
    for names in (params.train, params.test):
        splits = [contents.split_names.index(name) for name in names]
        held.append(contents.image_content[np.isin(contents.image_split, splits)])
    train, test = (np.isin(groups[rows], groups[these]) for these in held)
    leaks = int((train & np.isin(rows, held[1])).sum())
    inner = _dealt(contents, groups[rows], "inner", INNER) == 0
    note = (
        f"trained on {', '.join(params.train)}, tested on {', '.join(params.test)}; {leaks} "
        "contents of the latter also train, as copies do, and were not tested"
    )
    return Fold("given", train, test & ~train, train & inner), note
