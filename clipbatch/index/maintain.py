"""Keep tables in shape, after the run row is written and in one process only."""

import datetime as dt
from collections.abc import Iterable

from clipbatch.config import IndexConfig
from clipbatch.index import table


def maintain(config: IndexConfig, names: Iterable[str], vectors: Iterable[str]) -> list[str]:
    """Compact, clean up and index tables where they need it; returns what was done.

    Tagged versions are never cleaned up, and files without a version are left alone: a writer in
    flight may own them.
    """
    done = []
    for name in names:
        dataset = table.open_table(config.database, name)
        fragments = len(dataset.get_fragments())
        if fragments > config.compact_above:
            dataset.optimize.compact_files()
            done.append(f"{name}: compacted {fragments} fragments")
        table.open_table(config.database, name).cleanup_old_versions(
            older_than=dt.timedelta(days=config.keep_days), error_if_tagged_old_versions=False
        )
    for name in vectors:
        dataset = table.open_table(config.database, name)
        rows = dataset.count_rows()
        if rows <= config.vector_index_above:
            continue
        if dataset.describe_indices():
            dataset.optimize.optimize_indices()
            continue
        dataset.create_index("vector", "IVF_RQ", metric="cosine")
        done.append(f"{name}: IVF_RQ index over {rows} rows")
    return done
