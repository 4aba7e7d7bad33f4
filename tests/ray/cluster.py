"""A real Ray of two nodes for a test: ``cluster/local.sh``, started and ended by its process id."""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "cluster" / "local.sh"
START_S = 200.0
STOP_S = 150.0
SETTLE_S = 20.0  # what a node is given to end after the script that tied it is gone


def environment() -> dict[str, str]:
    """Return this process's environment without what names or unlocks another Ray."""
    return {k: v for k, v in os.environ.items() if k not in ("RAY_ADDRESS", "RAY_AUTH_MODE")}


def start(*command: str) -> subprocess.Popen[str]:
    """Start the script, with a command to run on the cluster or without."""
    arguments = [str(SCRIPT), *(("--", *command) if command else ())]
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, env=environment(), start_new_session=True
    )


@contextmanager
def two_nodes() -> Iterator[Mapping[str, str]]:
    """Give the environment with which `ray job submit` and `ray.init` find the cluster."""
    script = start()
    try:
        yield environment() | _exports(script)
    finally:
        script.terminate()
        script.wait(STOP_S)


def _exports(script: subprocess.Popen[str]) -> dict[str, str]:
    """Read the lines ``export NAME=value ...`` that the script prints once the nodes are up."""
    found: dict[str, str] = {}
    assert script.stdout is not None
    for line in script.stdout:  # ends when the script gives up
        if line.startswith("export "):
            found |= dict(pair.split("=", 1) for pair in line.split()[1:])
        if "RAY_AUTH_MODE" in found:
            return found
    raise AssertionError(f"no cluster; the script's exit code is {script.wait(STOP_S)}")


def processes(scratch: str) -> dict[int, str]:
    """Return id -> command line of every live process that was told of a cluster's folder."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            known = scratch.encode() in command + (folder / "environ").read_bytes()
        except OSError:  # it ended, or is somebody else's
            continue
        if known and int(folder.name) != os.getpid():
            found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def scratch_of(script: int) -> str:
    """Wait until a starting script has a node with daemons; return the folder of its cluster."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        for number in processes("CLIPBATCH_LOCAL_RAY="):
            folder = Path(f"/proc/{number}")
            try:
                marks = re.findall(
                    rb"CLIPBATCH_LOCAL_RAY=([^\0]+)", (folder / "environ").read_bytes()
                )
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            scratch = marks[0].decode() if marks and parent == script else ""
            if scratch and any("gcs_server" in c for c in processes(scratch).values()):
                return scratch
        time.sleep(0.2)
    return ""


def left_behind(scratch: str) -> list[str]:
    """Return what is still there of a cluster after it had time to end."""
    until = time.monotonic() + SETTLE_S
    while (found := _there(scratch)) and time.monotonic() < until:
        time.sleep(0.2)
    return found


def _there(scratch: str) -> list[str]:
    return [*processes(scratch).values(), *([scratch] if Path(scratch).exists() else [])]
