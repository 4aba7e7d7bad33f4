"""One night as a person would run it: ``clipbatch audit --config nightly.toml``."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from clipbatch import cli
from tests.nights.tree import LEVELS

REPOSITORY = Path(__file__).parents[2]
CONFIG = REPOSITORY / "jobs" / "configs" / "nightly.toml"
# Beside the shipped configuration: the encoder that needs no network, without noise, where labels
# stand in this folder, and the analyses that its checks look at.
ANALYSES = (
    *("neighbours", "duplicates", "pictures", "labels", "outliers"),
    *("balance", "drift", "arrivals"),
)
SETTINGS = (
    "embed.encoder=offline-lite",
    "embed.weights=",
    "embed.levels=[]",
    f"collect.split={LEVELS['split']}",
    f"collect.label={LEVELS['label']}",
    f"measure.analyses={list(ANALYSES)}",
)


def environment(root: Path) -> dict[str, str]:
    """Return where a season's pictures, tables and reports are."""
    places = {"SOURCE": root / "pictures", "DATABASE": root / "db", "REPORT": root / "report"}
    return {name: str(path) for name, path in places.items()}


def arguments(verb: str, config: Path = CONFIG, more: Sequence[str] = ()) -> list[str]:
    """Return the command line of one verb or question, with more settings where there are."""
    settings = [word for setting in (*SETTINGS, *more) for word in ("--set", setting)]
    return [verb, "--config", str(config), *settings]


def told(root: Path, words: Sequence[str]) -> str:
    """Return what one command prints, run in a process of its own."""
    done = _run(root, words, capture_output=True, text=True)
    done.check_returncode()
    return str(done.stdout)


def process(root: Path, words: Sequence[str]) -> int:
    """Run one command on a season's places in a process of its own, on Ray."""
    with (root / "log.txt").open("ab") as log:
        return _run(root, words, stdout=log, stderr=log).returncode


def _run(root: Path, words: Sequence[str], **streams: Any) -> subprocess.CompletedProcess[Any]:
    program = str(Path(sys.executable).with_name("clipbatch"))
    places = os.environ | environment(root)
    return subprocess.run([program, *words], cwd=REPOSITORY, env=places, check=False, **streams)


def here(root: Path, words: Sequence[str]) -> int:
    """Run one command in this process, which ``tests.serial`` has made do without Ray."""
    with (
        (root / "log.txt").open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        mock.patch.dict(os.environ, environment(root)),
    ):
        return cli.main(list(words))


def auditor(serial: bool, config: Path = CONFIG, more: Sequence[str] = ()) -> Callable[[Path], int]:
    """Return what audits a season once."""
    run = here if serial else process
    return lambda root: run(root, arguments("audit", config, more))
