"""SIGKILL in mid-embed or mid-measure, then the same command: the same bits, nothing twice."""

import os
import signal
import subprocess
import sys
import time

import pytest

from clipbatch.index import runs, table
from tests import groceries
from tests.ray import world

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

COUNT = 160
SETTINGS = (
    "embed.encoder=offline-lite",
    "embed.batch_size=16",
    "embed.levels=[1.0]",
    "embed.merge_rows=32",
)


def start(root):
    config = world.load(root, *SETTINGS)
    settings = (*SETTINGS, "measure.analyses=['duplicates']")
    options = [part for text in settings for part in ("--set", text)]
    return config, subprocess.Popen(
        [
            *(sys.executable, "-m", "clipbatch.cli", "audit", config.collect.source),
            *("--db", config.index.database, "--out", config.report.folder, *options),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"RAY_ADDRESS": "local"},
    )


def finish(root):
    config, process = start(root)
    _, told = process.communicate(timeout=600)
    assert process.returncode == 0, told
    return config


def workers_of(group):
    """Return the processes of a group that still run: a killed driver's Ray ends by itself."""
    found = subprocess.run(["ps", "-eo", "pid,pgid"], capture_output=True, text=True, check=True)
    rows = [line.split() for line in found.stdout.splitlines()[1:]]
    return [int(pid) for pid, pgid in rows if int(pgid) == group]


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
    for name in ("calm", "killed"):
        groceries.folder(tmp_path / name / "pictures", COUNT)
    calm = finish(tmp_path / "calm")
    seen = []
    for _ in range(2):
        config, process = start(tmp_path / "killed")
        before = world.merged(config)
        deadline = time.monotonic() + 300
        while world.merged(config) < before + 50 and time.monotonic() < deadline:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()
        seen.append(world.merged(config))
        for pid in workers_of(process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    assert 0 < seen[0] < seen[1] < 2 * COUNT
    killed = finish(tmp_path / "killed")
    assert world.vectors(killed) == world.vectors(calm)
    assert len(world.vectors(killed)) == 2 * COUNT
    ok = {row["status"] for row in world.catalog(killed).values()}
    assert ok == {"ok"}
    contents = table.open_table(killed.index.database, "contents").to_table()
    assert len(set(contents["content_id"].to_pylist())) == contents.num_rows == COUNT


# Without Ray, so that the moment is ours: the loop that keeps units is the same.
MEASURING = (
    "import sys; from tests import serial; from clipbatch.runtime import units; "
    "units.SAVE_S = 0.0; sys.exit(serial.main(sys.argv[1:]))"
)


def measuring(root):
    config = world.load(root)
    settings = ("embed.encoder=pixels", "embed.levels=[0.5]", "measure.analyses=['homology']")
    options = [part for text in settings for part in ("--set", text)]
    return config, subprocess.Popen(
        [
            *(sys.executable, "-c", MEASURING, "audit", config.collect.source),
            *("--db", config.index.database, "--out", config.report.folder, *options),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def kept(config):
    """Return unit -> its stored answer."""
    if not table.exists(config.index.database, "findings"):
        return {}
    rows = table.open_table(config.index.database, "findings").to_table().to_pylist()
    return {row["unit"]: row["result"] for row in rows if row["unit"]}


def test_a_measure_that_was_killed_computes_only_what_is_missing(tmp_path):
    for name in ("calm", "killed"):
        groceries.folder(tmp_path / name / "pictures", 240)
    calm, process = measuring(tmp_path / "calm")
    _, told = process.communicate(timeout=300)
    assert process.returncode in (0, 1), told
    config, process = measuring(tmp_path / "killed")
    deadline = time.monotonic() + 200
    while len(kept(config)) < 3:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = kept(config)
    assert 3 <= len(before) < len(kept(calm))
    config, process = measuring(tmp_path / "killed")
    _, told = process.communicate(timeout=300)
    assert process.returncode in (0, 1), told
    counts = runs.find(config.index.database).counts
    assert counts["units_reused"] == len(before)
    assert counts["units_computed"] == len(kept(calm)) - len(before)
    assert kept(config) == kept(calm)
