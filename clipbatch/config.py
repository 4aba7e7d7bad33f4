"""TOML to frozen dataclasses, one table per verb; an unknown key is an error with a hint.

Science lives here. What the cluster is (how many GPUs, which bucket) comes from the environment:
``collect.source``, ``index.database`` and ``report.folder`` may name variables as ``$NAME``.
"""

import dataclasses
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipbatch.build import build, refuse, unknown
from clipbatch.errors import ConfigError


@dataclass(frozen=True)
class CollectConfig:
    """Where the pictures are and what their names tell.

    Attributes:
        source: a folder, .tar, .parquet or .csv; local or s3://.
        kind: folder, tar, parquet, manifest, or auto (from the name).
        label: folder and tar: "parent" (name of the directory around the picture), "level:K"
            (K-th directory under the root, from 0) or "none"; tar also "member:cls"
            (the sibling member with that extension). parquet and manifest: a column, or "".
            "auto" takes "parent" for folders, "member:cls" for tars and a column named "label".
        split: folder and tar: "level:K", "none", or "regex:..." whose first group is searched in
            the path; parquet and manifest: a column. "auto": a top directory (or column "split")
            named train, val, valid, validation, dev or test.
        caption: parquet and manifest: a column; tar: "member:txt"; "auto" and "none" likewise.
        image: parquet: the column of bytes; manifest: the column of URIs. "auto" finds it.
        seed: the collection's; noise and subsamples follow from it.
        max_pixels, max_bytes: larger pictures are bad rows, refused before decoding.
        timeout_s: for one read from a store.
        retry_bad: open bad pictures again, after a limit was raised or a library mended.
        allow_empty: let a source that lists nothing mark every picture gone.
    """

    source: str = ""
    kind: str = "auto"
    label: str = "auto"
    split: str = "auto"
    caption: str = "auto"
    image: str = "auto"
    seed: int = 0
    max_pixels: int = 100_000_000
    max_bytes: int = 256 * 1024 * 1024
    timeout_s: float = 30.0
    allow_empty: bool = False
    retry_bad: bool = False

    def __post_init__(self) -> None:
        kinds = ("auto", "folder", "tar", "parquet", "manifest")
        if self.kind not in kinds:
            raise refuse("collect.kind", self.kind, f"one of {', '.join(kinds)}")
        for name in ("max_pixels", "max_bytes", "timeout_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise refuse(f"collect.{name}", getattr(self, name), "a number above 0")


@dataclass(frozen=True)
class EmbedConfig:
    """Which encoder, and which noise.

    Attributes:
        encoder: "offline-lite", "pixels", or any open_clip model, e.g. "ViT-B-32".
        weights: open_clip: a hub tag ("laion2b_s34b_b79k") or a path to a local file.
        pixels_side: encoder pixels: input side; 0 keeps the pictures' own size (all equal).
        dtype: of stored vectors: "float32" or "float16".
        levels: noise levels beside clean; [] for none.
        noise_units: "normalised" (added to the normalised input) or "unit" (to [0, 1], clipped).
        noise_all_below: collections up to this many contents get noise on all of them.
        noise_per_class: above it, this many contents a class do (the smallest seeded hashes).
        batch_size: pictures a forward pass; 0 lets a probe choose once per table.
        num_gpus: of one encoding actor, fractions allowed; -1 takes 1 where there are GPUs.
        actors: encoding actors; 0 takes what the cluster's resources allow.
        threads: CPU threads of one encoding actor; 0 chooses.
        crash_limit: how often a picture may kill its worker, alone, before it is a bad row.
        max_passes: how often the remaining work is tried again.
        merge_rows: rows a merge; 0 grows with the table.
    """

    encoder: str = "offline-lite"
    weights: str = ""
    pixels_side: int = 28
    dtype: str = "float32"
    levels: tuple[float, ...] = (0.5, 1.0, 2.0)
    noise_units: str = "normalised"
    noise_all_below: int = 20_000
    noise_per_class: int = 200
    batch_size: int = 0
    num_gpus: float = -1.0
    actors: int = 0
    threads: int = 0
    crash_limit: int = 2
    max_passes: int = 8
    merge_rows: int = 0

    def __post_init__(self) -> None:
        self._check_levels()
        if self.noise_units not in ("normalised", "unit"):
            raise refuse("embed.noise_units", self.noise_units, '"normalised" or "unit"')
        if self.dtype not in ("float32", "float16"):
            raise refuse("embed.dtype", self.dtype, '"float32" or "float16"')
        for name in (
            "batch_size", "actors", "threads", "merge_rows", "noise_per_class", "noise_all_below"
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise refuse(f"embed.{name}", getattr(self, name), "0 or more")
        for name in ("crash_limit", "max_passes"):
            if getattr(self, name) < 1:
                raise refuse(f"embed.{name}", getattr(self, name), "1 or more")

    def _check_levels(self) -> None:
        for level in self.levels:
            if not 0 < level <= 100:
                raise refuse(
                    "embed.levels", level, "noise levels above 0 and at most 100, e.g. [0.5, 1.0]"
                )
            if abs(1000 * level - round(1000 * level)) > 1e-6:
                raise refuse("embed.levels", level, "multiples of 0.001, which are the keys")
        if len(set(self.levels)) < len(self.levels):
            raise refuse("embed.levels", list(self.levels), "each level once")


@dataclass(frozen=True)
class IndexConfig:
    """Where the tables live and how they are kept.

    Attributes:
        database: folder or s3:// prefix of the LanceDB database.
        vector_index_above: rows above which an IVF_RQ index is built.
        compact_above: fragments above which a table is compacted.
        keep_days: untagged versions older than this are cleaned up.
        conflict_retries: how often one merge is tried against other writers.
    """

    database: str = "clipbatch-db"
    vector_index_above: int = 100_000
    compact_above: int = 50
    keep_days: int = 14
    conflict_retries: int = 30

    def __post_init__(self) -> None:
        if not self.database:
            raise refuse("index.database", self.database, "a folder or an s3:// prefix")
        for name in ("vector_index_above", "compact_above", "keep_days", "conflict_retries"):
            if getattr(self, name) < 0:
                raise refuse(f"index.{name}", getattr(self, name), "0 or more")


@dataclass(frozen=True)
class MeasureConfig:
    """Which analyses, with which parameters.

    Attributes:
        analyses: names, in the report's order; empty takes every registered one.
        memory_gb: for one unit; what does not fit is refused with its estimate. 0: half of RAM.
        parameters: analysis -> its parameters (``[measure.<name>]`` tables).
    """

    analyses: tuple[str, ...] = ()
    memory_gb: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def prepared(values: Mapping[str, Any]) -> dict[str, Any]:
        """Turn ``[measure.<analysis>]`` tables into parameter objects, defaults included."""
        return _split_parameters(values)


def _split_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ``[measure.<analysis>]`` tables into parameter objects."""
    from clipbatch.measure import ANALYSES

    plain = {k: v for k, v in values.items() if k in ("analyses", "memory_gb")}
    if not isinstance(plain.get("analyses", []), list | tuple):
        raise refuse("measure.analyses", plain["analyses"], "a list of names")
    names = {a.name: a for a in ANALYSES}
    for name in [*plain.get("analyses", ()), *(k for k in values if k not in plain)]:
        if name not in names:
            raise ConfigError(unknown(f"measure.{name}", name, {*names, "analyses", "memory_gb"}))
    for name, given in values.items():
        if name in names and not isinstance(given, Mapping):
            raise refuse(f"measure.{name}", given, "a table")
    tables = {n: build(a.params, values.get(n, {}), f"measure.{n}.") for n, a in names.items()}
    return plain | {"parameters": tables}


@dataclass(frozen=True)
class Check:
    """One line of the gate.

    Attributes:
        value: "<analysis>.<number>" or "collection.<count>".
        op: the relation that passes: "<=", "<", ">=", ">", "==" or "!=".
        threshold: the other side of it.
        severity: what a miss is: "fail" or "warn"; "off" takes the check away.
    """

    value: str
    op: str
    threshold: float
    severity: str = "fail"

    def __post_init__(self) -> None:
        operators = ("<=", "<", ">=", ">", "==", "!=")
        if self.op not in operators:
            raise refuse("report.checks.*.op", self.op, f"one of {' '.join(operators)}")
        if self.severity not in ("fail", "warn", "off"):
            raise refuse("report.checks.*.severity", self.severity, '"fail", "warn" or "off"')


@dataclass(frozen=True)
class ReportConfig:
    """Where the report goes and what fails the audit.

    Attributes:
        folder: for report.html, audit.json and junit.xml.
        checks: name -> check; given ones join and override the defaults.
        evidence: groups of thumbnails shown per finding.
    """

    folder: str = "clipbatch-report"
    checks: Mapping[str, Check] = field(default_factory=dict)
    evidence: int = 12


@dataclass(frozen=True)
class Config:
    """The whole configuration, one field per verb."""

    collect: CollectConfig = field(default_factory=CollectConfig)
    embed: EmbedConfig = field(default_factory=EmbedConfig)
    index: IndexConfig = field(default_factory=IndexConfig)
    measure: MeasureConfig = field(default_factory=MeasureConfig)
    report: ReportConfig = field(default_factory=ReportConfig)

    def to_json(self) -> str:
        """Return the resolved configuration; addresses are without credentials."""
        from clipbatch.storage import redact

        tree = dataclasses.asdict(self)
        for table, key in (("collect", "source"), ("index", "database"), ("report", "folder")):
            tree[table][key] = redact(tree[table][key])
        return json.dumps(tree, sort_keys=True)


def load(path: Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Read a TOML file, apply ``table.key=value`` overrides, and check everything.

    Raises:
        ConfigError: the file is missing or not TOML; a key is unknown; a value is impossible.
    """
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
    return dataclasses.replace(
        config,
        collect=dataclasses.replace(config.collect, source=_expand(config.collect.source)),
        index=dataclasses.replace(config.index, database=_expand(config.index.database)),
        report=dataclasses.replace(config.report, folder=_expand(config.report.folder)),
    )


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
