"""Verify, tag and commit one run; then readers may see it."""

from typing import Any

from clipbatch import schema, storage
from clipbatch.config import Config
from clipbatch.embed.encoder import EncoderSpec
from clipbatch.errors import ConfigError
from clipbatch.index import ledger, maintain, runs, stores, table, verify
from clipbatch.index.runs import Run
from clipbatch.progress import say


def commit(config: Config, spec: EncoderSpec, run: Run, counts: dict[str, Any]) -> Run:
    """Check what was written, tag every table, and write the run's row.

    Args:
        config: of the run.
        spec: of its encoder.
        run: as it was started.
        counts: what collect and embed did; empty when this verb runs alone.

    Returns:
        The committed run.

    Raises:
        ConfigError: nothing was embedded yet.
        Incomplete: a wanted vector is missing.
        ContractBroken: a key repeats or a vector is unsound; nothing is tagged then.
    """
    import json

    database = config.index.database
    found = stores.find(config, spec)
    if found is None:
        raise ConfigError(f"{database}: nothing is embedded; run `clipbatch embed` first")
    keys = verify.check_keys(found.wanted(config))
    checked_runs = [old.run_id for old in runs.history(database)]
    vectors = sorted(set(found.tables.values()))
    checked = {
        name: verify.check_vectors(database, name, checked_runs, unit_length=spec.unit_length)
        for name in vectors
    }
    say("index", f"{keys['wanted']} wanted keys, each once; {sum(checked.values())} new vectors")
    names = [schema.CATALOG, schema.CONTENTS, *vectors]
    versions = {name: table.tag(database, name, f"run-{run.run_id}") for name in names}
    committed = runs.finish(
        run,
        state="embedded",
        encoder=spec.slug,
        source=storage.redact(config.collect.source),
        config=json.loads(config.to_json()),
        tables=versions,
        counts=counts
        | _totals(database, vectors)
        | {
            "wanted": keys["wanted"],
            "unwanted": keys["unwanted"],
            "variant_tables": {str(v): name for v, name in found.tables.items()},
        },
    )
    runs.save(database, committed)
    return committed


def tidy(config: Config, run: Run) -> None:
    """Compact, clean up and index the run's tables; after its row is written, never before."""
    vectors = sorted(set(run.vectors_tables().values()))
    others = [schema.RUNS] + [
        name for name in (schema.FINDINGS,) if table.exists(config.index.database, name)
    ]
    for line in maintain.maintain(config.index, [*run.tables, *others], vectors):
        say("index", line)


def _totals(database: str, vectors: list[str]) -> dict[str, Any]:
    totals = ledger.statuses(database)
    contents = table.open_table(database, schema.CONTENTS)
    return {
        "images": sum(totals.get(s, 0) for s in (schema.OK, schema.BAD, schema.PENDING)),
        "ok": totals.get(schema.OK, 0),
        "bad": totals.get(schema.BAD, 0),
        "gone_ever": totals.get(schema.GONE, 0),
        "pending": totals.get(schema.PENDING, 0),
        "rejects": {k.removeprefix("bad:"): n for k, n in totals.items() if k.startswith("bad:")},
        "contents": contents.count_rows(f"status = '{schema.OK}'"),
        "vectors": sum(table.open_table(database, name).count_rows() for name in vectors),
    }
