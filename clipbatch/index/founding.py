"""Create an empty Lance table by one conditional write, so that of two drivers one founds it."""

import tempfile

import lance
import pyarrow as pa

from clipbatch import schema, storage
from clipbatch.errors import ConfigError


def found(where: str, wanted: pa.Schema) -> None:
    """Create an empty table unless there is one.

    Lance's own creation overwrites: of two at once the later one was seen to replace the earlier
    one's table, with whatever was merged into it since. An empty table is its first manifest, so it
    is made in a scratch folder, and the manifest is put in place under ``If-None-Match: *``.

    Args:
        where: path of the table.
        wanted: its columns, with the facts that belong to it for good as metadata.
    """
    with tempfile.TemporaryDirectory(prefix="clipbatch-") as folder:
        scratch = storage.join(folder, "table.lance")
        lance.write_dataset(
            wanted.empty_table(),
            scratch,
            schema=wanted,
            mode="create",
            data_storage_version=schema.STORAGE_VERSION,
        )
        files = {file.uri: storage.read(scratch, file.uri) for file in storage.walk(scratch)}
    for name, data in files.items():
        if name.startswith("_transactions/"):
            storage.write_atomic(storage.join(where, name), data)
    (manifest,) = (name for name in files if name.endswith(".manifest"))
    storage.create(storage.join(where, manifest), files[manifest])


def has_data(where: str) -> bool:
    """Tell whether a table's folder holds data files."""
    return storage.kind(storage.join(where, "data")) != "missing"


def remains(where: str) -> ConfigError:
    """Return the error for data without a manifest: a damaged table, which a new one would hide."""
    return ConfigError(
        f"{storage.redact(where)}: got data files and no manifest under _versions/, expected "
        "both or neither; restore the folder from a copy, or move it away and run the same "
        "command again: what it held is made anew"
    )
