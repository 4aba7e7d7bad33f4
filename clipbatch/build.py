"""A mapping to frozen dataclasses; every problem is a ConfigError that names its key."""

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from clipbatch.errors import ConfigError

T = TypeVar("T")


def refuse(where: str, got: object, expected: str) -> ConfigError:
    """Return the error for an impossible value."""
    return ConfigError(f"{where}: got {got!r}, expected {expected}")


def build(cls: type[T], tree: Mapping[str, Any], where: str) -> T:
    """Build a dataclass from a mapping; every problem is a ConfigError that names its key."""
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = getattr(cls, "prepared", dict)(tree)
    known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ConfigError(unknown(f"{where}{key}", key, known))
    built = {key: _convert(hints[key], value, f"{where}{key}") for key, value in values.items()}
    try:
        return cls(**built)
    except TypeError as error:
        raise ConfigError(f"{where or 'config'}: {error}") from error


def unknown(path: str, key: str, known: Iterable[str]) -> str:
    """Return the message for an unknown key; it names the nearest right one."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
    return f"unknown key {path!r}: {hint}"


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise refuse(where, value, "a table")
        return build(hint, value, f"{where}.")
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise refuse(where, value, "a list")
        return tuple(_convert(typing.get_args(hint)[0], v, where) for v in value)
    if origin is not None and issubclass(origin, Mapping):
        inner = typing.get_args(hint)[1]
        if inner is Any:
            return value
        return {k: _convert(inner, v, f"{where}.{k}") for k, v in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise refuse(where, value, f"a value of type {getattr(hint, '__name__', hint)}")
    return value
