"""How fast is the embed verb against a loop that only runs the same network?

    .venv/bin/python benchmarks/embed.py [--pictures 1393] [--variants 1 4]

The rival: one process per core, one thread each, all running the offline network over a ready
tensor in batches of the verb's shape. Nothing is read, decoded, made noisy, moved or stored.
The verb: read, hash, decode, facts, resize, noise, encode, merge into Lance, on a Ray of as many
CPUs. Steady state: pictures a second from the first block's arrival to the last's; the start of
Ray, and the time until the first block (workers start, the model loads), are reported apart.
The bound f / (f + d): f is the CPU time of all forwards of a picture, d of reading and decoding it.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from clipbatch import config as configs
from clipbatch.runtime import embed as verb
from clipbatch.runtime.collect import collect
from clipbatch.runtime.session import Session

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests import groceries

BATCH = 16
SECONDS = 20.0
CORES = len(os.sched_getaffinity(0))
KINDS = {
    "ray::MapWorker": "encoding actors",
    "ray::MapBatches": "decoding tasks",
    "ray::IDLE": "decoding tasks",  # between two of them
    "raylet": "raylet",
    "gcs_server": "GCS",
    "embed.py": "driver",
}


def _rival(barrier, answers):
    import torch

    from clipbatch import embed
    from clipbatch.embed.device import keep_memory, set_threads

    keep_memory()
    set_threads(1)
    encoder = embed.load(configs.EmbedConfig(), torch.device("cpu"))
    ready = torch.rand((BATCH, *encoder.spec.preprocess.shape))
    encoder.encode(ready)
    barrier.wait()
    began, rows = time.monotonic(), 0
    while time.monotonic() - began < SECONDS:
        encoder.encode(ready)
        rows += BATCH
    answers.put(rows / (time.monotonic() - began))


def rival() -> float:
    """Return forwards a second of all cores together."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(CORES), context.Queue()
    running = [context.Process(target=_rival, args=(barrier, answers)) for _ in range(CORES)]
    for process in running:
        process.start()
    rate = sum(answers.get() for _ in running)
    for process in running:
        process.join()
    return rate


def decode_seconds(config: configs.Config) -> float:
    """Return CPU seconds of reading, hashing, decoding and preparing one picture."""
    import pyarrow as pa

    from clipbatch.collect import open_source
    from clipbatch.index import ledger, table
    from clipbatch.runtime.decode import decode_block
    from clipbatch.runtime.spec import spec_of

    rows = table.open_table(config.index.database, "catalog").to_table().to_pylist()[:200]
    todo = [
        {k: row[k] for k in ("uri", "content_id", "size", "offset")} | {"variants": [0]}
        for row in rows
    ]
    assert ledger.statuses(config.index.database)
    block = pa.Table.from_pylist(todo)
    source, preprocess = open_source(config.collect), spec_of(config).preprocess
    decode_block(block.slice(0, 8), source, preprocess, config.collect.max_pixels)
    began = time.process_time()
    decode_block(block, source, preprocess, config.collect.max_pixels)
    return (time.process_time() - began) / len(todo)


def _cpu() -> dict:
    """Return pid -> (kind, CPU seconds) of this process and all below it."""
    found = {}
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            line, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.Error:
            continue
        kind = next((name for mark, name in KINDS.items() if mark in line), "rest of Ray")
        found[process.pid] = (kind, times.user + times.system)
    return found


def _spent(before: dict, after: dict) -> Counter:
    spent: Counter = Counter()
    for pid, (kind, seconds) in after.items():
        spent[kind] += seconds - before.get(pid, (kind, 0.0))[1]
    return spent


def embedded(config: configs.Config) -> dict:
    """Run the verb; return its rate, its waits, and CPU seconds by kind of process."""
    first: dict = {}
    take = verb._Attempt._take

    def taking(self, block):
        if not first:
            first.update(at=time.monotonic(), rows=block.num_rows, cpu=_cpu())
        take(self, block)
        first.update(last=time.monotonic(), cpu_last=_cpu())
        first["all"] = first.get("all", 0) + block.num_rows

    verb._Attempt._take = taking
    try:
        with Session() as session:
            collect(config, session, "bench")
            session.ensure()
            began = time.monotonic()
            verb.embed(config, session, "bench")
            spent = _spent(first["cpu"], first["cpu_last"])
    finally:
        verb._Attempt._take = take
    seconds = first["last"] - first["at"]
    return {
        "rate": (first["all"] - first["rows"]) / seconds,
        "ray": session.start_seconds,
        "first": first["at"] - began,
        "cpu": spent,
        "capacity": seconds * CORES,
    }


def main() -> None:
    """Print the table, rival and verb in one run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=1393)
    parser.add_argument("--variants", type=int, nargs="+", default=[1, 4])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        pictures = groceries.folder(Path(scratch) / "pictures", given.pictures)
        print(f"{CORES} cores, {given.pictures} pictures, batches of {BATCH}\n")
        print("| variants | loop, pictures/s | verb | ratio | f/(f+d) | 0.9 of it | of the bound |")
        print("|---|---|---|---|---|---|---|")
        notes = []
        for variants in given.variants:
            levels = [0.5, 1.0, 2.0][: variants - 1]
            config = configs.load(
                None,
                [
                    f"collect.source={pictures}",
                    f"index.database={scratch}/db{variants}",
                    f"embed.levels={levels}",
                    f"embed.batch_size={BATCH}",
                    "embed.threads=1",
                ],
            )
            before = rival()
            found = embedded(config)
            loop = (before + rival()) / 2 / variants
            decode = decode_seconds(config)
            forwards = CORES / loop
            bound, ratio = forwards / (forwards + decode), found["rate"] / loop
            print(
                f"| {variants} | {loop:.1f} | {found['rate']:.1f} | {ratio:.3f} | {bound:.3f} | "
                f"{0.9 * bound:.3f} | {ratio / bound:.3f} |"
            )
            spent = ", ".join(
                f"{kind} {100 * s / found['capacity']:.0f} %"
                for kind, s in found["cpu"].most_common()
            )
            idle = 100 * (1 - sum(found["cpu"].values()) / found["capacity"])
            notes.append(
                f"{variants} variants: f = {1000 * forwards:.1f} ms, d = {1000 * decode:.1f} ms of "
                f"CPU a picture; Ray started in {found['ray']:.1f} s, first block after "
                f"{found['first']:.1f} s; CPU in steady state: {spent}, others or idle {idle:.0f} %"
            )
        print("\n" + "\n".join(notes))


if __name__ == "__main__":
    main()
