"""Is every wanted key there once, and every vector sound? The check before anything is tagged."""

from collections.abc import Collection, Mapping

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
    database: str, versions: Mapping[str, int], sound: Collection[str], *, unit_length: bool
) -> tuple[int, set[str]]:
    """Check the vectors that no run has checked yet: finite, and of length 1 where declared.

    Args:
        database: folder or prefix.
        versions: name of each vectors table -> version.
        sound: run_ids whose rows were checked by an earlier commit.
        unit_length: what the encoder declares.

    Returns:
        Number of rows checked, and the run_ids that wrote them.

    Raises:
        ContractBroken: with the number of unsound rows.
    """
    names = ", ".join(f"'{run_id}'" for run_id in sorted(sound))
    where = f"run_id not in ({names})" if names else None
    checked, writers = 0, set()
    for name, version in versions.items():
        found = table.batches(database, name, ["vector", "run_id"], where=where, version=version)
        for batch in found:
            unsound = _unsound(numpy_vectors(batch.column("vector")), unit_length=unit_length)
            if unsound:
                raise ContractBroken(
                    f"{name}: got {unsound} vectors that are not finite or not of length 1, "
                    "expected none; nothing was tagged: check the encoder's weights and precision"
                )
            checked += batch.num_rows
            writers.update(batch.column("run_id").unique().to_pylist())
    return checked, writers


def _unsound(vectors: NDArray[np.float32], *, unit_length: bool) -> int:
    bad = ~np.isfinite(vectors).all(axis=1)
    if unit_length:
        bad |= ~(np.abs(np.linalg.norm(vectors, axis=1) - 1) <= UNIT_TOLERANCE)
    return int(bad.sum())
