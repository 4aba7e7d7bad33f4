"""Verify, tag and commit one run; then readers may see it."""

from collections.abc import Mapping
from typing import Any

from clipbatch import schema, storage
from clipbatch.config import Config
from clipbatch.embed.encoder import EncoderSpec
from clipbatch.errors import ClipbatchError, ConfigError
from clipbatch.index import ledger, maintain, retention, runs, stores, table, verify
from clipbatch.index.runs import Run
from clipbatch.index.since import since
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
    found = _embedded(config, spec)
    vectors = sorted(set(found.tables.values()))
    names = [schema.CATALOG, schema.CONTENTS, *vectors]
    # What is checked, tagged and counted is one version of each table, whoever writes meanwhile.
    versions = {name: int(table.open_table(database, name).version) for name in names}
    keys = verify.check_keys(found.wanted(config, versions))
    earlier = runs.history(database)
    sound: dict[str, int] = {}
    for old in earlier:
        sound |= _rows_checked(old)
    checked, writers = verify.check_vectors(
        database, {name: versions[name] for name in vectors}, sound, unit_length=spec.unit_length
    )
    say("index", f"{keys['wanted']} wanted keys, each once; {checked} new vectors")
    for name, version in versions.items():
        table.tag(database, name, f"run-{run.run_id}", version)
    before = earlier[-1].tables.get(schema.CATALOG) if earlier else None
    committed = runs.finish(
        run,
        state="embedded",
        encoder=spec.slug,
        source=storage.redact(config.collect.source),
        config=json.loads(config.to_json()),
        tables=versions,
        counts=counts
        | _totals(database, versions, vectors)
        | since(database, versions[schema.CATALOG], before)
        | {
            "contents": keys["contents"],
            "writers": dict(sorted(writers.items())),
            "wanted": keys["wanted"],
            "unwanted": keys["unwanted"],
            "variant_tables": {str(v): name for v, name in found.tables.items()},
        },
    )
    runs.save(database, committed)
    return committed


def _rows_checked(run: Run) -> dict[str, int]:
    """Return writer -> rows of it that a run found sound; an older run did not count them."""
    found = run.counts.get("writers", {})
    return found if isinstance(found, dict) else {}


def _embedded(config: Config, spec: EncoderSpec) -> stores.Stores:
    found = stores.find(config, spec)
    if found is None:
        where = storage.redact(config.index.database)
        raise ConfigError(f"{where}: nothing is embedded; run `clipbatch embed` first")
    return found


def tidy(config: Config, run: Run) -> None:
    """Compact, clean up and index the run's tables; after its row is written, never before."""
    vectors = sorted(set(run.vectors_tables().values()))
    bulk = (
        schema.FINDINGS,
        schema.ACCEPTED,
        schema.THUMBNAILS,
        schema.pairs_table(run.encoder),
        schema.neighbours_table(run.encoder),
    )
    try:
        others = [name for name in bulk if table.exists(config.index.database, name)]
        done = retention.retain(config.index, run)
        done += maintain.maintain(config.index, [*run.tables, schema.RUNS, *others], vectors)
        for line in done:
            say("index", line)
    except (OSError, RuntimeError, ValueError, ClipbatchError) as error:
        # Another driver may be at work; the next run tidies what this one could not.
        say("index", f"not tidied: {' '.join(str(error).split())[:200]}")


def _totals(database: str, versions: Mapping[str, int], vectors: list[str]) -> dict[str, Any]:
    totals = ledger.statuses(database, versions[schema.CATALOG])
    return {
        "images": sum(totals.get(s, 0) for s in (schema.OK, schema.BAD, schema.PENDING)),
        "ok": totals.get(schema.OK, 0),
        "bad": totals.get(schema.BAD, 0),
        "gone_in_all": totals.get(schema.GONE, 0),
        "pending": totals.get(schema.PENDING, 0),
        "rejects": {k.removeprefix("bad:"): n for k, n in totals.items() if k.startswith("bad:")},
        "vectors_rows": sum(
            table.open_table(database, name, versions[name]).count_rows() for name in vectors
        ),
    }
