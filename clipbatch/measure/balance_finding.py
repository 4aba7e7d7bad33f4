"""From counts of classes by split to numbers, tables and notes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.measure import contingency
from clipbatch.measure.base import Contents, Figure, Finding, Number, Table

NO_CLASSES: Final = "fewer than two classes have labelled images"
NO_SPLITS: Final = "fewer than two splits have labelled images"
CENSUS: Final = "counted over all, not estimated"
BARS: Final = 60  # classes drawn; of more, the largest and the smallest
MEANING: Final = (
    "Contents are counted once in a split, however many images hold them. Cramer's V is 0 where "
    "every split holds the classes in the same shares and 1 where each class has a split of its "
    "own; its control deals the labels out at random over the same splits. A small p-value with a "
    "small V is a large collection, not a large difference."
)


@dataclass(frozen=True)
class Counted:
    """Contents by class and split.

    Attributes:
        names: of the C classes that have any image.
        splits: of the S splits; "" stands for images without one, where no image has one.
        table: (C, S) distinct contents.
        unlabelled: images without a label.
        unsplit: labelled images left out of ``table`` because they have no split and others do.
    """

    names: tuple[str, ...]
    splits: tuple[str, ...]
    table: NDArray[np.int64]
    unlabelled: int
    unsplit: int

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Contents of each class, (C,); one that lies in two splits counts in both."""
        total: NDArray[np.int64] = self.table.sum(axis=1)
        return total


def count(contents: Contents) -> Counted:
    """Count distinct contents by the class and the split of their images."""
    label, split = contents.image_label, contents.image_split
    has_splits = bool((split >= 0).any())
    known = (label >= 0) & ((split >= 0) | (not has_splits))
    rows = np.column_stack([label, np.maximum(split, 0), contents.image_content])[known]
    distinct = np.unique(rows, axis=0) if len(rows) else rows
    classes, row = np.unique(distinct[:, 0], return_inverse=True)
    used, column = np.unique(distinct[:, 1], return_inverse=True)
    table = np.zeros((len(classes), len(used)), np.int64)
    np.add.at(table, (row, column), 1)
    return Counted(
        names=tuple(contents.label_names[c] for c in classes),
        splits=tuple(contents.split_names[s] for s in used) if has_splits else ("",) * len(used),
        table=table,
        unlabelled=int((label < 0).sum()),
        unsplit=int((label >= 0).sum() - known.sum()),
    )


def tell(contents: Contents, bootstraps: int, permutations: int, table_rows: int) -> Finding:
    """Join everything into the finding."""
    counted = count(contents)
    by_chance = None
    if min(counted.table.shape) >= 2:
        rng = seeds.generator(contents.seed, "balance", "chance")
        by_chance = contingency.chance(counted.table, permutations, rng)
    rng = seeds.generator(contents.seed, "balance", "bootstrap")
    numbers = (*_sizes(counted), *_splits(counted, by_chance, bootstraps, rng))
    return Finding(
        headline=_headline(counted, {n.name: n.value for n in numbers}),
        numbers=numbers,
        meaning=MEANING,
        tables=tuple(_tables(counted, table_rows)),
        figures=tuple(_figures(counted)),
        notes=tuple(_notes(counted)),
    )


def _headline(counted: Counted, value: dict[str, float | None]) -> str:
    if len(counted.names) < 2:
        return f"Not answerable: {NO_CLASSES}."
    largest, smallest = (counted.names[f(counted.sizes)] for f in (np.argmax, np.argmin))
    text = (
        f"{len(counted.names):,} classes; the largest ({largest}, {counted.sizes.max():,}) holds "
        f"{value['imbalance_ratio']:.3g} times the contents of the smallest ({smallest}, "
        f"{counted.sizes.min():,})"
    )
    if value["cramers_v"] is None:
        return f"{text}."
    return (
        f"{text}; splits and classes depend with Cramer's V {value['cramers_v']:.3f}, and "
        f"{value['missing_classes']:.0f} times a class has nothing in a split."
    )


def _sizes(counted: Counted) -> Iterator[Number]:
    sizes = counted.sizes
    why_not = NO_CLASSES if len(sizes) < 2 else ""
    yield Number("classes", len(sizes), "classes", note=CENSUS)
    yield Number("unlabelled_images", counted.unlabelled, "images", note=CENSUS)
    smallest = None if why_not else float(sizes.min())
    yield Number("smallest_class", smallest, "contents", note=why_not or CENSUS)
    ratio = None if why_not else float(sizes.max() / sizes.min())
    note = "largest class by smallest; 1 is balance"
    yield Number("imbalance_ratio", ratio, note=why_not or note)
    share = sizes / max(sizes.sum(), 1)
    effective = None if why_not else float(np.exp(-(share * np.log(share)).sum()))
    note = f"exp of the entropy of the shares; balance would give {len(sizes)}"
    yield Number("effective_classes", effective, "classes", note=why_not or note)


def _splits(
    counted: Counted,
    by_chance: contingency.Chance | None,
    bootstraps: int,
    rng: np.random.Generator,
) -> Iterator[Number]:
    if by_chance is None:
        why_not = NO_CLASSES if len(counted.names) < 2 else NO_SPLITS
        for name in ("missing_classes", "cramers_v", "independence_p", "worst_share_ratio"):
            yield Number(name, None, note=why_not)
        return
    empty = by_chance.empty
    note = (
        f"(class, split) pairs without a content; labels dealt out at random leave "
        f"{empty.mean():.2g} on average, at most {empty.max():.0f} of {len(empty)} draws"
    )
    yield Number("missing_classes", int((counted.table == 0).sum()), "pairs", note=note)
    v = float(contingency.cramers_v(counted.table.astype(np.float64)))
    drawn = contingency.bootstrap_v(counted.table, bootstraps, rng)
    low, high = np.percentile(drawn, [2.5, 97.5]).tolist()
    low, high = min(low, v), max(high, v)
    control = by_chance.v
    note = (
        f"labels dealt out at random: {control.mean():.3f} on average, 95 % below "
        f"{np.percentile(control, 95):.3f}"
    )
    yield Number("cramers_v", v, "", low, high, "bootstrap 95 %", note)
    p, how = contingency.p_value(counted.table, by_chance)
    yield Number("independence_p", p, note=how)
    yield _worst(counted)


def _worst(counted: Counted) -> Number:
    """Name the class whose share differs most between two splits, beyond what chance gives."""
    table = counted.table.astype(np.float64)
    residual = contingency.residuals(table)
    row, column = np.unravel_index(np.argmax(np.abs(residual)), residual.shape)
    share = (table[row, column] + 0.5) / (table[:, column].sum() + 1)
    rest = table.sum(axis=1)[row] - table[row, column]
    others = table.sum() - table[:, column].sum()
    ratio = float(share / ((rest + 0.5) / (others + 1)))
    note = (
        f"class {counted.names[row]} in {counted.splits[column]} against the other splits; "
        f"adjusted residual {residual[row, column]:.1f}, a standard normal by chance (the largest "
        f"of {residual.size})"
    )
    return Number("worst_share_ratio", ratio, note=note)


def _tables(counted: Counted, rows: int) -> Iterator[Table]:
    if not len(counted.names):
        return
    table = counted.table.astype(np.float64)
    worst = np.abs(contingency.residuals(table)).max(axis=1)
    order = np.lexsort((counted.sizes, -worst, (counted.table > 0).all(axis=1)))[:rows]
    columns: dict[str, Any] = {
        "class": [counted.names[c] for c in order],
        "contents": counted.sizes[order].tolist(),
        "share": (counted.sizes / counted.sizes.sum()).round(4)[order].tolist(),
    }
    if len(counted.splits) > 1:
        columns |= {
            f"in {name}": counted.table[order, s].tolist() for s, name in enumerate(counted.splits)
        }
        columns["largest residual"] = worst.round(2)[order].tolist()
    shown = "" if len(order) == len(counted.names) else f" (the first {len(order):,})"
    yield Table(f"Classes by split: missing ones first, then the most uneven{shown}", columns)


def _figures(counted: Counted) -> Iterator[Figure]:
    if not len(counted.names):
        return
    order = np.argsort(-counted.sizes, kind="stable")
    if len(order) > BARS:
        order = np.concatenate([order[: BARS // 2], order[-BARS // 2 :]])
    names = [counted.names[c] for c in order]
    data = {"names": names, "values": counted.sizes[order].tolist()}
    yield Figure("bars", "Contents of each class", data, "class", "contents")
    if len(counted.splits) > 1:
        residual = contingency.residuals(counted.table.astype(np.float64))[order]
        heat = {"z": residual.round(2).tolist(), "rows": names, "columns": list(counted.splits)}
        title = "Adjusted residuals: beyond 3 in size is more than chance"
        yield Figure("heatmap", title, heat, "split", "class")


def _notes(counted: Counted) -> Iterator[str]:
    if counted.unlabelled:
        yield f"{counted.unlabelled:,} images without a label take no part."
    if counted.unsplit:
        yield f"{counted.unsplit:,} labelled images without a split take no part."
