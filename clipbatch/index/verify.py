"""Is every wanted key there once, and every vector sound? The check before anything is tagged."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clipbatch.errors import ContractBroken, Incomplete
from clipbatch.index import table
from clipbatch.index.wanted import Wanted

UNIT_TOLERANCE = 1e-3  # float16 storage moves a norm by up to 7.3e-5


def numpy_vectors(column: pa.ChunkedArray | pa.Array) -> NDArray[np.float32]:
    """Return a fixed-size-list column as (N, D) float32; float32 chunks are not copied."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    dim = column.type.list_size
    parts = [c.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim) for c in chunks]
    joined = np.concatenate(parts) if len(parts) != 1 else parts[0]
    return joined.astype(np.float32, copy=False)


def check_keys(wanted: Wanted) -> dict[str, int]:
    """Count keys; every wanted one must exist, and exist once.

    Raises:
        ContractBroken: a key repeats.
        Incomplete: a wanted key is missing.
    """
    counts = wanted.counts()
    if counts["repeated"]:
        raise ContractBroken(
            f"got {counts['repeated']} keys more than once in "
            f"{sorted(set(wanted.tables.values()))}, "
            "expected none; do not use this table: start a new index.database and report this"
        )
    if counts["missing"]:
        raise Incomplete(
            f"{counts['missing']} of {counts['wanted']} vectors are missing; "
            "run the same command again to go on from here"
        )
    return counts


def check_vectors(
    database: str, versions: Mapping[str, int], sound: Mapping[str, int], *, unit_length: bool
) -> tuple[int, dict[str, int]]:
    """Check the vectors that no run has checked yet: finite, and of length 1 where declared.

    A writer of whom other rows are there than were checked is looked at again, all of it: it may
    have been at work still when an earlier run looked.

    Args:
        database: folder or prefix.
        versions: name of each vectors table -> version.
        sound: run_id -> how many of its rows were checked by an earlier commit.
        unit_length: what the encoder declares.

    Returns:
        Number of rows checked, and run_id -> rows of those who wrote them.

    Raises:
        ContractBroken: with the number of unsound rows.
    """
    wrote = _writers(database, versions)
    new = {writer: rows for writer, rows in wrote.items() if sound.get(writer) != rows}
    if not new:
        return 0, {}
    where = f"run_id in ({', '.join(_quoted(writer) for writer in sorted(new))})"
    checked = 0
    for name, version in versions.items():
        found = table.batches(database, name, ["vector"], where=where, version=version)
        for batch in found:
            unsound = _unsound(numpy_vectors(batch.column("vector")), unit_length=unit_length)
            if unsound:
                raise ContractBroken(
                    f"{name}: got {unsound} vectors that are not finite or not of length 1, "
                    "expected none; nothing was tagged: check the encoder's weights and precision"
                )
            checked += batch.num_rows
    return checked, new


def _writers(database: str, versions: Mapping[str, int]) -> dict[str, int]:
    """Return run_id -> rows that it wrote."""
    found: Counter[str] = Counter()
    for name, version in versions.items():
        for batch in table.batches(database, name, ["run_id"], version=version):
            for counted in batch.column("run_id").value_counts().to_pylist():
                found[counted["values"]] += counted["counts"]
    return dict(found)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unsound(vectors: NDArray[np.float32], *, unit_length: bool) -> int:
    bad = ~np.isfinite(vectors).all(axis=1)
    if unit_length:
        bad |= ~(np.abs(np.linalg.norm(vectors, axis=1) - 1) <= UNIT_TOLERANCE)
    return int(bad.sum())
