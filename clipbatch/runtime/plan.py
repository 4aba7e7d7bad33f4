"""Measure a sample with the real stages, on workers like those that will do the work."""

import importlib
import resource
import time
from typing import Any, Final

import pyarrow as pa

from clipbatch import schema
from clipbatch.collect import open_source
from clipbatch.collect.base import Place, Source
from clipbatch.config import Config
from clipbatch.embed.encoder import EncoderSpec
from clipbatch.errors import ConfigError
from clipbatch.index import stores
from clipbatch.plan.forecast import Rates, Workers, forecast
from clipbatch.plan.limits import refusals
from clipbatch.plan.listing import look
from clipbatch.plan.plan import GROWTH, Plan
from clipbatch.progress import say
from clipbatch.runtime.actor import Embedder
from clipbatch.runtime.attempt import BLOCK
from clipbatch.runtime.collect import name_contents
from clipbatch.runtime.decode import decode_block
from clipbatch.runtime.measure import chosen
from clipbatch.runtime.placement import MOST_PER_NODE, Placement, place
from clipbatch.runtime.session import Session, memory, nodes
from clipbatch.runtime.spec import spec_of
from clipbatch.versions import refuse_known_bad

SAMPLE: Final = 64  # pictures that are read, decoded and embedded
SECONDS: Final = 3.0  # for which encoding is repeated
# What analyses compute with; loading it takes a worker longer than a small collection's answers.
MODULES: Final = ("torch", "scipy.stats", "sklearn.cluster", "persim", "umap")


def make(config: Config) -> Plan:
    """List the source, measure a sample on Ray, and say what an audit would take.

    Raises:
        ConfigError: what an audit would refuse, too.
    """
    if not config.collect.source:
        raise ConfigError("no source: name one, e.g. `clipbatch plan photos/`")
    refuse_known_bad()
    spec = spec_of(config)
    source = open_source(config.collect)
    say("plan", "listing the source")
    todo, places = look(config, spec, source, SAMPLE)
    found = stores.find(config, spec)
    with Session() as session:
        session.ensure()
        where = place(config.embed, nodes(), found.shape.threads if found else 0)
        workers = Workers(
            tuple(nodes()),
            memory(),
            where.count,
            where.threads,
            where.num_gpus,
            session.start_seconds,
        )
        say("plan", f"measuring {len(places)} pictures")
        rates = _measured(config, spec, source, places, where)
    analyses = tuple(chosen(config))
    told = [
        forecast(config, analyses, todo.grown(factor), rates, workers, spec.dim)
        for factor in GROWTH
    ]
    return Plan(todo, rates, workers, tuple(told), refusals(config, told[0], rates, workers))


def _measured(
    config: Config, spec: EncoderSpec, source: Source, places: list[Place], where: Placement
) -> Rates:
    """Probe on as many workers at once as one node will have, since they share its memory bus."""
    import ray

    found = stores.find(config, spec)
    batch_size = found.shape.batch_size if found else config.embed.batch_size
    count = 1 if where.num_gpus else min(where.count, MOST_PER_NODE)
    task = ray.remote(num_cpus=where.num_cpus, num_gpus=where.num_gpus, max_retries=2)(probe)
    asked = time.time()
    awake = ray.get(ray.remote(num_cpus=1, max_retries=2)(_awake).remote())
    task_s, asked = max(0.0, awake - asked), time.time()
    answers = ray.get(
        [task.remote(config, spec, source, places, batch_size, where.threads) for _ in range(count)]
    )
    return _joined(answers, asked, task_s)


def _awake() -> float:
    """Tell when a worker was ready for any unit of any analysis."""
    for name in ("clipbatch.measure", *MODULES):
        importlib.import_module(name)
    return time.time()


def _joined(answers: list[dict[str, Any]], asked: float, task_s: float) -> Rates:
    def mean(name: str) -> float:
        return sum(float(answer[name]) for answer in answers) / len(answers)

    first = answers[0]
    return Rates(
        sample=first["sample"],
        bad=first["bad"],
        open_s=mean("open_s"),
        decode_s=mean("decode_s"),
        vector_s=mean("vector_s"),
        start_s=max(0.0, mean("ready") - asked),
        choose_s=mean("choose_s"),
        task_s=task_s,
        actor_bytes=max(int(answer["actor_bytes"]) for answer in answers),
        batch_size=first["batch_size"],
    )


def probe(
    config: Config,
    spec: EncoderSpec,
    source: Source,
    places: list[Place],
    batch_size: int,
    threads: int,
) -> dict[str, Any]:
    """Open, decode and embed a sample in this process; returns seconds a picture and a vector."""
    from clipbatch.embed.batch import probe_batch_size

    embedder = Embedder(config.embed, spec, stores.noise_settings(config), batch_size, threads)
    ready = time.time()
    pinned = bool(batch_size)
    embedder.batch_size = batch_size = batch_size or probe_batch_size(embedder.encoder)
    choose_s = 0.0 if pinned else time.time() - ready
    rows = pa.Table.from_pylist(
        [{"uri": p.uri, "size": p.size, "offset": p.offset} for p in places],
        schema=pa.schema([schema.CATALOG_SCHEMA.field(n) for n in ("uri", "size", "offset")]),
    )
    clock = time.monotonic()
    named = name_contents(rows, source)
    opened = time.monotonic()
    blocks = [
        decode_block(block, source, spec.preprocess, config.collect.max_pixels)
        for block in _todo(config, rows, named, batch_size)
    ]
    decoded = time.monotonic()
    usable = sum(block.column("pixels").null_count < block.num_rows for block in blocks)
    vectors = _encode(embedder, blocks) if usable else (0, 0.0)
    good = sum(block.num_rows - block.column("pixels").null_count for block in blocks)
    return {
        "ready": ready,
        "choose_s": choose_s,
        "sample": len(places),
        "bad": len(places) - good,
        "open_s": (opened - clock) / max(1, len(places)),
        "decode_s": (decoded - opened) / max(1, len(places)),
        "vector_s": vectors[1] / max(1, vectors[0]),
        "actor_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "batch_size": batch_size,
    }


def _todo(config: Config, rows: pa.Table, named: pa.Table, batch_size: int) -> list[pa.Table]:
    """Make the blocks that embed would make of the sample, each picture once."""
    variants = [schema.CLEAN, *map(schema.variant, config.embed.levels)]
    content = named.column("content_id").to_pylist()
    wanted = [
        row | {"content_id": name, "variants": variants}
        for row, name in zip(rows.to_pylist(), content, strict=True)
        if name is not None
    ]
    columns = pa.schema(
        [*rows.schema, ("content_id", pa.string()), ("variants", pa.list_(pa.int32()))]
    )
    table = pa.Table.from_pylist(wanted, schema=columns)
    size = batch_size * -(-BLOCK // batch_size)
    return [table.slice(start, size) for start in range(0, table.num_rows, size)]


def _encode(embedder: Embedder, blocks: list[pa.Table]) -> tuple[int, float]:
    """Encode the sample, again and again for some seconds; returns (vectors, seconds)."""
    embedder(blocks[0].slice(0, 1))  # the first pass allocates
    made, clock = 0, time.monotonic()
    while True:
        for block in blocks:
            made += sum(map(len, embedder(block).column("variants").to_pylist()))
        if (seconds := time.monotonic() - clock) > SECONDS or not made:
            return made, seconds
