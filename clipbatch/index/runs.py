"""The runs table: its row is the commit point, and every reader starts from one."""

import datetime as dt
import importlib.metadata
import json
import os
import platform
import secrets
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa

from clipbatch import __version__, schema, storage
from clipbatch.errors import ConfigError
from clipbatch.index import table

LIBRARIES: Final = (
    "ray", "torch", "open_clip_torch", "timm", "pylance", "lancedb", "pyarrow", "numpy", "scipy",
    "scikit-learn", "ripser", "persim", "pillow",
)  # fmt: skip


def new_run_id() -> str:
    """Return a name that sorts by time, to the millisecond: 20261121T020304.567Z-5f2a."""
    now = dt.datetime.now(dt.UTC)
    return f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z-{secrets.token_hex(2)}"


def versions() -> dict[str, str]:
    """Return what the numbers of a run depend on besides its inputs."""
    found = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return found | {
        "clipbatch": __version__,
        "python": platform.python_version(),
        "processor": f"{platform.machine()} x{os.cpu_count()}",
    }


@dataclass(frozen=True)
class Run:
    """One execution.

    Attributes:
        run_id: its name.
        state: "embedded", "measured" or "reported".
        started, finished: UTC.
        source: where the pictures were, without credentials.
        encoder: slug.
        config: resolved, as JSON values.
        counts: what was found and done.
        tables: table name -> version that this run's readers see.
        fingerprints: analysis -> fingerprint of its finding, or "skipped: ..." with the reason.
        checks: the gate's checks, as JSON values.
        verdict: "passed", "failed", "incomplete", or "" before the report.
        versions: of libraries.
    """

    run_id: str
    state: str = ""
    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    finished: dt.datetime | None = None
    source: str = ""
    encoder: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    verdict: str = ""
    versions: dict[str, str] = field(default_factory=versions)

    def vectors_tables(self) -> dict[int, str]:
        """Return variant -> table of its vectors."""
        return {int(v): name for v, name in self.counts.get("variant_tables", {}).items()}


_JSON: Final = ("config", "counts", "tables", "fingerprints", "checks", "versions")


def save(database: str, run: Run) -> None:
    """Write a run's row, replacing an earlier state of the same run."""
    table.create(database, schema.RUNS, schema.RUNS_SCHEMA)
    row = {
        name: json.dumps(getattr(run, name), sort_keys=True)
        if name in _JSON
        else getattr(run, name)
        for name in schema.RUNS_SCHEMA.names
    }
    rows = pa.Table.from_pylist([row], schema=schema.RUNS_SCHEMA)
    table.merge(database, schema.RUNS, rows, update=True)


def history(database: str) -> list[Run]:
    """Return every committed run, oldest first."""
    if not table.exists(database, schema.RUNS):
        return []
    rows = table.open_table(database, schema.RUNS).to_table().to_pylist()
    runs = [Run(**{k: json.loads(v) if k in _JSON else v for k, v in row.items()}) for row in rows]
    return sorted(runs, key=lambda run: run.run_id)


def find(database: str, run_id: str = "", encoder: str = "") -> Run:
    """Return a run by name, or the latest; of one encoder, where its slug is given.

    Raises:
        ConfigError: there is none.
    """
    runs = history(database)
    chosen = [run for run in runs if run_id in ("", run.run_id) and encoder in ("", run.encoder)]
    if not chosen:
        known = ", ".join(run.run_id for run in runs[-3:]) or "none"
        raise ConfigError(
            f"{storage.redact(database)}: got run {run_id or '(latest)'} {encoder}, "
            f"expected one of: {known}; run `clipbatch audit` (or collect, embed, index) first"
        )
    return chosen[-1]


def finish(run: Run, **changes: Any) -> Run:
    """Return the run in its next state, finished now."""
    return replace(run, finished=dt.datetime.now(dt.UTC), **changes)
