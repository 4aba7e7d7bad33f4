"""Columns and values of tables that list pictures: which to take, and what their cells say."""

import difflib
import json
import math
from collections.abc import Collection, Sequence
from typing import Any, Final

import pyarrow as pa

from clipbatch.errors import ConfigError

_IMAGE_NAMES: Final = (
    *("image", "img", "picture", "photo", "image_data", "image_bytes", "bytes"),
    *("jpg", "jpeg", "png", "webp", "data", "content"),
)


def column(key: str, wanted: str, names: Sequence[str], auto: str) -> str | None:
    """Return the column that ``collect.<key>`` names, or None for none.

    Args:
        key: of the configuration.
        wanted: its value: a column, "auto", "none" or "".
        names: the table's columns.
        auto: the column that "auto" takes where there is one.

    Raises:
        ConfigError: the named column is missing.
    """
    if wanted == "auto":
        return auto if auto in names else None
    if wanted in names:
        return wanted
    if wanted in ("none", ""):
        return None
    raise no_column(key, wanted, names)


def no_column(key: str, wanted: str, names: Sequence[str]) -> ConfigError:
    """Return the error for a column that is not there; it names the nearest ones."""
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return ConfigError(
        f"collect.{key}: got {wanted!r}, expected a column; {hint}columns: {', '.join(names)}"
    )


def picture_column(
    wanted: str, usual: Sequence[str], candidates: Sequence[str], names: Sequence[str]
) -> str:
    """Return the column of pictures, or of their names, that ``collect.image`` means.

    Args:
        wanted: a column, or "auto": the only candidate, or the first with a usual name.
        usual: names, in lower case, the likeliest first.
        candidates: the columns whose type is right.
        names: all columns.

    Raises:
        ConfigError: it is missing, its type is wrong, or the choice is not clear.
    """
    if wanted != "auto" and wanted not in names:
        raise no_column("image", wanted, names)
    if wanted in candidates:
        return wanted
    if len(candidates) == 1 and wanted == "auto":
        return candidates[0]
    by_name = {name.lower(): name for name in candidates}
    for name in usual if wanted == "auto" else ():
        if name in by_name:
            return by_name[name]
    raise ConfigError(
        f"collect.image: got {wanted!r}, expected one of the columns that can hold pictures "
        f"here: {', '.join(candidates) or 'none'}; columns: {', '.join(names)}; "
        'collect.kind says whether they hold bytes ("parquet") or names ("manifest")'
    )


def image_column(schema: pa.Schema, wanted: str) -> str:
    """Return the column of pictures: binary, or a struct with a binary field ``bytes``.

    Raises:
        ConfigError: there is none, it holds no bytes, or the choice is not clear.
    """
    candidates = [field.name for field in schema if _holds_bytes(field.type)]
    return picture_column(wanted, _IMAGE_NAMES, candidates, schema.names)


def holds_pictures(schema: pa.Schema, wanted: str) -> bool:
    """Say whether a file holds the pictures themselves, rather than their names."""
    fields = [field for field in schema if field.name == wanted] or list(schema)
    return any(_holds_bytes(field.type) for field in fields)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return a type without extension types, at any depth."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(plain_type(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(plain_type(kind.value_type))
    if pa.types.is_large_list(kind):
        return pa.large_list(plain_type(kind.value_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type), kind.list_size)
    if pa.types.is_map(kind):
        return pa.map_(plain_type(kind.key_type), plain_type(kind.item_type))
    return kind


def plain(cells: pa.Array) -> pa.Array:
    """Take extension types off cells of a file, so that looking at one never runs code.

    Where ray.data is imported, pyarrow knows a type whose cells are unpickled when they are read.

    Raises:
        ConfigError: a type holds one at a place that cannot be read plainly.
    """
    kind = plain_type(cells.type)
    if kind.equals(cells.type):
        if "extension<" in str(cells.type):
            raise ConfigError(f"got a column of {cells.type}, expected text, numbers or bytes")
        return cells
    return cells.cast(kind)


def _holds_bytes(kind: pa.DataType) -> bool:
    kind = plain_type(kind)
    if pa.types.is_struct(kind):
        position = kind.get_field_index("bytes")
        return position >= 0 and _holds_bytes(kind.field(position).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def class_names(schema: pa.Schema, name: str | None) -> list[str]:
    """Return the class names that a Hugging Face parquet file keeps for a column of numbers."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[name]["names"]
    except (KeyError, TypeError, ValueError):
        return []
    return [str(n) for n in names] if isinstance(names, list) else []


def cell_text(value: Any) -> str | None:
    """Return a cell as text, or None where it says nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, list | tuple):  # several captions: the first
        return cell_text(value[0]) if value else None
    return _storable(str(value)).strip() or None


def labels_of(value: Any, names: Sequence[str] = ()) -> tuple[str | None, tuple[str, ...]]:
    """Return (label, labels): one class as the first, several as the second, in their order.

    Args:
        value: a cell: text, a number, or a list of them.
        names: of the classes, where the numbers are positions in them.
    """
    many: Collection[Any] = value if isinstance(value, list | tuple) else (value,)
    texts = [_class(v, names) for v in many]
    unique = tuple(dict.fromkeys(t for t in texts if t is not None))
    if len(unique) > 1:
        return None, unique
    return (unique[0] if unique else None), ()


def _class(value: Any, names: Sequence[str]) -> str | None:
    if names and isinstance(value, int) and not isinstance(value, bool):
        return names[value] if 0 <= value < len(names) else None  # Hugging Face: -1 is no label
    return cell_text(value)


def _storable(text: str) -> str:
    """Replace what UTF-8 cannot hold: undecoded bytes by their numbers, half characters by "?"."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
