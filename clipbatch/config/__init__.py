"""TOML to frozen dataclasses, one table per verb; an unknown key is an error with a hint.

Science lives here. What the cluster is (how many GPUs, which bucket) comes from the environment:
``collect.source``, ``index.database`` and ``report.folder`` may name variables as ``$NAME``.
"""

import dataclasses
import json
import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipbatch.build import build
from clipbatch.config.collect import CollectConfig
from clipbatch.config.embed import EmbedConfig
from clipbatch.config.index import IndexConfig
from clipbatch.config.measure import MeasureConfig
from clipbatch.config.report import Check, ReportConfig
from clipbatch.errors import ConfigError
from clipbatch.text import redact

__all__ = [
    "Check",
    "CollectConfig",
    "Config",
    "EmbedConfig",
    "IndexConfig",
    "MeasureConfig",
    "ReportConfig",
    "load",
]


@dataclass(frozen=True)
class Config:
    """The whole configuration, one field per verb."""

    collect: CollectConfig = field(default_factory=CollectConfig)
    embed: EmbedConfig = field(default_factory=EmbedConfig)
    index: IndexConfig = field(default_factory=IndexConfig)
    measure: MeasureConfig = field(default_factory=MeasureConfig)
    report: ReportConfig = field(default_factory=ReportConfig)

    def to_json(self) -> str:
        """Return the resolved configuration, without secrets."""
        return json.dumps(_redacted(dataclasses.asdict(self)), sort_keys=True)


def load(path: Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Read a TOML file, apply ``table.key=value`` overrides, and check everything.

    Raises:
        ConfigError: the file is missing or not TOML; a key is unknown; a value is impossible; an
            address is of an unknown kind or holds credentials.
    """
    from clipbatch.storage import is_remote

    tree: dict[str, Any] = {"measure": {}}
    if path is not None:
        try:
            tree |= tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"{path}: no such file; name a TOML file with --config") from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error
    for text in overrides:
        _override(tree, text)
    config = build(Config, tree, "")
    found = dataclasses.replace(
        config,
        collect=dataclasses.replace(config.collect, source=_expand(config.collect.source)),
        index=dataclasses.replace(config.index, database=_expand(config.index.database)),
        report=dataclasses.replace(config.report, folder=_expand(config.report.folder)),
    )
    for address in (found.collect.source, found.index.database, found.report.folder):
        is_remote(address)  # refuses what no store could be, before anything is printed
    return found


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _redacted(inner) for key, inner in value.items()}
    return [_redacted(inner) for inner in value] if isinstance(value, list | tuple) else value


def _override(tree: dict[str, Any], text: str) -> None:
    key, found, value = text.partition("=")
    if not found:
        raise ConfigError(f"--set {text}: expected table.key=value, e.g. embed.encoder=ViT-B-32")
    try:
        parsed = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *tables, last = key.strip().split(".")
    for table in tables:
        tree = tree.setdefault(table, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {text}: {table!r} is a value, not a table")
    tree[last] = parsed


def _expand(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if not os.environ.get(name):
            raise ConfigError(f"{text!r} names ${name}, which is not set; export {name}=...")
        return os.environ[name]

    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, text)
