"""Do two Ray nodes halve the time of the homology and angle units?

    .venv/bin/python benchmarks/measure.py [--pictures 1393] [--sample 400] [--angle-repeats 200]

Real photographs, the offline encoder, three noise levels. A cluster of one node with one CPU
answers homology, then angles; then a cluster of two such nodes; then of one again, so that a
machine which grew slower meanwhile shows. A small analysis with other parameters comes first on
each, so that workers have started and loaded their libraries. Seconds are those of the whole
analysis: plan, units, findings stored and joined. The findings of all clusters must be equal to the
byte, and equal to the serial runner's.
"""

import argparse
import dataclasses
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_AUTH_MODE"] = "disabled"

from clipbatch import config as configs
from clipbatch.index import read, runs
from clipbatch.measure import serial, store
from clipbatch.measure.angles import ANALYSIS as ANGLES
from clipbatch.measure.homology import ANALYSIS as HOMOLOGY
from clipbatch.runtime import measure as verb
from clipbatch.runtime import verbs
from clipbatch.runtime.session import Session
from tests import groceries

ANALYSES = (HOMOLOGY, ANGLES)


def load(database: Path, pictures: Path, *overrides: str) -> configs.Config:
    """Return the configuration of one measurement."""
    return configs.load(
        None,
        [
            f"collect.source={pictures}",
            f"index.database={database}",
            f"report.folder={database}-report",
            *overrides,
        ],
    )


def asking(config: configs.Config, name: str, **more) -> configs.Config:
    """Return the configuration with one analysis, and other parameters of it."""
    parameters = dict(config.measure.parameters)
    parameters[name] = dataclasses.replace(parameters[name], **more)
    measure = dataclasses.replace(config.measure, analyses=(name,), parameters=parameters)
    return dataclasses.replace(config, measure=measure)


def on_cluster(nodes: int, config: configs.Config, asked: dict) -> dict:
    """Return analysis -> (seconds, stored finding) on a fresh cluster and a fresh database."""
    import ray
    from ray.cluster_utils import Cluster

    database = Path(f"{config.index.database}-{nodes}-{time.monotonic_ns()}")
    shutil.copytree(config.index.database, database)
    index = dataclasses.replace(config.index, database=str(database))
    config = dataclasses.replace(config, index=index)
    run = runs.find(str(database))
    each = {"num_cpus": 1, "object_store_memory": 150 * 1024 * 1024}
    cluster = Cluster(initialize_head=True, head_node_args={**each, "include_dashboard": False})
    found = {}
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**each)
        cluster.wait_for_nodes()
        with Session(cluster.address) as session:
            session.ensure()
            for name, more in asked.items():
                # Several units for every node: one of angles holds some 16 repeats.
                warm = {"repeats": 4 * nodes, "sample": 101}
                warm = warm if name == "homology" else {"repeats": 100 * nodes + 1}
                verb.measure(asking(config, name, **warm), session, run)
                began = time.monotonic()
                answered = verb.measure(asking(config, name, **more), session, run)
                seconds = time.monotonic() - began
                if answered.failed:
                    raise SystemExit(f"{name}: {answered.failed[name]}")
                found[name] = (seconds, store.finding_to_bytes(answered.findings[name]))
    finally:
        ray.shutdown()
        cluster.shutdown()
        shutil.rmtree(database)
    return found


def equal_to_serial(config: configs.Config, on_two: dict, asked: dict) -> bool:
    """Compare with the serial runner."""
    run = runs.find(config.index.database)
    contents, reader = read.load(config.index.database, run, config.collect.seed)
    vectors = {variant: reader.read(variant) for variant in contents.variants}
    same = True
    for analysis in ANALYSES:
        params = asking(config, analysis.name, **asked[analysis.name]).measure.parameters
        finding = serial.run(analysis, contents, vectors, params[analysis.name])
        same &= store.finding_to_bytes(finding) == on_two[analysis.name][1]
    return same


def main() -> None:
    """Print the table: one node, two nodes, one node again, in one run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=1393)
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--angle-repeats", type=int, default=200)
    parser.add_argument("--database", help="of an audit that was run before, to be copied")
    given = parser.parse_args()
    asked = {"homology": {"sample": given.sample}, "angles": {"repeats": given.angle_repeats}}
    with tempfile.TemporaryDirectory() as scratch:
        database, pictures = Path(scratch) / "db", Path(scratch) / "pictures"
        config = load(database, pictures)
        if given.database:
            shutil.copytree(given.database, database)
            shutil.rmtree(database / "findings.lance", ignore_errors=True)
        else:
            groceries.folder(pictures, given.pictures)
            verbs.run("collect", config)
            verbs.run("embed", config)
            verbs.run("index", config)
        before, two, after = (on_cluster(nodes, config, asked) for nodes in (1, 2, 1))
        print("\n| analysis | one node, s | two nodes, s | ratio | efficiency | one again, s |")
        print("|---|---|---|---|---|---|")
        for name in asked:
            one, both, again = (found[name][0] for found in (before, two, after))
            ratio = (one + again) / 2 / both
            print(
                f"| {name} | {one:.1f} | {both:.1f} | {ratio:.2f} | {ratio / 2:.2f} | {again:.1f} |"
            )
        same = all(before[name][1] == two[name][1] == after[name][1] for name in asked)
        print(f"\nfindings equal on one node and on two: {same}")
        print(f"equal to the serial runner's: {equal_to_serial(config, two, asked)}")


if __name__ == "__main__":
    main()
