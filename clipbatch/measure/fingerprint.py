"""What an answer depends on, as a short hash: the same hash means that the answer can be reused."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure.base import Analysis, Contents, Unit


def of_unit(
    analysis: Analysis[Any], unit: Unit, contents: Contents, params: Any, noise: str
) -> str:
    """Fingerprint one unit: the analysis, its parameters, and exactly the rows it looks at.

    Args:
        analysis: with its version.
        unit: with its rows, variants and arguments.
        contents: of the run.
        params: of the analysis.
        noise: identity of the noise in the vectors.
    """
    state = _start(analysis, params, contents, noise)
    _add(state, unit.key, unit.variants, contents.content_id[unit.rows])
    # By name: another class in the collection renumbers the labels of all.
    labels = np.array([*contents.label_names, ""])[contents.label[unit.rows]]
    _add(state, labels)
    for name in sorted(unit.arguments):
        _add(state, name, unit.arguments[name])
    for variant in unit.variants:
        _add(state, contents.variants[variant][unit.rows])
    if analysis.names_positions:
        _add(state, unit.rows)
    if analysis.sees_new and contents.new is not None:
        _add(state, contents.new[unit.rows])
    return state.hexdigest()


def of_finding(
    analysis: Analysis[Any],
    contents: Contents,
    params: Any,
    noise: str,
    needed: Mapping[str, str] | None = None,
) -> str:
    """Fingerprint a whole finding: the analysis, its parameters, and all of the collection.

    Args:
        analysis: with its version.
        contents: of the run.
        params: of the analysis.
        noise: identity of the noise in the vectors.
        needed: analysis -> fingerprint of its finding, of those that this one needs.
    """
    state = _start(analysis, params, contents, noise)
    if needed:
        _add(state, needed)
    for variant in sorted(contents.variants):
        _add(state, variant, contents.variants[variant])
    _add(state, contents.content_id, contents.label, contents.label_names, contents.split_names)
    _add(state, contents.image_uri, contents.image_content, contents.image_label)
    _add(state, contents.image_split)
    if analysis.sees_new and contents.new is not None:
        _add(state, contents.new)
    return state.hexdigest()


def _start(
    analysis: Analysis[Any], params: Any, contents: Contents, noise: str
) -> "hashlib.blake2b":
    state = hashlib.blake2b(digest_size=16)
    _add(state, analysis.name, analysis.version, asdict(params))
    _add(state, contents.encoder, contents.seed, noise)
    return state


def _add(state: "hashlib.blake2b", *values: Any) -> None:
    for value in values:
        if isinstance(value, np.ndarray):
            state.update(_array(value))
        elif isinstance(value, Mapping):
            _add(state, *(x for pair in sorted(value.items()) for x in pair))
        else:
            state.update(repr(value).encode())
        state.update(b"\x1f")


def _array(value: NDArray[Any]) -> bytes:
    # The width of a string column depends on its neighbours; its texts do not.
    if value.dtype.kind == "U":
        return "\x1e".join(value.ravel().tolist()).encode()
    return str((value.dtype, value.shape)).encode() + np.ascontiguousarray(value).tobytes()
