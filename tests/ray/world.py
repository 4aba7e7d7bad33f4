"""A small collection and its configuration, for tests that run the pipeline in this process."""

import json
from contextlib import suppress
from pathlib import Path

import lance
import numpy as np

from clipbatch import config as configs
from clipbatch.index import table
from clipbatch.index.runs import find
from clipbatch.runtime import verbs


def load(root: Path, *overrides: str) -> configs.Config:
    """Return a configuration whose tables and report lie under ``root``."""
    settings = [
        f"collect.source={root / 'pictures'}",
        f"index.database={root / 'db'}",
        f"report.folder={root / 'report'}",
        "embed.encoder=pixels",
        "embed.batch_size=8",
        # The cheapest: what most of these tests ask is whether rows are kept, not what they tell.
        "measure.analyses=['balance']",
    ]
    return configs.load(None, [*settings, *overrides])


def audit(config: configs.Config) -> tuple[int, dict]:
    """Run the audit; returns its exit code and counts."""
    code = verbs.run("audit", config)
    return int(code), find(config.index.database).counts


def vectors(config: configs.Config, run_id: str = "") -> dict[tuple[str, int], bytes]:
    """Return key -> the bits of its vector, of every table of a run; no key may repeat."""
    run = find(config.index.database, run_id)
    found: dict[tuple[str, int], bytes] = {}
    for name in set(run.vectors_tables().values()):
        rows = lance.dataset(table.path(config.index.database, name)).to_table().to_pylist()
        for row in rows:
            key = (row["content_id"], row["variant"])
            assert key not in found
            found[key] = np.array(row["vector"], np.float32).tobytes()
    return found


def merged(config: configs.Config) -> int:
    """Return how many vectors are in the tables now, where there are any yet."""
    rows = 0
    for path in Path(config.index.database).glob("vectors__*.lance/_versions"):
        with suppress(ValueError):  # it is being made
            rows += lance.dataset(str(path.parent)).count_rows()
    return rows


def catalog(config: configs.Config) -> dict[str, dict]:
    """Return uri -> its catalog row."""
    rows = table.open_table(config.index.database, "catalog").to_table().to_pylist()
    assert len({row["uri"] for row in rows}) == len(rows)
    return {row["uri"]: row for row in rows}


def verdict(config: configs.Config) -> dict:
    """Return audit.json."""
    return json.loads((Path(config.report.folder) / "audit.json").read_text())
