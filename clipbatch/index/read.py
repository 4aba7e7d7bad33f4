"""What the analyses see: the contents and images of one run, and their vectors by key."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clipbatch import schema
from clipbatch.config import EmbedConfig
from clipbatch.errors import ContractBroken
from clipbatch.index import table
from clipbatch.index.runs import Run
from clipbatch.index.verify import numpy_vectors
from clipbatch.index.wanted import Wanted
from clipbatch.measure.base import Contents


@dataclass(frozen=True)
class VectorReader:
    """Reads vectors of a run by position in Contents; small enough to travel to any worker.

    Attributes:
        database: folder or prefix.
        tables: variant -> (table name, version).
        rows: variant -> (N,) row of the table at that version, -1 where there is none.
    """

    database: str
    tables: Mapping[int, tuple[str, int]]
    rows: Mapping[int, NDArray[np.int64]]

    def only(self, positions: NDArray[np.int64], variants: tuple[int, ...]) -> "VectorReader":
        """Return a reader of these positions and variants alone, numbered from 0."""
        return VectorReader(
            self.database,
            {v: self.tables[v] for v in variants},
            {v: self.rows[v][positions] for v in variants},
        )

    def read(self, variant: int) -> NDArray[np.float32]:
        """Return (N, D) float32; rows without a vector are NaN."""
        name, version = self.tables[variant]
        dataset = _dataset(self.database, name, version)
        rows = self.rows[variant]
        there = rows >= 0
        found = numpy_vectors(dataset.take(rows[there].tolist(), ["vector"]).column("vector"))
        if there.all():
            return found
        vectors = np.full((len(rows), found.shape[1]), np.nan, np.float32)
        vectors[there] = found
        return vectors


@lru_cache(maxsize=8)
def _dataset(database: str, name: str, version: int) -> Any:
    return table.open_table(database, name, version)


def _strings(column: pa.ChunkedArray) -> NDArray[np.str_]:
    return np.array(column.to_pylist(), dtype=np.str_)


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Return (M,) indices into the sorted distinct names, -1 for null, and the names."""
    names = pa.array(sorted(pc.unique(column).drop_null().to_pylist()), pa.string())
    codes = pc.fill_null(pc.index_in(column, value_set=names), -1)
    return codes.to_numpy().astype(np.int32), tuple(names.to_pylist())


def load(
    database: str, run: Run, seed: int, baseline: Run | None = None
) -> tuple[Contents, VectorReader]:
    """Load what a run's readers see, from the table versions that its row names.

    Only pictures with status ok whose content has a clean vector take part.

    Args:
        database: folder or prefix.
        run: whose tables are read.
        seed: of the collection.
        baseline: the run that tells which contents are new.

    Raises:
        ContractBroken: a content has a vector but no facts.
    """
    variant_tables = run.vectors_tables()
    embed = EmbedConfig(**run.config["embed"] | {"levels": tuple(run.config["embed"]["levels"])})
    noise = (embed.noise_all_below, embed.noise_per_class)
    keys = Wanted(database, variant_tables, noise, run.config["collect"]["seed"], run.tables).keys()
    wanted: dict[int, set[str]] = {variant: set() for variant in variant_tables}
    for content, variant in zip(*(keys.column(i).to_pylist() for i in range(2)), strict=True):
        wanted[variant].add(content)
    rows_of = {
        name: _rows(database, name, run.tables[name], wanted)
        for name in set(variant_tables.values())
    }
    clean = rows_of[variant_tables[schema.CLEAN]][schema.CLEAN]
    images = _images(database, run, set(clean))
    content_id = np.unique(_strings(images.column("content_id")))
    image_content = np.searchsorted(content_id, _strings(images.column("content_id")))
    image_label, label_names = _codes(images.column("label"))
    image_split, split_names = _codes(images.column("split"))
    several = pc.fill_null(pc.list_value_length(images.column("labels")), 0).to_numpy() > 1
    rows = {
        variant: np.array([rows_of[name][variant].get(c, -1) for c in content_id], np.int64)
        for variant, name in variant_tables.items()
    }
    contents = Contents(
        content_id=content_id,
        label=_agreed(image_content, np.where(several, -1, image_label), len(content_id)),
        label_names=label_names,
        variants={variant: found >= 0 for variant, found in rows.items()},
        image_content=image_content.astype(np.int64),
        image_uri=_strings(images.column("uri")),
        image_label=image_label,
        image_split=image_split,
        split_names=split_names,
        facts=_facts(database, run, content_id),
        seed=seed,
        encoder=run.encoder,
        new=None if baseline is None else _new(database, baseline, content_id),
    )
    tables = {v: (name, run.tables[name]) for v, name in variant_tables.items()}
    return contents, VectorReader(database, tables, rows)


def _rows(
    database: str, name: str, version: int, wanted: Mapping[int, set[str]]
) -> dict[int, dict[str, int]]:
    """Return variant -> content_id -> row number at that version, of the wanted keys alone.

    Rows of gone pictures, or of a sample that moved, stay in a table and are not looked at.
    """
    dataset = table.open_table(database, name, version)
    keys = dataset.scanner(columns=["content_id", "variant"], scan_in_order=True).to_table()
    ids = keys.column("content_id").to_pylist()
    found: dict[int, dict[str, int]] = {variant: {} for variant in wanted}
    for row, (content, variant) in enumerate(
        zip(ids, keys.column("variant").to_pylist(), strict=True)
    ):
        if content in wanted.get(variant, ()):
            found[variant][content] = row
    return found


def _new(database: str, baseline: Run, content_id: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Return (N,) whether no picture of the baseline run held the content."""
    dataset = table.open_table(database, schema.CATALOG, baseline.tables[schema.CATALOG])
    old = dataset.to_table(columns=["content_id"], filter=f"status = '{schema.OK}'")
    there = pc.is_in(pa.array(content_id.tolist(), pa.string()), old.column("content_id"))
    return ~np.asarray(there.to_numpy(zero_copy_only=False), np.bool_)


def _images(database: str, run: Run, with_vector: set[str]) -> pa.Table:
    dataset = table.open_table(database, schema.CATALOG, run.tables[schema.CATALOG])
    columns = ["uri", "content_id", "label", "labels", "split"]
    images = dataset.to_table(columns=columns, filter=f"status = '{schema.OK}'")
    keep = pc.is_in(images.column("content_id"), pa.array(list(with_vector), pa.string()))
    return table.sort(images.filter(keep), ["uri"])


def _agreed(
    image_content: NDArray[np.integer[Any]], label: NDArray[np.int32], n: int
) -> NDArray[np.int32]:
    """Return the label that all images of a content share, else -1."""
    lowest = np.full(n, np.iinfo(np.int32).max, np.int32)
    highest = np.full(n, -1, np.int32)
    np.minimum.at(lowest, image_content, label)
    np.maximum.at(highest, image_content, label)
    return np.where(lowest == highest, highest, -1).astype(np.int32)


def _facts(database: str, run: Run, content_id: NDArray[np.str_]) -> dict[str, NDArray[Any]]:
    dataset = table.open_table(database, schema.CONTENTS, run.tables[schema.CONTENTS])
    names = [field.name for field in schema.FACTS]
    rows = dataset.to_table(columns=["content_id", *names], filter=f"status = '{schema.OK}'")
    place = pc.index_in(pa.array(content_id.tolist(), pa.string()), rows.column("content_id"))
    if place.null_count:
        raise ContractBroken(
            f"got {place.null_count} contents with a vector and no facts, expected none; "
            "run `clipbatch embed` again to decode them"
        )
    rows = rows.take(place)
    side = schema.THUMBNAIL_SIDE
    facts: dict[str, NDArray[Any]] = {}
    for name in names:
        column = rows.column(name)
        if name == "thumbnail":
            joined = b"".join(column.to_pylist())
            facts[name] = np.frombuffer(joined, np.uint8).reshape(-1, side, side)
        elif pa.types.is_string(column.type):
            facts[name] = _strings(column)
        else:
            facts[name] = column.to_numpy()
    return facts
