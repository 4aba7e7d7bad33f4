"""Forecasts are kept beside the tables, and the run that follows says how wrong they were."""

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from clipbatch import schema, storage
from clipbatch.config import Config
from clipbatch.index import runs, table
from clipbatch.index.runs import Run
from clipbatch.plan.plan import Plan


def keep(config: Config, plan: Plan) -> None:
    """Keep the forecast for the next run of the same configuration; an older one is replaced."""
    database = config.index.database
    told = plan.forecasts[0]
    row = {
        "plan_id": plan_id(config),
        "made": dt.datetime.now(dt.UTC),
        "forecast": json.dumps(
            {
                "pictures": told.pictures,
                "contents": told.contents,
                "rows": told.rows,
                "bytes": told.bytes,
                "seconds": told.total_seconds,
                "seconds_by_verb": dict(told.seconds),
                "analyses": {name: dataclasses.asdict(c) for name, c in told.analyses.items() if c},
                "bytes_before": stored_bytes(database),
            }
        ),
    }
    storage.probe(database)
    table.create(database, schema.PLANS, schema.PLANS_SCHEMA)
    rows = pa.Table.from_pylist([row], schema=schema.PLANS_SCHEMA)
    table.merge(database, schema.PLANS, rows, update=True)


def plan_id(config: Config) -> str:
    """Name the configuration that a forecast is for; where the report goes does not matter."""
    tree = json.loads(config.to_json())
    del tree["report"]
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def checked(config: Config, run: Run, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Return {"forecast": ...} for a run's counts: what was forecast, what came, and the error.

    An error is forecast / actual - 1. Only the first run after a plan is compared with it; without
    a plan nothing is returned.

    Args:
        config: of the run.
        run: with its counts.
        seconds: that each verb took.
    """
    told = _due(config, run)
    if told is None:
        return {}
    counts, verbs = run.counts, told["seconds_by_verb"]
    told |= {f"seconds_{verb}": value for verb, value in verbs.items()}
    actual = {
        "pictures": counts["listed"],
        "contents": counts["contents"],
        "rows": counts["embedded_rows"],
        "bytes": stored_bytes(config.index.database) - told["bytes_before"],
        "seconds": round(sum(seconds.get(verb, 0.0) for verb in verbs), 3),
        **{f"seconds_{verb}": round(seconds.get(verb, 0.0), 3) for verb in verbs},
    }
    return {
        "forecast": {
            "forecast": {name: round(told[name], 3) for name in actual},
            "actual": actual,
            "error": {name: _error(told[name], value) for name, value in actual.items()},
        }
    }


def _due(config: Config, run: Run) -> dict[str, Any] | None:
    """Return the forecast that was made for this run: after the one before it."""
    database = config.index.database
    if not table.exists(database, schema.PLANS):
        return None
    rows = table.open_table(database, schema.PLANS).to_table(
        filter=f"plan_id = '{plan_id(config)}'"
    )
    for row in rows.to_pylist():
        earlier = [r.started for r in runs.history(database) if r.run_id != run.run_id]
        if row["made"] < run.started and all(row["made"] > started for started in earlier):
            found: dict[str, Any] = json.loads(row["forecast"])
            return found
    return None


def _error(told: float, actual: float) -> float | None:
    return round(told / actual - 1, 4) if actual else (0.0 if not told else None)


def stored_bytes(database: str) -> int:
    """Return the bytes of all tables but the plans', with the versions that are kept."""
    if storage.kind(database) != "folder":
        return 0
    plans = f"{schema.PLANS}.lance/"
    found = (file for file in storage.walk(database) if not file.uri.startswith(plans))
    return sum(file.size for file in found if file.size > 0)
