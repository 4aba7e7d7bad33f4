"""Right and wrong answers of all folds: accuracy by class and level, intervals, reliability."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure import rank_correlation
from clipbatch.measure.accuracy_folds import Chosen
from clipbatch.measure.base import Result

Array = NDArray[np.float64]

METHODS: Final = ("probe", "centroid", "zero_shot")
TRAINED: Final = ("probe", "centroid")
ENDS: Final = (2.5, 97.5)  # percentiles of a 95 % interval
HALVES: Final = 50  # times the contents of every class are cut in two


@dataclass(frozen=True)
class Summary:
    """The answers for N tested contents of C classes at V variants, by M methods.

    Attributes:
        names: (C,) classes with a tested content.
        rows: (N,) positions in Contents. label: (N,) class, 0 to C - 1.
        variants: (V,) clean first.
        methods: those that answered, in the order of ``METHODS``.
        answer: (N, M, V) the class that was named; -1 for a class without a test.
        control: (2, S, N) likewise of ``TRAINED``, clean, after training on shuffled labels.
        low: (N, V) whether made-up words fit as well as the class that zero-shot names; (0, V)
            without zero-shot.
        seed: the collection's. bootstraps: draws.
    """

    names: tuple[str, ...]
    rows: NDArray[np.int64]
    label: NDArray[np.int64]
    variants: tuple[int, ...]
    methods: tuple[str, ...]
    answer: NDArray[np.int64]
    control: NDArray[np.bool_]
    low: NDArray[np.bool_]
    seed: int
    bootstraps: int

    @classmethod
    def of(
        cls,
        chosen: Chosen,
        variants: tuple[int, ...],
        found: Sequence[Result],
        seed: int,
        bootstraps: int,
    ) -> "Summary | str":
        """Join the folds; text says why there is nothing to join."""
        trained = [(fold, one) for fold, one in zip(chosen.folds, found, strict=True)
                   if "probe" in one]  # fmt: skip
        if not trained:
            return "no content is left to test once its copies train"
        methods = tuple(name for name in METHODS if name in trained[0][1])
        place = np.concatenate([np.flatnonzero(fold.test) for fold, _ in trained])
        label = chosen.label[place]
        kept, code = np.unique(label, return_inverse=True)
        if len(kept) < 2:
            return "fewer than two classes have contents to test"

        def joined(name: str) -> NDArray[Any]:
            return np.concatenate([one[name] for _, one in trained], axis=-1)

        control = np.stack([joined(f"shuffled_{name}") == label for name in TRAINED])
        renamed = np.full(len(chosen.names), -1)
        renamed[kept] = np.arange(len(kept))
        order = np.argsort(place, kind="stable")
        low = np.zeros((0, len(variants)), np.bool_)
        if "zero_shot" in methods:
            low = joined("zero_shot_low").T[order]
        return cls(
            names=tuple(chosen.names[i] for i in kept),
            rows=chosen.rows[place][order],
            label=code[order],
            variants=variants,
            methods=methods,
            answer=np.moveaxis(renamed[np.stack([joined(name) for name in methods])], 2, 0)[order],
            control=control[..., order],
            low=low,
            seed=seed,
            bootstraps=bootstraps,
        )

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the answer was right, (N, M, V)."""
        return np.asarray(self.answer == self.label[:, None, None])

    @cached_property
    def named(self) -> NDArray[np.int64]:
        """How often each class was the answer, whatever was right, (C, M, V)."""
        return np.stack([(self.answer == c).sum(axis=0) for c in range(len(self.names))])

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Tested contents of each class, (C,)."""
        return np.bincount(self.label, minlength=len(self.names))

    @property
    def chance(self) -> float:
        """Mean accuracy over classes of an answer that knows nothing."""
        return 1.0 / len(self.names)

    @property
    def majority(self) -> float:
        """Share of contents that are right when the largest class is always answered."""
        return float(self.counts.max() / self.counts.sum())

    @cached_property
    def by_class(self) -> Array:
        """Share of each class's contents that are right, (C, M, V)."""
        every = range(len(self.names))
        return np.stack([self.right[self.label == c].mean(axis=0) for c in every])

    @cached_property
    def draws(self) -> Array:
        """The same after the contents of every class are drawn again, (B, C, M, V).

        The classifiers are held: an interval says what other contents would give them, not what
        other training would.
        """
        drawn = np.empty((self.bootstraps, len(self.names), *self.right.shape[1:]))
        for c, name in enumerate(self.names):
            mine = self.right[self.label == c].astype(np.float64)
            n = len(mine)
            rng = seeds.generator(self.seed, "accuracy", "bootstrap", name)
            weights = rng.multinomial(n, np.full(n, 1 / n), size=self.bootstraps)
            drawn[:, c] = np.tensordot(weights / n, mine, axes=1)
        return drawn

    def mean(self, draws: Array) -> Array:
        """Accuracy where every class counts alike: (B, C, ...) to (B, ...)."""
        return np.asarray(draws.mean(axis=1))

    def overall(self, draws: Array) -> Array:
        """Accuracy where every content counts alike: (B, C, ...) to (B, ...)."""
        return np.tensordot(draws, self.counts / self.counts.sum(), axes=(1, 0))

    def shuffled(self, method: str) -> Array:
        """Mean accuracy over classes, clean, after training on shuffled labels, (S,)."""
        right = self.control[TRAINED.index(method)]
        every = range(len(self.names))
        return np.asarray(np.mean([right[:, self.label == c].mean(axis=1) for c in every], axis=0))

    @cached_property
    def wilson(self) -> tuple[Array, Array]:
        """Ends of a 95 % interval for each class, (C, M, V) (Wilson 1927).

        A bootstrap of a class that is all right has no width; this has.
        """
        z, n = 1.959964, self.counts[:, None, None].astype(np.float64)
        middle = (self.by_class + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(
            self.by_class * (1 - self.by_class) / n + z**2 / (4 * n**2)
        )  # fmt: skip
        return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)

    @cached_property
    def reliability(self) -> Array:
        """Would other contents rank the classes alike by accuracy lost? (M, V), NaN if unknown.

        Rank correlation of the losses from two halves of every class's contents, mean over
        ``HALVES`` cuts, brought to whole classes by Spearman and Brown's formula. No other quantity
        can be seen to correlate with the losses more than the square root of this.
        """
        halves: list[list[Array]] = [[], []]
        for c, name in enumerate(self.names):
            right = self.right[self.label == c].astype(np.float64)
            lost = right[:, :, :1] - right
            rng = seeds.generator(self.seed, "accuracy", "halves", name)
            order = rng.random((HALVES, len(lost))).argsort(axis=1)
            cut = len(lost) // 2
            if not cut:
                return np.full(self.right.shape[1:], np.nan)
            for side, part in zip(halves, (order[:, :cut], order[:, cut:]), strict=True):
                side.append(lost[part].mean(axis=1))
        first, second = (np.moveaxis(np.stack(side), 0, -1) for side in halves)
        found = rank_correlation.spearman(first, second)
        known = np.isfinite(found).sum(axis=0)
        mean = np.where(known > 0, np.nansum(found, axis=0) / np.maximum(known, 1), np.nan)
        return np.asarray(np.clip(2 * mean / (1 + np.maximum(mean, -0.999)), -1.0, 1.0))
