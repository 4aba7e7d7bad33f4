"""Do two Ray nodes halve the time of the homology and angle units?

    .venv/bin/python benchmarks/measure.py [--pictures 1393] [--sample 400] [--angle-repeats 200]

Real photographs, the offline encoder, three noise levels. A cluster of one node with one CPU
answers homology, then angles; then a cluster of two such nodes; then of one again, so that a
machine which grew slower meanwhile shows. A small analysis with other parameters comes first on
each, so that workers have started and loaded their libraries. Two clocks: of the units, from the
first that is sent to the last that came back and was stored, and of the whole analysis, which the
driver also plans, joins and stores by itself. The findings of all clusters must be equal to the
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
from clipbatch.runtime import units, verbs
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


class Clock(units.Units):
    """The runner of units, which adds up the seconds that it is at work."""

    seconds = 0.0

    def compute(self, *asked):
        """Compute units, and look at the clock."""
        began = time.monotonic()
        try:
            return super().compute(*asked)
        finally:
            Clock.seconds += time.monotonic() - began


def on_cluster(nodes: int, config: configs.Config, asked: dict) -> dict:
    """Return analysis -> (seconds of units, of all, stored finding), cluster and database fresh."""
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
                began, Clock.seconds = time.monotonic(), 0.0
                answered = verb.measure(asking(config, name, **more), session, run)
                seconds = time.monotonic() - began
                if answered.failed:
                    raise SystemExit(f"{name}: {answered.failed[name]}")
                finding = store.finding_to_bytes(answered.findings[name])
                found[name] = (Clock.seconds, seconds, finding)
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
        same &= store.finding_to_bytes(finding) == on_two[analysis.name][-1]
    return same


def main() -> None:
    """Print the table: one node, two nodes, one node again, in one run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=1393)
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--angle-repeats", type=int, default=200)
    parser.add_argument("--database", help="of an audit that was run before, to be copied")
    given = parser.parse_args()
    units.Units = Clock
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
        print("\n| what | one node, s | two nodes, s | one again, s | ratio | efficiency |")
        print("|---|---|---|---|---|---|")
        for name in asked:
            for place, what in enumerate((f"units of {name}", f"all of {name}")):
                one, both, again = (found[name][place] for found in (before, two, after))
                ratio = (one + again) / 2 / both
                cells = f"{one:.1f} | {both:.1f} | {again:.1f} | {ratio:.2f} | {ratio / 2:.2f}"
                print(f"| {what} | {cells} |")
        same = all(before[name][-1] == two[name][-1] == after[name][-1] for name in asked)
        print(f"\nfindings equal on one node and on two: {same}")
        print(f"equal to the serial runner's: {equal_to_serial(config, two, asked)}")


if __name__ == "__main__":
    main()
