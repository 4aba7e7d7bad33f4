"""Which contents look most like this vector? LanceDB's search, with nothing left to defaults."""

from typing import Any, Final

import lancedb
import numpy as np
from numpy.typing import NDArray

from clipbatch import schema

REFINE: Final = 5  # quantised indexes return doubled cosine distances without it


def nearest(
    database: str, name: str, vector: NDArray[np.float32], k: int = 10, variant: int = schema.CLEAN
) -> list[dict[str, Any]]:
    """Return the k nearest rows by cosine distance, nearest first.

    Args:
        database: folder or prefix.
        name: of the vectors table.
        vector: (D,) float32.
        k: how many.
        variant: which variant is searched.

    Returns:
        Rows with content_id, variant and ``_distance`` = 1 - cosine, in [0, 2].
    """
    search: Any = lancedb.connect(database).open_table(name).search(vector)
    query = search.distance_type("cosine")
    query = query.where(f"variant = {variant}", prefilter=True).refine_factor(REFINE)
    rows: list[dict[str, Any]] = (
        query.select(["content_id", "variant", "_distance"]).limit(k).to_list()
    )
    return rows
