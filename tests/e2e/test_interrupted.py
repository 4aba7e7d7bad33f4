"""A run that is stopped, or whose Ray dies, ends within seconds, says how to go on, and goes on."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests import groceries, pictures
from tests.ray import world
from tests.stores import leases

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

COUNT = 200
SETTINGS = ("embed.encoder=offline-lite", "embed.batch_size=16", "embed.levels=[]")
SCRIPT = (
    "import sys; from clipbatch import cli; from clipbatch.runtime import session; "
    "session.OBJECT_STORE_BYTES = int(sys.argv[1]); sys.exit(cli.main(sys.argv[2:]))"
)


def start(root, *more, program=("-m", "clipbatch.cli")):
    config = world.load(root, *SETTINGS, *more)
    settings = (*SETTINGS, "measure.analyses=['balance']", *more)
    options = [part for text in settings for part in ("--set", text)]
    return config, subprocess.Popen(
        [
            *(sys.executable, *program, "audit", config.collect.source),
            *("--db", config.index.database, "--out", config.report.folder, *options),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"RAY_ADDRESS": "local"},
    )


def processes(group):
    """Return pid -> name of the processes of a group."""
    found = subprocess.run(
        ["ps", "-eo", "pid,pgid,stat,comm"], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 3) for line in found.stdout.splitlines()[1:]]
    return {int(row[0]): row[3] for row in rows if int(row[1]) == group and row[2][0] != "Z"}


def at_work(root):
    """Start a run; return it once it has merged some vectors and more are to come."""
    config, process = start(root, "embed.merge_rows=16")
    before = world.merged(config)
    deadline = time.monotonic() + 200
    while world.merged(config) < before + 16:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return config, process, before


def finish(root):
    config, process = start(root)
    _, told = process.communicate(timeout=200)
    assert process.returncode == 0, told
    assert len(world.vectors(config)) == COUNT


def stop(process, how):
    if how == "Ctrl-C":  # a terminal sends it to the whole group
        os.killpg(process.pid, signal.SIGINT)
    elif how == "SIGTERM":
        os.kill(process.pid, signal.SIGTERM)
    else:
        for pid, name in processes(process.pid).items():
            if name.startswith("raylet"):
                os.kill(pid, signal.SIGKILL)


def test_what_stops_a_run_ends_it_and_the_next_one_goes_on(tmp_path):
    groceries.folder(tmp_path / "pictures", COUNT)
    for how in ("Ctrl-C", "SIGTERM", "raylet"):  # of the same run, each further on
        config, process, before = at_work(tmp_path)
        stop(process, how)
        _, told = process.communicate(timeout=120)
        assert process.returncode == 3, (how, told)
        (line,) = [text for text in told.splitlines() if text.startswith("clipbatch:")]
        assert "same command" in line, how
        assert "Traceback" not in told, how
        deadline = time.monotonic() + 30
        while left := processes(process.pid):
            assert time.monotonic() < deadline, (how, left)
            time.sleep(0.2)
        assert before < world.merged(config) < COUNT, how
        if how != "raylet":  # there the next one finds its owner dead
            assert leases(config.index.database) == [], how
    finish(tmp_path)


def test_a_full_object_store_spills_and_ends_well(tmp_path):
    """Decoded blocks of 25 MB, 250 MB in all, through 80 MB."""
    drawn = pictures.collection(each=80)
    pictures.write_folder(tmp_path / "pictures", drawn)
    large = ("embed.encoder=pixels", "embed.pixels_side=512", "embed.batch_size=8")
    config, process = start(tmp_path, *large, program=("-c", SCRIPT, str(80 * 10**6)))
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert len(world.vectors(config)) == len(drawn)
