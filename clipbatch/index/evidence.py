"""Tables of bulk evidence: similar pairs and nearest neighbours, by content id."""

from typing import Final

import numpy as np
import pyarrow as pa

from clipbatch import schema
from clipbatch.index import table
from clipbatch.measure.base import Contents, Finding

LISTED: Final = 10  # neighbours of a content in the table; a finding holds all of them
_ROWS: Final = 100_000  # merged at once


def save(database: str, contents: Contents, finding: Finding, run_id: str) -> None:
    """Put a finding's pairs and neighbours into their tables, each key once."""
    if finding.pairs is not None:
        _save_pairs(database, contents, finding, run_id)
    if {"neighbour", "cosine"} <= finding.per_content.keys():
        _save_neighbours(database, contents, finding, run_id)


def _save_pairs(database: str, contents: Contents, finding: Finding, run_id: str) -> None:
    assert finding.pairs is not None
    name, pairs = schema.pairs_table(contents.encoder), finding.pairs
    table.create(database, name, schema.PAIRS_SCHEMA)
    for start in range(0, max(len(pairs.a), 1), _ROWS):
        part = slice(start, start + _ROWS)
        columns = [
            pa.array(contents.content_id[pairs.a[part]].tolist(), pa.string()),
            pa.array(contents.content_id[pairs.b[part]].tolist(), pa.string()),
            pa.array(pairs.cosine[part].astype(np.float32)),
            pa.array([run_id] * len(pairs.a[part]), pa.string()),
        ]
        rows = pa.table(columns, schema=schema.PAIRS_SCHEMA)
        table.merge(database, name, rows, update=False)


def _save_neighbours(database: str, contents: Contents, finding: Finding, run_id: str) -> None:
    name = schema.neighbours_table(contents.encoder)
    table.create(database, name, schema.NEIGHBOURS_SCHEMA)
    neighbour, cosine = (finding.per_content[key][:, :LISTED] for key in ("neighbour", "cosine"))
    for start in range(0, max(len(contents), 1), _ROWS):
        part = slice(start, start + _ROWS)
        there = neighbour[part] >= 0
        ends = pa.array(np.append(0, there.sum(axis=1).cumsum()), pa.int32())
        ids = contents.content_id[neighbour[part][there]].tolist()
        columns = [
            pa.array(contents.content_id[part].tolist(), pa.string()),
            pa.ListArray.from_arrays(ends, pa.array(ids, pa.string())),
            pa.ListArray.from_arrays(ends, pa.array(cosine[part][there].astype(np.float32))),
            pa.array([run_id] * len(there), pa.string()),
        ]
        rows = pa.table(columns, schema=schema.NEIGHBOURS_SCHEMA)
        table.merge(database, name, rows, update=True)
