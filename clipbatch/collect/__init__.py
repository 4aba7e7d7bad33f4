"""Sources to catalog rows; decoding bytes to pixels or a reason."""

from itertools import islice
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from clipbatch import storage
from clipbatch.collect.base import Source
from clipbatch.collect.columns import holds_pictures
from clipbatch.collect.folder import Folder
from clipbatch.collect.manifest import Manifest
from clipbatch.collect.parquet import Parquet
from clipbatch.collect.paths import EXTENSIONS, is_picture
from clipbatch.collect.places import containers, missing, split_pattern
from clipbatch.collect.tar import Tar
from clipbatch.config import CollectConfig
from clipbatch.errors import ConfigError

# kind -> its source. A new kind is one file, one line here, and its name in config.CollectConfig.
SOURCES: Final[dict[str, type[Folder | Tar | Parquet | Manifest]]] = {
    "folder": Folder,
    "tar": Tar,
    "parquet": Parquet,
    "manifest": Manifest,
}

_PEEK: Final = 1000  # files of a folder that decide what it is


def open_source(config: CollectConfig) -> Source:
    """Return the source that a configuration names; nothing is listed or opened yet.

    Raises:
        ConfigError: the source does not exist or is of no known kind, or a rule cannot be read.
    """
    if not config.source:
        raise ConfigError(
            "collect.source is empty; expected a folder, .tar, .parquet or .csv, local or s3://; "
            "set it in the TOML file or with --set collect.source=..."
        )
    kind = _kind(config) if config.kind == "auto" else config.kind
    return SOURCES[kind](config)


def nothing_listed(config: CollectConfig, source: Source) -> ConfigError:
    """Return the error for a source whose listing was empty; it says what was seen instead."""
    skipped = getattr(source, "skipped", 0)
    return ConfigError(
        f"collect.source: {storage.redact(config.source)} lists no pictures ({skipped} other files "
        f"seen); expected names that end in {', '.join(sorted(EXTENSIONS))}; name another source, "
        "or set collect.allow_empty = true to mark every known picture gone"
    )


def _kind(config: CollectConfig) -> str:
    """Tell the kind of a source from its name, and where that is not enough, from what it holds."""
    source = config.source
    found = storage.kind(source, config.timeout_s)
    name = source.lower().rstrip("/")
    if found == "missing":
        name = split_pattern(source)[1].lower()
        if not name:
            raise missing(source)
    elif found == "folder":
        return _kind_of_folder(config)
    if name.endswith(".tar"):
        return "tar"
    if name.endswith(".csv"):
        return "manifest"
    if name.endswith((".parquet", ".pq")):
        return _kind_of_parquet(config)
    packed = name.endswith((".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip"))
    advice = "unpack it: members of compressed archives cannot be read one by one" * packed
    raise ConfigError(
        f"collect.source: got {storage.redact(source)}, expected a folder, .tar, .parquet or .csv; "
        f"{advice or 'name one of these, or set collect.kind'}"
    )


def _kind_of_folder(config: CollectConfig) -> str:
    """Take a folder for one of pictures if there is any among its first files."""
    found = islice(storage.walk(config.source, config.timeout_s), _PEEK)
    names = [file.uri.lower() for file in found]
    if any(map(is_picture, names)):
        return "folder"
    if any(name.endswith(".tar") for name in names):
        return "tar"
    return _kind_of_parquet(config) if any(n.endswith(".parquet") for n in names) else "folder"


def _kind_of_parquet(config: CollectConfig) -> str:
    """Look into the first file: does it hold pictures or name them?"""
    found = containers(config.source, (".parquet", ".pq"), config.timeout_s)
    first = next(found.files(config.timeout_s))
    try:
        with storage.open_file(found.root, first.uri, config.timeout_s) as file:
            schema = pq.read_schema(file)
    except (pa.ArrowException, OSError):
        return "parquet"  # damaged: its listing says so
    return "parquet" if holds_pictures(schema, config.image) else "manifest"
